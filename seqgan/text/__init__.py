"""Text: tokenisers, vocabularies, corpora and batches."""
