"""The n-grams of a set of sequences, where and how often: every order in one pass, exact, by sorting.

An n-gram is numbered by its place among the distinct n-grams of its set in lexicographic order. Its
key is the number of its first n-1 tokens times the number of token types plus the number of its last
token: a pair of dense numbers, so that nothing is hashed and no two n-grams collide. Both factors
are at most the number of tokens, so a key fits 64 bits for any set of up to ``MAX_TOKENS``.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Shaped

from seqgan.text.sequences import Sequences

ABSENT = -1  # the number of an n-gram that the other set does not have
MAX_TOKENS = math.isqrt(2**63 - 1)  # of a set: 3e9
PACKED_BITS = 63  # of a key and a position that are sorted as one number


def number_words(*corpora: Iterable[Sequence[str]]) -> list[Sequences]:
    """Assign ids to the words of sentences; a word has the same id in every corpus."""
    ids: dict[str, int] = {}
    return [
        Sequences.from_lists([ids.setdefault(word, len(ids)) for word in sentence] for sentence in corpus)
        for corpus in corpora
    ]


@dataclass(frozen=True, eq=False)
class NgramOrder:
    """The distinct n-grams of one order and their holders, the sequences they occur in.

    N-gram g is held by the rows ``starts[g]:starts[g + 1]`` of ``holders`` and ``counts``.
    """

    keys: Int[np.ndarray, "G"]
    """Ascending; what it is made of is told at the top of the module. For order 1 the token itself."""
    starts: Int[np.ndarray, "_"]
    holders: Int[np.ndarray, "R"]
    """Ascending for each n-gram."""
    counts: Int[np.ndarray, "R"]
    """How often the holder has the n-gram; at least 1."""

    def reduce(self, function: np.ufunc, values: Shaped[np.ndarray, "R"]) -> Shaped[np.ndarray, "G"]:
        """Apply ``function`` (``np.add``, ``np.maximum``) over the holders of each n-gram."""
        return np.asarray(function.reduceat(values, self.starts[:-1]))

    def spread(self, values: Shaped[np.ndarray, "G"]) -> Shaped[np.ndarray, "R"]:
        """Repeat the value of each n-gram, once per holder."""
        return np.repeat(values, np.diff(self.starts))


@dataclass(frozen=True, eq=False)
class NgramCounts:
    """A set of sequences with its n-grams of orders 1 to ``max_order``."""

    sequences: Sequences
    orders: tuple[NgramOrder, ...]

    @property
    def max_order(self) -> int:
        """The longest n-grams counted."""
        return len(self.orders)

    def order(self, n: int) -> NgramOrder:
        """Return the n-grams of order ``n``.

        Raises:
            ValueError: ``n`` has not been counted.
        """
        if not 1 <= n <= self.max_order:
            raise ValueError(f"n-gram order {n} was not counted; it must be from 1 to {self.max_order}")
        return self.orders[n - 1]

    def totals(self, n: int) -> Int[np.ndarray, "S"]:
        """Count the n-grams of order ``n`` in each sequence, repeated ones too; 0 where it is shorter."""
        return (self.sequences.lengths - n + 1).clip(min=0)

    def without_holders(self) -> "NgramCounts":
        """Return the same n-grams, with nothing about who holds them: a third of the memory."""
        nothing = np.zeros(0, np.int32)
        orders = (
            dataclasses.replace(o, starts=nothing, holders=nothing, counts=nothing) for o in self.orders
        )
        return NgramCounts(self.sequences, tuple(orders))

    def find_in(self, other: "NgramCounts") -> list[Int[np.ndarray, "_"]]:
        """Return for each order the number that each of these n-grams has in ``other``, or ``ABSENT``.

        Both sets number n-grams in lexicographic order, so the look-ups ascend and stay in the cache.
        """
        num_types, other_types = len(self.orders[0].keys), len(other.orders[0].keys)
        found = [_find(self.orders[0].keys, other.orders[0].keys)]
        for here, there in zip(self.orders[1:], other.orders[1:], strict=False):
            prefixes = here.keys // num_types
            last_tokens = found[0][here.keys - prefixes * num_types]
            prefixes = found[-1][prefixes]
            possible = (prefixes != ABSENT) & (last_tokens != ABSENT)
            numbers = np.full(len(here.keys), ABSENT)
            numbers[possible] = _find(prefixes[possible] * other_types + last_tokens[possible], there.keys)
            found.append(numbers)
        return found


def count_ngrams(sequences: Sequences, max_order: int) -> NgramCounts:
    """Count every n-gram of order 1 to ``max_order``, with one sort per order.

    Raises:
        ValueError: ``max_order`` is less than 1, or there are more than ``MAX_TOKENS`` tokens.
    """
    if max_order < 1:
        raise ValueError(f"max_order: {max_order} is out of range; it must be at least 1")
    if len(sequences.ids) > MAX_TOKENS:
        raise ValueError(
            f"sequences: {len(sequences.ids)} tokens are too many; at most {MAX_TOKENS} are counted"
        )
    # All arrays below are over the L tokens of the flat sequence, or over those of them where an n-gram ends.
    ends = places(len(sequences.ids))  # where the n-grams of this order end
    index = ends.dtype
    holder_of = np.repeat(np.arange(len(sequences), dtype=index), sequences.lengths)
    place = ends - sequences.offsets[:-1].astype(index)[holder_of]  # within its sequence
    numbers = np.zeros_like(ends)  # of the n-gram that ends at each position
    keys, token_numbers, num_types = sequences.ids.astype(np.int64), numbers, 0
    orders: list[NgramOrder] = []
    for n in range(1, max_order + 1):
        if n > 1:
            ends = ends[place[ends] >= n - 1]
            keys = numbers[ends - 1] * np.int64(num_types) + token_numbers[ends]
        keys, sorted_ends = sort_by_key(keys, ends)  # by n-gram, then by sequence
        is_new = _differs_from_previous(keys)
        numbers = np.zeros_like(numbers)
        numbers[sorted_ends] = np.cumsum(is_new, dtype=index) - 1
        orders.append(_group(keys, is_new, holder_of[sorted_ends]))
        if n == 1:
            token_numbers, num_types = numbers, len(orders[0].keys)
    return NgramCounts(sequences, tuple(orders))


def check_counted(orders: Iterable[int], *sets: NgramCounts) -> None:
    """Raise the ValueError of :meth:`NgramCounts.order` where one of the ``orders`` is not in every set."""
    for counts in sets:
        for n in orders:
            counts.order(n)


def stable_argsort(keys: Int[np.ndarray, "N"]) -> Int[np.ndarray, "N"]:
    """Return the places that sort ``keys``, equal keys staying in order."""
    return sort_by_key(keys, places(len(keys)))[1]


def sort_by_key(
    keys: Int[np.ndarray, "N"], positions: Int[np.ndarray, "N"]
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """Sort keys, each with its position; ``positions`` ascend from at least 0, and stay so for equal keys.

    Key and position are packed into one 64-bit number and plain numbers are sorted: many times faster
    than an indirect stable sort, and nothing is looked up all over the memory. Keys too wide for that are
    sorted by their low bits, then by the rest.
    """
    keys = keys.astype(np.int64, copy=False)
    if not len(keys):
        return keys, positions
    lowest, highest = int(keys.min()), int(keys.max())
    position_bits = int(positions[-1]).bit_length()
    key_bits = PACKED_BITS - position_bits
    if (highest - lowest).bit_length() > key_bits:
        by_low_bits = stable_argsort(keys & ((1 << key_bits) - 1))
        order = by_low_bits[stable_argsort((keys >> key_bits)[by_low_bits])]
        return keys[order], positions[order]
    packed = keys - lowest  # and on in place: these are the largest arrays of all
    packed <<= position_bits
    packed |= positions
    packed.sort()
    sorted_positions = np.empty_like(positions)
    np.bitwise_and(packed, (1 << position_bits) - 1, out=sorted_positions, casting="unsafe")
    packed >>= position_bits
    packed += lowest
    return packed, sorted_positions


def places(number: int) -> Int[np.ndarray, "N"]:
    """Return 0, 1, ... as 32-bit integers wherever these hold so many: half the memory."""
    return np.arange(number, dtype=np.int32 if number < 2**31 else np.int64)


def _group(
    keys: Int[np.ndarray, "N"], is_new: Bool[np.ndarray, "N"], holders: Int[np.ndarray, "N"]
) -> NgramOrder:
    """Sum up occurrences sorted by n-gram and holder; ``is_new`` where another n-gram begins."""
    rows = np.flatnonzero(is_new | _differs_from_previous(holders))
    return NgramOrder(
        keys=keys[is_new],
        starts=np.append(np.flatnonzero(is_new[rows]), len(rows)).astype(holders.dtype),
        holders=holders[rows],
        counts=np.diff(rows, append=len(keys)).astype(holders.dtype),
    )


def _differs_from_previous(values: Int[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
    """Return True at the first value and wherever it changes."""
    changes = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def _find(values: Int[np.ndarray, "M"], keys: Int[np.ndarray, "G"]) -> Int[np.ndarray, "M"]:
    """Return the place of each value in the ascending ``keys``, or ``ABSENT``."""
    if not len(keys):
        return np.full(len(values), ABSENT)
    places = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[places] == values, places, ABSENT)


def _offsets(lengths: Int[np.ndarray, "S"]) -> Int[np.ndarray, "_"]:
    return np.concatenate([[0], np.cumsum(lengths)])
