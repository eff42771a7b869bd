"""Batches of token sequences: ids, mask, prompt and the corpus's further columns."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

BatchT = TypeVar("BatchT", bound="TokenBatch")  # not typing.Self, which run-time checks cannot follow


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """B sequences of T token ids.

    Behind the mask tokens have no meaning, and nothing may depend on them.

    Raises:
        ValueError: The prompt or a column does not have B rows.
    """

    tokens: Int[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    """True on real tokens, up to and including EOS."""
    prompt: "TokenBatch | None" = None
    """The prompt that each sequence completes; its tokens are not among ``tokens``."""
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Further columns of the corpus: B entries by name."""
    relaxed: Float[Tensor, "B T V"] | None = None
    """One-hot rows of ``tokens`` or a relaxation of them, through which gradients flow; usually None."""

    def __post_init__(self) -> None:
        rows = {"prompt": self.prompt, **self.columns}
        for name, entries in rows.items():
            if entries is not None and len(entries) != len(self.tokens):
                raise ValueError(f"{name}: has {len(entries)} rows for {len(self.tokens)} sequences")

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def device(self) -> torch.device:
        """The device that the tensors are on."""
        return self.tokens.device

    @property
    def lengths(self) -> Int[Tensor, "B"]:
        """The number of real tokens in each sequence."""
        return self.mask.sum(1)

    def to(self: BatchT, device: torch.device | str) -> BatchT:
        """Return the batch on another device."""
        return self._map_tensors(lambda tensor: tensor.to(device), lambda entries: entries)

    def select(self: BatchT, rows: Int[Tensor, "R"] | slice) -> BatchT:
        """Return the rows named by an index tensor or a slice."""

        def chosen(entries: Sequence[Any]) -> Sequence[Any]:
            if isinstance(rows, slice):
                return entries[rows]
            return [entries[row] for row in rows.tolist()]

        return self._map_tensors(lambda tensor: tensor[rows], chosen)

    def spread(self: BatchT, number: int) -> BatchT:
        """Return so many rows, evenly spread over all; where there are fewer, all of them again and again."""
        places = torch.arange(number, device=self.device)
        if number >= len(self):
            return self.select(places % len(self))
        return self.select((places * len(self)).div(number, rounding_mode="floor"))

    def split(self: BatchT, size: int) -> list[BatchT]:
        """Return the batch in pieces of at most ``size`` rows; one empty piece where there are no rows."""
        starts = range(0, max(1, len(self)), size)
        return [self.select(slice(start, start + size)) for start in starts]

    def joined(self) -> "TokenBatch":
        """Return each prompt and what completes it as one sequence, without columns; else the batch itself.

        With P and T the widths of prompts and completions the result is (B, P + T), real tokens first.
        """
        if self.prompt is None:
            return self
        places = completion_places(self.prompt, self.tokens.shape[1])  # (B, T)
        width = self.prompt.tokens.shape[1] + self.tokens.shape[1]
        tokens = self.tokens.new_zeros(len(self), width)
        mask = self.mask.new_zeros(len(self), width)
        tokens[:, : self.prompt.tokens.shape[1]] = self.prompt.tokens
        mask[:, : self.prompt.tokens.shape[1]] = self.prompt.mask
        # behind a short prompt its padding is overwritten by the completion
        return TokenBatch(tokens.scatter(1, places, self.tokens), mask.scatter(1, places, self.mask))

    def by_length(self) -> list[tuple[Int[Tensor, "R"], Int[Tensor, "R L"]]]:
        """Return the rows of each length, shortest first, and their real tokens: no padding is left.

        It waits for the device, since shapes depend on the lengths.
        """
        lengths = self.lengths
        rows = [
            ((lengths == length).nonzero().squeeze(1), length)
            for length in sorted(set(lengths.tolist())) or [0]
        ]
        return [(chosen, self.tokens[chosen, :length]) for chosen, length in rows]

    @classmethod
    def concatenate(cls, batches: Sequence["TokenBatch"]) -> "TokenBatch":
        """Return the rows of several batches of one width, one after another; columns are left out."""
        prompts = [batch.prompt for batch in batches if batch.prompt is not None]
        return TokenBatch(
            torch.cat([batch.tokens for batch in batches]),
            torch.cat([batch.mask for batch in batches]),
            prompt=TokenBatch.concatenate(prompts) if prompts else None,
        )

    def _map_tensors(self: BatchT, function: Any, choose: Any) -> BatchT:
        """Apply ``function`` to every tensor and ``choose`` to every column."""

        def mapped(value: Any) -> Any:
            if isinstance(value, TokenBatch):
                return value._map_tensors(function, choose)
            return function(value) if isinstance(value, Tensor) else value

        values = {f.name: mapped(getattr(self, f.name)) for f in dataclasses.fields(self)}
        values["columns"] = {name: choose(entries) for name, entries in self.columns.items()}
        return type(self)(**values)


def completion_places(prompt: TokenBatch, num_steps: int) -> Int[Tensor, "B T"]:
    """Return where the tokens of completions stand when each follows the real tokens of its prompt."""
    return prompt.lengths[:, None] + torch.arange(num_steps, device=prompt.device)


def replace_tokens(
    batch: TokenBatch, rows: Int[Tensor, "R"], tokens: Int[Tensor, "R S"], mask: Bool[Tensor, "R S"]
) -> TokenBatch:
    """Return R sequences that keep the prompts and columns of the given rows of ``batch``."""
    if batch.prompt is None and not batch.columns:  # the usual case, in which no list is walked through
        return TokenBatch(tokens, mask)
    context = TokenBatch(batch.tokens, batch.mask, prompt=batch.prompt, columns=batch.columns).select(rows)
    return TokenBatch(tokens, mask, prompt=context.prompt, columns=context.columns)
