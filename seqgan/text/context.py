"""What stands beside the sequences of a corpus: the prompts that they complete, and further columns."""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int64

from seqgan.text.sequences import Sequences


@dataclass(frozen=True, eq=False)
class Context:
    """The prompts of N sequences, without BOS and EOS, and N entries of each further column.

    Raises:
        ValueError: A column has another number of entries.
    """

    prompts: Sequences
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, entries in self.columns.items():
            if len(entries) != len(self.prompts):
                raise ValueError(f"column {name}: has {len(entries)} entries for {len(self.prompts)} prompts")

    def __len__(self) -> int:
        return len(self.prompts)

    def select(self, rows: Int64[np.ndarray, "R"]) -> "Context":
        """Return the rows named, in this order."""
        chosen = rows.tolist()
        columns = {name: [entries[row] for row in chosen] for name, entries in self.columns.items()}
        return Context(self.prompts.select(rows), columns)

    def content(self) -> bytes:
        """Return bytes that are equal for equal contexts, on every machine."""
        columns = json.dumps(self.columns, sort_keys=True).encode()
        ids, offsets = self.prompts.ids.astype("<i4"), self.prompts.offsets.astype("<i8")
        return ids.tobytes() + offsets.tobytes() + columns


@dataclass(frozen=True, eq=False)
class Part:
    """The sequences of a part of a corpus, and their context where they complete prompts.

    Raises:
        ValueError: There is not one prompt for each sequence.
    """

    sequences: Sequences
    context: Context | None = None

    def __post_init__(self) -> None:
        if self.context is not None and len(self.context) != len(self.sequences):
            raise ValueError(f"{len(self.context)} prompts for {len(self.sequences)} sequences")

    def __len__(self) -> int:
        return len(self.sequences)

    def select(self, rows: Int64[np.ndarray, "R"]) -> "Part":
        """Return the rows named, in this order."""
        return Part(self.sequences.select(rows), self.context and self.context.select(rows))

    def keys(self) -> list[Hashable]:
        """Return one value for each sequence, equal for equal sequences that complete equal prompts."""
        keys: list[Hashable] = list(self.sequences.keys())
        return keys if self.context is None else list(zip(self.context.prompts.keys(), keys, strict=True))

    def joined(self) -> Sequences:
        """Return each prompt and what completes it as one sequence; without prompts the sequences."""
        if self.context is None:
            return self.sequences
        prompts = self.context.prompts
        return Sequences.from_lists([*prompts[row], *self.sequences[row]] for row in range(len(self)))
