"""Metrics, each with its signature."""
