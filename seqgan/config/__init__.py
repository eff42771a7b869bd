"""Settings: their schema, ranges and files."""
