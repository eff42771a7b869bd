"""Devices, seeds, files, checkpoints, tracking and optimisers."""
