"""Sequences of unequal length, stored one after another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64


@dataclass(frozen=True, eq=False)
class Sequences:
    """N sequences of token ids in one flat array; sequence n is ``ids[offsets[n]:offsets[n + 1]]``.

    There are M = N + 1 offsets. Four bytes a token: a million sentences take about 60 MB.

    Raises:
        ValueError: The offsets do not cut the flat array into sequences.
    """

    ids: Int32[np.ndarray, "L"]
    offsets: Int64[np.ndarray, "M"]

    def __post_init__(self) -> None:
        bounds_fit = len(self.offsets) > 0 and self.offsets[0] == 0 and self.offsets[-1] == len(self.ids)
        if not bounds_fit or (self.lengths < 0).any():
            raise ValueError("offsets do not cut the ids into sequences")

    @classmethod
    def from_lists(cls, sequences: Iterable[Sequence[int]]) -> "Sequences":
        """Pack lists of token ids; lists may be empty."""
        lists = list(sequences)
        ids = np.fromiter(chain.from_iterable(lists), np.int32)
        return cls(ids, np.cumsum([0, *map(len, lists)], dtype=np.int64))

    @classmethod
    def from_padded(cls, tokens: Int[np.ndarray, "N T"], mask: Bool[np.ndarray, "N T"]) -> "Sequences":
        """Pack the tokens where ``mask`` is True."""
        return cls(tokens[mask].astype(np.int32), np.cumsum([0, *mask.sum(1)], dtype=np.int64))

    @classmethod
    def from_array(cls, ids: Int[np.ndarray, "N T"]) -> "Sequences":
        """Pack sequences of equal length."""
        number, length = ids.shape
        return cls(ids.astype(np.int32).reshape(-1), np.arange(number + 1, dtype=np.int64) * length)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Int32[np.ndarray, "T"]:
        """Return the token ids of one sequence (a view)."""
        index = range(len(self))[index]
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> Int64[np.ndarray, "N"]:
        """The number of tokens in each sequence."""
        return np.diff(self.offsets)

    def select(self, rows: Int64[np.ndarray, "R"]) -> "Sequences":
        """Return the sequences at these rows, in this order."""
        # All rows at once: where each token of the result lies is its own place, shifted by its row.
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        shift = np.repeat(starts - offsets[:-1], lengths)
        return type(self)(self.ids[np.arange(offsets[-1]) + shift], offsets)

    def without(self, token: int | None) -> "Sequences":
        """Return the sequences with this token left out; the same ones for None."""
        if token is None:
            return self
        kept = self.ids != token
        num_kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
        return type(self)(self.ids[kept], num_kept[self.offsets])

    def keys(self) -> list[bytes]:
        """Return one value for each sequence, equal for equal sequences."""
        data, bounds = self.ids.tobytes(), (self.offsets * self.ids.itemsize).tolist()
        return [data[start:end] for start, end in pairwise(bounds)]
