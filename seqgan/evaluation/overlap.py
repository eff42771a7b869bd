"""How alike two sets of sequences are as wholes: their n-gram frequencies and their lengths.

These see what is missing from the generated text as well as what is wrong in it. All shrink or grow
with the number of sequences: compare sets of equal size only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from seqgan.evaluation.ngrams import ABSENT, NgramCounts, check_counted
from seqgan.text.sequences import Sequences


@dataclass(frozen=True, eq=False)
class CommonNgrams:
    """The n-grams of one order that two sets share, how often each has them, and all they have."""

    first: Int[np.ndarray, "C"]
    second: Int[np.ndarray, "C"]
    first_total: int
    second_total: int


def common_ngrams(first: NgramCounts, second: NgramCounts) -> list[CommonNgrams]:
    """For each order that both have counted, their shared n-grams."""
    found = first.find_in(second)
    common = []
    for here, there, numbers in zip(first.orders, second.orders, found, strict=False):
        shared = numbers != ABSENT
        common.append(
            CommonNgrams(
                first=here.reduce(np.add, here.counts)[shared],
                second=there.reduce(np.add, there.counts)[numbers[shared]],
                first_total=int(here.counts.sum()),
                second_total=int(there.counts.sum()),
            )
        )
    return common


def ms_jaccard(
    first: NgramCounts, second: NgramCounts, orders: Sequence[int] = (2, 3, 4, 5)
) -> Float64[np.ndarray, "K"]:
    """MS-Jaccard-n for each of the ``orders``, from 0 to 1 (Alihosseini et al. 2019).

    The geometric mean over k = 1..n of sum_g min(c(g), c'(g)) / sum_g max(c(g), c'(g)), over all
    k-grams g of both sets, c and c' being their occurrences per sequence. An order of which neither
    set has any n-gram counts as 1: nothing differs.

    Raises:
        ValueError: An order has not been counted.
    """
    check_counted(orders, first, second)
    similarities = [
        _jaccard(common, max(len(first.sequences), 1), max(len(second.sequences), 1))
        for common in common_ngrams(first, second)
    ]
    with np.errstate(divide="ignore"):  # one order without a match makes the mean 0
        mean_logs = np.cumsum(np.log(similarities)) / np.arange(1, len(similarities) + 1)
    return np.exp(mean_logs)[[n - 1 for n in orders]]


def _jaccard(common: CommonNgrams, num_first: int, num_second: int) -> float:
    smaller = np.minimum(common.first / num_first, common.second / num_second).sum()
    larger = common.first_total / num_first + common.second_total / num_second - smaller
    return float(smaller / larger) if larger else 1.0


def ngram_jensen_shannon(
    first: NgramCounts, second: NgramCounts, orders: Sequence[int] = (2, 3, 4, 5)
) -> Float64[np.ndarray, "K"]:
    """Jensen–Shannon divergence of the n-gram distributions for each of the ``orders``, in nats.

    From 0 to ln 2. With p and q the relative frequencies and m = (p + q)/2 it is
    KL(p‖m)/2 + KL(q‖m)/2; an n-gram of one set alone adds ln 2 times half its frequency. Where only
    one set has n-grams of this order it is ln 2, where neither has any 0.

    Raises:
        ValueError: An order has not been counted.
    """
    check_counted(orders, first, second)
    values = [_jensen_shannon(common) for common in common_ngrams(first, second)]
    return np.array([values[n - 1] for n in orders])


def _jensen_shannon(common: CommonNgrams) -> float:
    if not common.first_total and not common.second_total:
        return 0.0
    p = common.first / max(common.first_total, 1)
    q = common.second / max(common.second_total, 1)
    both = p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))
    alone = np.log(2) * (2 - p.sum() - q.sum())
    return max(float(both.sum() + alone) / 2, 0.0)


def length_distance(first: Sequences, second: Sequences) -> float:
    """Wasserstein distance of the two distributions of length, in tokens.

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
    """Standard deviation of the lengths over the sequences (divided by their number); 0 for an empty set."""
    return float(sequences.lengths.std()) if len(sequences) else 0.0
