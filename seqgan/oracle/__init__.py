"""The oracle task: its model, corpus and published curves."""
