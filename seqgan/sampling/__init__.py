"""Sampling: trajectories, decoding, truncation and the token sampler."""
