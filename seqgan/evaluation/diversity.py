"""Variety of a set of sequences: distinct n-grams (Li et al. 2016), unique sequences."""

from seqgan.evaluation.ngrams import NgramCounts
from seqgan.text.sequences import Sequences


def distinct(counts: NgramCounts, n: int) -> float:
    """Return distinct-n, different n-grams over all n-grams of the whole set; 0 where there are none.

    It falls as a set grows: compare sets of equal size only.
    """
    return len(counts.order(n).keys) / max(int(counts.totals(n).sum()), 1)


def unique_share(sequences: Sequences) -> float:
    """Return different sequences over all sequences, 0 for an empty set; an empty sequence is one too."""
    return len(set(sequences.keys())) / max(len(sequences), 1)
