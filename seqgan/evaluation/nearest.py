"""The nearest training sequence of generated ones, which tells whether a model writes or recites.

The distance is the edit distance of Levenshtein (1966) between tokens: the fewest insertions,
deletions and substitutions that turn one sequence into the other.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64

from seqgan.text.sequences import Sequences

ROWS = 4096  # training sequences compared at once


@dataclass(frozen=True)
class Neighbour:
    """The place of a training sequence, and how many edits away it is."""

    place: int
    distance: int


def nearest(sequence: Int[np.ndarray, "T"], training: Sequences) -> Neighbour:
    """Return the training sequence at the smallest edit distance, exactly; of several the first.

    The distance is at least the longer length less the tokens in common, in whatever order; sequences
    are compared in the order of that bound, until it exceeds the smallest distance found. An
    empty sequence is as far from another as that one is long.

    Raises:
        ValueError: There are no training sequences.
    """
    if not len(training):
        raise ValueError("training: there are no sequences")
    bounds = np.maximum(training.lengths, len(sequence)) - _num_common(sequence, training)
    order = np.argsort(bounds, kind="stable")
    best = Neighbour(-1, int(bounds.max()) + len(sequence) + 1)
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        if bounds[rows[0]] > best.distance:
            break
        rows = np.sort(rows[bounds[rows] <= best.distance])
        distances = edit_distances(sequence, training.select(rows))
        place = int(distances.argmin())
        found = Neighbour(int(rows[place]), int(distances[place]))
        best = min(best, found, key=lambda neighbour: (neighbour.distance, neighbour.place))
    return best


def edit_distances(sequence: Int[np.ndarray, "T"], others: Sequences) -> Int64[np.ndarray, "N"]:
    """Return the edit distance from ``sequence`` to each of the others.

    The usual table, one row per token of ``sequence``, for all others at once. Within a row a cell
    is the least of what comes from above and of any earlier cell plus the insertions between them::

        row[j] = min over k <= j of above[k] + (j - k)
    """
    lengths = others.lengths
    columns = np.arange(int(lengths.max(initial=0)) + 1)
    padded = np.full((len(others), len(columns) - 1), -1, np.int64)
    padded[columns[:-1] < lengths[:, None]] = others.ids
    row = np.broadcast_to(columns, (len(others), len(columns)))
    for token in sequence:
        above = row + 1
        np.minimum(above[:, 1:], row[:, :-1] + (padded != token), out=above[:, 1:])
        row = np.minimum.accumulate(above - columns, axis=1) + columns
    return np.asarray(row[np.arange(len(others)), lengths], np.int64)


def _num_common(sequence: Int[np.ndarray, "T"], training: Sequences) -> Int64[np.ndarray, "N"]:
    """Count the tokens that each training sequence shares with ``sequence``, each as often as in both."""
    tokens, counts = np.unique(sequence, return_counts=True)
    if not len(tokens):
        return np.zeros(len(training), np.int64)
    places = np.searchsorted(tokens, training.ids).clip(max=len(tokens) - 1)
    hits = np.flatnonzero(tokens[places] == training.ids)
    holders = np.searchsorted(training.offsets, hits, side="right") - 1
    pairs, occurrences = np.unique(holders * len(tokens) + places[hits], return_counts=True)
    common = np.minimum(occurrences, counts[pairs % len(tokens)])
    return np.asarray(np.bincount(pairs // len(tokens), common, minlength=len(training)), np.int64)
