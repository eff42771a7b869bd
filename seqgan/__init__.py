"""Adversarial generation of discrete sequences: SeqGAN and what grew out of it."""

__version__ = "0.1.0"
