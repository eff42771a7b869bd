"""BLEU and self-BLEU of whole corpora, exact and in linear time (Papineni et al. 2002; Zhu et al. 2018).

BLEU-n of a sentence h against a set of references, as nltk's ``sentence_bleu`` defines it with
weights 1/n and smoothing method 1 of Chen and Cherry (2014)::

    BLEU-n = brevity · exp(1/n · sum over k = 1..n of log p_k)
    p_k    = max(matches_k, 0.1 where matches_k = 0) / max(k-grams of h, 1)
    matches_k = sum over distinct k-grams of min(count in h, largest count in one reference)
    brevity   = 1 where h is longer than r, else exp(1 - r / |h|)

r is the reference length closest to |h|, of two equally close ones the shorter. A sentence without
a common unigram, and an empty one, scores 0. All references count for every sentence.

Backward BLEU is the same with the roles changed: each real sentence is scored against all generated
ones, ``References(generated).sentence_bleu(real)``. It falls where the generated text lacks what the
real text has (Shi et al. 2018).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int, Real

from seqgan.evaluation.ngrams import NgramCounts, NgramOrder, check_counted, count_ngrams
from seqgan.text.sequences import Sequences

EPSILON = 0.1  # what smoothing method 1 puts in the place of no match


class References:
    """Reference sequences, counted once, against which any number of sets can be scored.

    They are counted here up to ``max_order``, unless they come counted.

    Raises:
        ValueError: There are no references.
    """

    def __init__(self, references: Sequences | NgramCounts, max_order: int = 5) -> None:
        counts = references if isinstance(references, NgramCounts) else count_ngrams(references, max_order)
        if not len(counts.sequences):
            raise ValueError("references: there are none; BLEU needs at least one")
        self.counts = counts
        self.largest_counts = [order.reduce(np.maximum, order.counts) for order in self.counts.orders]
        self.lengths = np.unique(counts.sequences.lengths)

    def __len__(self) -> int:
        return len(self.counts.sequences)

    def sentence_bleu(
        self, hypotheses: NgramCounts, orders: Sequence[int] = (2, 3, 4, 5)
    ) -> Float64[np.ndarray, "S K"]:
        """Return BLEU of each sentence (rows), for each of the ``orders`` (columns).

        Raises:
            ValueError: An order has not been counted, here or there.
        """
        check_counted(orders, self.counts, hypotheses)
        largest_counts = [
            np.append(largest, 0)[numbers]  # an absent n-gram, number -1, has the largest count 0
            for largest, numbers in zip(self.largest_counts, hypotheses.find_in(self.counts), strict=False)
        ]
        limits = [order.spread(c) for order, c in zip(hypotheses.orders, largest_counts, strict=False)]
        closest = _closest_lengths(hypotheses.sequences.lengths, self.lengths)
        return _scores(hypotheses, limits, closest, orders)


def sentence_self_bleu(
    counts: NgramCounts, orders: Sequence[int] = (2, 3, 4, 5)
) -> Float64[np.ndarray, "S K"]:
    """Return BLEU of each sequence against all the others, its own copies included but not itself.

    Leaving one out is exact: an n-gram's largest count among the others is the largest of all unless
    this sequence alone reaches it, and then it is the next largest.

    Raises:
        ValueError: There are fewer than two sequences, or an order has not been counted.
    """
    if len(counts.sequences) < 2:
        raise ValueError(f"self-BLEU: {len(counts.sequences)} sentence(s); it needs at least two")
    check_counted(orders, counts)
    limits = [_largest_counts_elsewhere(order) for order in counts.orders]
    return _scores(counts, limits, _closest_lengths_elsewhere(counts.sequences.lengths), orders)


def bleu_f1(bleu: float, backward: float) -> float:
    """Return the harmonic mean of BLEU and backward BLEU (Shi et al. 2018); 0 where both are 0."""
    return 2 * bleu * backward / (bleu + backward) if bleu + backward > 0 else 0.0


def _largest_counts_elsewhere(order: NgramOrder) -> Int[np.ndarray, "R"]:
    """Return for each n-gram and holder (R,) the n-gram's largest count in one of the other sequences."""
    largest = order.spread(order.reduce(np.maximum, order.counts))
    is_largest = order.counts == largest
    num_largest = order.reduce(np.add, is_largest.astype(np.int64))
    next_largest = order.reduce(np.maximum, np.where(is_largest, 0, order.counts))
    alone = is_largest & (order.spread(num_largest) == 1)
    return np.where(alone, order.spread(next_largest), largest)


def _closest_lengths(lengths: Int[np.ndarray, "S"], references: Int[np.ndarray, "L"]) -> Int[np.ndarray, "S"]:
    """Return the one of the ascending ``references`` closest to each length; of two the shorter."""
    places = np.searchsorted(references, lengths)
    longer = references[np.minimum(places, len(references) - 1)]
    shorter = references[np.maximum(places - 1, 0)]
    return np.where(np.abs(longer - lengths) < np.abs(lengths - shorter), longer, shorter)


def _closest_lengths_elsewhere(lengths: Int[np.ndarray, "S"]) -> Int[np.ndarray, "S"]:
    """Return for each length the closest among all the others; of two equally close the shorter."""
    distinct, places, occurrences = np.unique(lengths, return_inverse=True, return_counts=True)
    others = [distinct if n > 1 else np.delete(distinct, i) for i, n in enumerate(occurrences)]
    closest = [_closest_lengths(distinct[i : i + 1], other) for i, other in enumerate(others)]
    return np.concatenate(closest)[places]


def _scores(
    counts: NgramCounts,
    limits: Sequence[Int[np.ndarray, "_"]],
    closest_lengths: Int[np.ndarray, "S"],
    orders: Sequence[int],
) -> Float64[np.ndarray, "S K"]:
    """Return BLEU from the ``limits`` of the counts: per order, n-gram and holder the most that may match."""
    # Of orders 1 to the highest (N,) and sentences (S,): matching n-grams, and all.
    matches = np.stack([_matches(counts.order(n), limits[n - 1], counts) for n in range(1, max(orders) + 1)])
    totals = np.stack([counts.totals(n) for n in range(1, max(orders) + 1)])
    precisions = np.where(matches > 0, matches, EPSILON) / np.maximum(totals, 1)
    # BLEU-n is a geometric mean over orders 1 to n: one cumulative sum gives it for every n, (N, S).
    mean_logs = np.cumsum(np.log(precisions), 0) / np.arange(1, max(orders) + 1)[:, None]
    lengths = counts.sequences.lengths
    brevity = np.exp(np.minimum(1 - closest_lengths / np.maximum(lengths, 1), 0))
    scores = np.where(matches[0] > 0, brevity * np.exp(mean_logs), 0.0)
    return scores[[n - 1 for n in orders]].T


def _matches(order: NgramOrder, limits: Int[np.ndarray, "R"], counts: NgramCounts) -> Real[np.ndarray, "S"]:
    """Count the matching n-grams of each sequence, each up to its limit."""
    return np.bincount(order.holders, np.minimum(order.counts, limits), minlength=len(counts.sequences))
