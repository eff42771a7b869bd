"""Similarity of two sets of sequences as wholes: of their n-gram frequencies and their lengths.

These see what is missing from the generated text as well as what is wrong in it. All shrink or grow
with the number of sequences: compare sets of equal size only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from seqgan.evaluation.ngrams import ABSENT, NgramCounts
from seqgan.evaluation.signature import Estimate
from seqgan.text.sequences import Sequences


@dataclass(frozen=True, eq=False)
class CommonNgrams:
    """The n-grams of one order that two sets share, how often each has them, and all they have."""

    numbers: Int[np.ndarray, "C"]
    """Of the shared n-grams in the first set."""
    first: Int[np.ndarray, "C"]
    second: Int[np.ndarray, "C"]
    first_total: int
    second_total: int


def common_ngrams(first: NgramCounts, second: NgramCounts) -> list[CommonNgrams]:
    """Return the shared n-grams of each order that both sets have counted, from order 1 up."""
    found = first.find_in(second)
    common = []
    for here, there, numbers in zip(first.orders, second.orders, found, strict=False):
        shared = np.flatnonzero(numbers != ABSENT)
        common.append(
            CommonNgrams(
                numbers=shared,
                first=here.reduce(np.add, here.counts)[shared],
                second=there.reduce(np.add, there.counts)[numbers[shared]],
                first_total=int(here.counts.sum()),
                second_total=int(there.counts.sum()),
            )
        )
    return common


@dataclass(frozen=True, eq=False)
class Similarity:
    """A similarity of two sets, and what each sequence of the first set adds to it."""

    value: float
    influence: Float64[np.ndarray, "S"]
    """The derivative of the value by each sequence's weight, times their number; the mean is 0."""


def jaccard_similarity(first: NgramCounts, second: NgramCounts, common: CommonNgrams, n: int) -> Similarity:
    """Return sum_g min(c(g), c'(g)) / sum_g max(c(g), c'(g)) over all n-grams g of both sets.

    c and c' are an n-gram's occurrences per sequence. Without any n-gram in either set it is 1: nothing
    differs.

    The influence follows from the minimum being linear in the first set's counts wherever these are not
    the larger ones. Where both counts are equal, as is common with rare n-grams, the minimum has a corner:
    there the steeper side is taken, so that errors made from it are too wide rather than too narrow.
    """
    num_first, num_second = max(len(first.sequences), 1), max(len(second.sequences), 1)
    here = first.order(n)
    mine, theirs = common.first / num_first, common.second / num_second
    smaller = float(np.minimum(mine, theirs).sum())
    larger = common.first_total / num_first + common.second_total / num_second - smaller
    if not larger:
        return Similarity(1.0, np.zeros(len(first.sequences)))
    is_limit = np.zeros(len(here.keys), dtype=bool)  # (G,): more of this n-gram would be more overlap
    is_limit[common.numbers] = mine <= theirs
    matches = np.bincount(here.holders, here.counts * here.spread(is_limit), minlength=len(first.sequences))
    overlap = matches - matches.sum() / num_first  # (S,)
    size = first.totals(n) - common.first_total / num_first  # (S,)
    return Similarity(smaller / larger, (overlap * (larger + smaller) - smaller * size) / larger**2)


def ms_jaccard(similarities: Sequence[Similarity], n: int) -> Estimate:
    """Return MS-Jaccard-n, from 0 to 1: the geometric mean of the similarities of orders 1 to n.

    ``similarities`` are the :func:`jaccard_similarity` of each order from 1 up (Alihosseini et al. 2019). The
    standard error is over the sequences of the first set, by the delta method; of 0 none is known.

    Raises:
        ValueError: ``n`` is less than 1, or there are fewer similarities.
    """
    if not 1 <= n <= len(similarities):
        raise ValueError(f"n-gram order {n} was not counted; it must be from 1 to {len(similarities)}")
    values = np.array([similarity.value for similarity in similarities[:n]])
    if not values.all():
        return Estimate(0.0)
    value = float(np.exp(np.log(values).mean()))
    relative = np.mean(
        [similarity.influence / similarity.value for similarity in similarities[:n]], 0
    )  # (S,)
    return Estimate.linear(value, value * relative)


def ngram_jensen_shannon(common: CommonNgrams) -> float:
    """Return the Jensen-Shannon divergence of two sets' n-gram distributions in nats, from 0 to ln 2.

    With p and q the relative frequencies and m = (p + q)/2 it is KL(p‖m)/2 + KL(q‖m)/2; an n-gram of one set
    alone adds ln 2 times half its frequency. Where only one set has n-grams of this order it is ln 2, where
    neither has any 0.
    """
    if not common.first_total and not common.second_total:
        return 0.0
    p = common.first / max(common.first_total, 1)
    q = common.second / max(common.second_total, 1)
    both = p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))
    alone = np.log(2) * (2 - p.sum() - q.sum())
    return max(float(both.sum() + alone) / 2, 0.0)


def length_distance(first: Sequences, second: Sequences) -> float:
    """Return the Wasserstein distance of the two distributions of length, in tokens.

    The sum over lengths of how far apart the cumulative distributions are: the tokens that must be
    added or removed, per sequence, to make the histograms equal.

    Raises:
        ValueError: A set has no sequences.
    """
    if not len(first) or not len(second):
        raise ValueError(f"lengths: there are {len(first)} and {len(second)} sequences; each side needs one")
    size = int(max(first.lengths.max(), second.lengths.max())) + 1
    cumulative = [np.cumsum(np.bincount(s.lengths, minlength=size)) / len(s) for s in (first, second)]
    return float(np.abs(cumulative[0] - cumulative[1]).sum())


def length_deviation(sequences: Sequences) -> float:
    """Return the standard deviation of the lengths (divided by their number); 0 for an empty set."""
    return float(sequences.lengths.std()) if len(sequences) else 0.0
