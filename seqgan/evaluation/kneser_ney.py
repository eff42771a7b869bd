"""Interpolated Kneser–Ney language model of any order (Kneser and Ney 1995; Chen and Goodman 1998).

With h' the history h without its first token, c an n-gram's count and N_r(h) the number of different
tokens that follow h with count r (N_3 those of all higher counts too)::

    p(w | h) = (c(hw) - D(c(hw))) / c(h·)  +  g(h) p(w | h')
    g(h)     = (D_1 N_1(h) + D_2 N_2(h) + D_3 N_3(h)) / c(h·)

Below the empty history lies the uniform distribution, so that every token has a probability. At the
highest order, and for n-grams that begin a sequence, c is the number of occurrences; elsewhere the
number of different tokens that the n-gram follows. A history never seen is shortened: g(h) = 1.

The discounts are the modified ones of Chen and Goodman, three for each order, from the counts of
counts: in their comparison the better ones, and a single discount is the same with three equal values.

A sequence is taken as it stands: a sentence's EOS is its last token (see :func:`with_end`). Before
each sequence there is one start token, which is never predicted.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int, Int64

from seqgan.evaluation.likelihood import perplexity
from seqgan.evaluation.ngrams import NgramCounts, count_ngrams
from seqgan.evaluation.signature import Estimate
from seqgan.text.sequences import Sequences

START = -1  # the id of the start token, which no other token has
TYPICAL_DISCOUNTS = (0.5, 1.0, 1.5)  # where no n-gram has the count that a discount is estimated from
MIN_DISCOUNT = 0.01  # more than 0, so that every history leaves something to what was never seen after it


@dataclass(frozen=True, eq=False)
class KneserNeyOrder:
    """The n-grams of one order; their histories are the n-grams of the order below."""

    discounted: Float64[np.ndarray, "G"]
    """(c(hw) - D) / c(h·) of each n-gram hw."""
    back_off: Float64[np.ndarray, "H"]
    """g(h) of each history; of the empty one alone for order 1."""


@dataclass(frozen=True, eq=False)
class KneserNey:
    """The fitted model; see :func:`fit_kneser_ney`."""

    counts: NgramCounts
    """The n-grams of the training sequences, each with its start token; without their holders."""
    orders: tuple[KneserNeyOrder, ...]
    vocabulary_size: int
    """Tokens that may be predicted: each has the same share of the uniform distribution."""

    def sequence_log_probs(self, sequences: Sequences) -> Float64[np.ndarray, "S"]:
        """Return the log-probability in nats of each whole sequence, 0 of an empty one; no id is negative."""
        order = len(self.orders)
        ngrams = count_ngrams(with_start(sequences), order)
        sums = np.zeros(len(sequences))
        for n, probabilities in enumerate(self._ngram_probabilities(ngrams), 1):
            # An n-gram shorter than the order scores its last token only where it begins a sequence: within
            # one, that token is scored with a longer history.
            begins = _begins(ngrams, n)
            scored = begins | (n == order) if n > 1 else ~begins & (order == 1)
            held, log_probs = ngrams.order(n), np.log(np.where(scored, probabilities, 1.0))
            sums += np.bincount(held.holders, held.counts * held.spread(log_probs), minlength=len(sums))
        return sums

    def perplexity(self, sequences: Sequences) -> Estimate:
        """Return the perplexity per token (see :func:`seqgan.evaluation.likelihood.perplexity`).

        Raises:
            ValueError: There is no token.
        """
        log_probs = torch.from_numpy(self.sequence_log_probs(sequences))
        return perplexity(-log_probs, torch.from_numpy(sequences.lengths))

    def _ngram_probabilities(self, ngrams: NgramCounts) -> list[Float64[np.ndarray, "_"]]:
        """Return p(w | h) of each n-gram hw for each order; that of the start token has no meaning."""
        found, suffixes = ngrams.find_in(self.counts), _suffixes(ngrams)
        lower = np.full(1, 1 / self.vocabulary_size)
        probabilities = []
        for n, order in enumerate(self.orders, 1):
            history = found[n - 2][_prefixes(ngrams, n)] if n > 1 else np.zeros(len(found[0]), np.int64)
            discounted = np.append(order.discounted, 0.0)[found[n - 1]]  # an absent n-gram has number -1
            back_off = np.append(order.back_off, 1.0)[history]
            lower = discounted + back_off * lower[suffixes[n - 1]]
            probabilities.append(lower)
        return probabilities


def fit_kneser_ney(
    sequences: Sequences, *, order: int, vocabulary_size: int, discount: float | None = None
) -> KneserNey:
    """Estimate the model from sequences of ids of at least 0; from none it is the uniform distribution.

    ``discount`` (above 0, at most 1) is taken from every count of every order; None estimates them.

    Raises:
        ValueError: ``order`` is less than 1, the discount out of range, an id is negative, or there are more
            different tokens than ``vocabulary_size``.
    """
    if discount is not None and not 0 < discount <= 1:
        raise ValueError(f"discount: {discount} is out of range; it must be more than 0 and at most 1")
    counts = count_ngrams(with_start(sequences), order)
    num_types = len(counts.orders[0].keys) - (len(sequences) > 0)
    if vocabulary_size < max(num_types, 1):
        raise ValueError(f"vocabulary_size: {vocabulary_size} is too small for {num_types} different tokens")
    suffixes = _suffixes(counts)
    orders = []
    for n in range(1, order + 1):
        held, begins = counts.order(n), _begins(counts, n)
        values = held.reduce(np.add, held.counts)
        if n < order:
            followed = np.bincount(suffixes[n], minlength=len(values))
            values = np.where(begins, values, followed)
        if n == 1:
            values = np.where(begins, 0, values)
        num_histories = len(counts.order(n - 1).keys) if n > 1 else 1
        discounts = (discount,) * 3 if discount is not None else estimate_discounts(values)
        orders.append(_normalise(values, _prefixes(counts, n), num_histories, discounts))
    return KneserNey(counts.without_holders(), tuple(orders), vocabulary_size)


def estimate_discounts(counts: Int[np.ndarray, "G"]) -> tuple[float, ...]:
    """Return D_1, D_2 and D_3, estimated from how many n-grams have the counts 1 to 4.

    With n_r n-grams of count r and Y = n_1 / (n_1 + 2 n_2) it is D_r = r - (r + 1) Y n_{r+1} / n_r (Chen and
    Goodman 1998, section 3.3), at least ``MIN_DISCOUNT``. Each discount is bounded by itself: one that cannot
    be estimated leaves the others alone, so that a sentence more or less never changes all three at once.
    Where n_r is 0, so that nothing is known of D_r, it is 1/2, 1 or 3/2.
    """
    n = [0, *(int((counts == r).sum()) for r in range(1, 5))]
    share = n[1] / max(n[1] + 2 * n[2], 1)  # Y; 0 where no n-gram occurs once
    return tuple(
        max(r - (r + 1) * share * n[r + 1] / n[r], MIN_DISCOUNT) if n[r] else typical
        for r, typical in enumerate(TYPICAL_DISCOUNTS, 1)
    )


def with_end(sequences: Sequences, eos_id: int) -> Sequences:
    """Return each sequence with ``eos_id`` behind its last token."""
    ids = np.insert(sequences.ids, sequences.offsets[1:], eos_id)
    return Sequences(ids, sequences.offsets + np.arange(len(sequences.offsets)))


def with_start(sequences: Sequences) -> Sequences:
    """Return each sequence with the start token before its first.

    Raises:
        ValueError: An id is negative.
    """
    if len(sequences.ids) and sequences.ids.min() < 0:
        raise ValueError(f"sequences: the id {sequences.ids.min()} is negative; ids must be at least 0")
    ids = np.insert(sequences.ids, sequences.offsets[:-1], START)
    return Sequences(ids, sequences.offsets + np.arange(len(sequences.offsets)))


def _normalise(
    values: Int[np.ndarray, "G"],
    histories: Int64[np.ndarray, "G"],
    num_histories: int,
    discounts: tuple[float, ...],
) -> KneserNeyOrder:
    """Return discounted relative frequencies, and what each history passes on to the order below."""
    removed = np.array([0.0, *discounts])[np.minimum(values, 3)]
    totals = np.bincount(histories, values, minlength=num_histories)
    passed_on = np.bincount(histories, removed, minlength=num_histories)
    back_off = np.where(totals > 0, passed_on / np.maximum(totals, 1), 1.0)
    return KneserNeyOrder((values - removed) / np.maximum(totals, 1)[histories], back_off)


def _prefixes(ngrams: NgramCounts, n: int) -> Int64[np.ndarray, "_"]:
    """Return for each n-gram the number of its first n-1 tokens; of no tokens it is 0."""
    keys = ngrams.order(n).keys
    return keys // len(ngrams.order(1).keys) if n > 1 else np.zeros(len(keys), np.int64)


def _suffixes(ngrams: NgramCounts) -> list[Int64[np.ndarray, "_"]]:
    """Return for each order the number of each n-gram's last n-1 tokens; of no tokens it is 0."""
    num_types = len(ngrams.order(1).keys)
    suffixes = [np.zeros(num_types, np.int64)]
    for n in range(2, ngrams.max_order + 1):
        prefixes = _prefixes(ngrams, n)
        last = ngrams.order(n).keys - prefixes * num_types
        if n > 2:
            last = np.searchsorted(ngrams.order(n - 1).keys, suffixes[-1][prefixes] * num_types + last)
        suffixes.append(last)
    return suffixes


def _begins(ngrams: NgramCounts, n: int) -> Bool[np.ndarray, "_"]:
    """Return whether each n-gram's first token is the start token."""
    if n == 1:
        return np.asarray(ngrams.order(1).keys == START)
    return np.asarray(_begins(ngrams, n - 1)[_prefixes(ngrams, n)])
