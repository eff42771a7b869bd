"""Generators, discriminators and the oracle."""
