"""Rewards: numbers that say how good sequences or their tokens are."""
