"""Sequences of unequal length, stored one after another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32, Int64


@dataclass(frozen=True, eq=False)
class Sequences:
    """N sequences of token ids in one flat array; sequence n is ``ids[offsets[n]:offsets[n + 1]]``.

    There are M = N + 1 offsets. Four bytes a token: a million sentences take about 60 MB.

    Raises:
        ValueError: The offsets do not cut the flat array into sequences of at least one token.
    """

    ids: Int32[np.ndarray, "L"]
    offsets: Int64[np.ndarray, "M"]

    def __post_init__(self) -> None:
        bounds_fit = len(self.offsets) > 0 and self.offsets[0] == 0 and self.offsets[-1] == len(self.ids)
        if not bounds_fit or (self.lengths < 1).any():
            raise ValueError("offsets do not cut the ids into sequences")

    @classmethod
    def from_lists(cls, sequences: Iterable[Sequence[int]]) -> "Sequences":
        """Pack lists of token ids."""
        arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
        offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
        return cls(np.concatenate([np.empty(0, np.int32), *arrays]), offsets)

    @classmethod
    def from_array(cls, ids: Int[np.ndarray, "N T"]) -> "Sequences":
        """Pack sequences of equal length."""
        number, length = ids.shape
        return cls(ids.astype(np.int32).reshape(-1), np.arange(number + 1, dtype=np.int64) * length)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Int32[np.ndarray, "T"]:
        """The token ids of one sequence (a view)."""
        index = range(len(self))[index]
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> Int64[np.ndarray, "N"]:
        """Tokens of each sequence."""
        return np.diff(self.offsets)

    def select(self, rows: Int64[np.ndarray, "R"]) -> "Sequences":
        """The sequences at these rows, in this order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        shift = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return type(self)(self.ids[np.arange(offsets[-1]) + shift], offsets)

    def keys(self) -> list[bytes]:
        """One value for each sequence, equal for equal sequences."""
        return [self[row].tobytes() for row in range(len(self))]
