"""Copies of the training text in the generated text: whole sentences, and the longest stretch.

Both are exact, whatever the length of what was copied.
"""

import numpy as np
from jaxtyping import Int, Int32, Int64

from seqgan.evaluation.ngrams import places, sort_by_key
from seqgan.text.sequences import Sequences

MAX_POSITIONS = 2**30  # so that a rank, and the sum of two positions, fit 32 bits


def novelty(hypotheses: Sequences, training: Sequences) -> float:
    """Return the share of sequences that are not, as a whole, in the training text; 1 for an empty set.

    An empty sequence is one like any other: novel unless the training text has one.
    """
    if not len(hypotheses):
        return 1.0
    known, sentences = set(training.keys()), hypotheses.keys()
    return sum(sentence not in known for sentence in sentences) / len(sentences)


def longest_copied(hypotheses: Sequences, training: Sequences) -> Int[np.ndarray, "S"]:
    """Return the length of each hypothesis's longest n-gram that also stands within a training sequence.

    Every position's rest of its sequence is given its rank among all rests, by doubling: the first
    2k tokens are two neighbours of k tokens whose ranks are known (Karp, Miller and Rosenberg 1972).
    The training text's longest match with a rest is one of its two neighbours in that order (Manber
    and Myers 1993); its length is read off the ranks of all levels. One sort of all tokens per
    doubling, up to the longest sequence; 4 bytes per token and doubling are kept.

    Raises:
        ValueError: Both together have more than ``MAX_POSITIONS`` tokens, each sequence's end being one.
    """
    text = _Text(training, hypotheses)
    levels = text.ranks()
    is_hypothesis = np.arange(len(text.ends)) >= text.num_training
    training_order = sort_by_key(levels[-1][: text.num_training], places(text.num_training))[1]
    positions = np.flatnonzero(is_hypothesis)
    longest = np.zeros(len(positions), np.int64)
    if len(training_order):
        after = np.searchsorted(levels[-1][training_order], levels[-1][positions])
        for neighbour in (after - 1, after):
            others = training_order[neighbour.clip(0, len(training_order) - 1)]
            np.maximum(longest, text.common_length(levels, positions, others), out=longest)
    starts = hypotheses.offsets[:-1] + np.arange(len(hypotheses))
    return np.asarray(np.maximum.reduceat(longest, starts)) if len(starts) else longest


class _Text:
    """Two sets of sequences one behind the other, each sequence closed by an end of its own, rank 0."""

    def __init__(self, training: Sequences, hypotheses: Sequences) -> None:
        self.lengths = np.concatenate([training.lengths, hypotheses.lengths])
        num_positions = int(self.lengths.sum()) + len(self.lengths)
        if num_positions > MAX_POSITIONS:
            raise ValueError(
                f"sequences: {num_positions} tokens with their ends are too many; copies are looked for "
                f"among at most {MAX_POSITIONS}"
            )
        self.num_training = len(training.ids) + len(training)
        slots = np.cumsum(self.lengths + 1) - 1  # where each sequence's end stands
        self.ends = np.repeat(slots.astype(np.int32), self.lengths + 1)
        self.tokens = np.concatenate([training.ids, hypotheses.ids]).astype(np.int64)

    def ranks(self) -> list[Int32[np.ndarray, "P"]]:
        """Rank at level k, for every position, its next 2^k tokens, cut at the sequence's end."""
        positions = np.flatnonzero(np.arange(len(self.ends)) != self.ends).astype(np.int32)  # of tokens
        ranks = np.zeros(len(self.ends), np.int32)
        ranks[positions] = _dense_ranks(self.tokens)
        levels = [ranks]
        reach, longest = 1, int(self.lengths.max(initial=0))
        while reach < longest:
            keys = ranks[positions].astype(np.int64)
            keys *= int(ranks.max()) + 1
            keys += ranks[np.minimum(positions + reach, self.ends[positions])]
            ranks = np.zeros_like(ranks)
            ranks[positions] = _dense_ranks(keys)
            levels.append(ranks)
            reach *= 2
        return levels

    def common_length(
        self,
        levels: list[Int32[np.ndarray, "P"]],
        first: Int[np.ndarray, "Q"],
        second: Int[np.ndarray, "Q"],
    ) -> Int[np.ndarray, "Q"]:
        """Count the equal tokens from these positions on: from the longest step to the shortest."""
        begin = first
        for level in reversed(range(len(levels))):
            equal = levels[level][first] == levels[level][second]
            step = np.where(equal, np.minimum(2**level, self.ends[first] - first), 0)
            first, second = first + step, second + step
        return np.asarray(first - begin)


def _dense_ranks(keys: Int64[np.ndarray, "N"]) -> Int32[np.ndarray, "N"]:
    """Return the place of each key among the distinct ones, from 1."""
    ordered, order = sort_by_key(keys, places(len(keys)))
    ranks = np.zeros(len(keys), np.int32)
    ranks[order] = np.cumsum(np.diff(ordered, prepend=ordered[:1]) != 0) + 1
    return ranks
