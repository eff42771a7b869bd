"""Experiments: settings, kinds, presets, materials and run folders."""
