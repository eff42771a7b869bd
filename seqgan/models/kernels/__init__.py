"""The fast operations that models are made of."""
