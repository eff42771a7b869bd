"""Studies: what compares runs."""
