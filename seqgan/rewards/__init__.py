"""Rewards, and the Monte-Carlo rollouts that turn them into action values."""
