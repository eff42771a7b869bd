"""Batches of padded sequences, in an order that can be resumed at any position."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int64

from seqgan.runtime.seeding import make_rng
from seqgan.text.context import Part
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch


def pad(sequences: Sequences, pad_id: int, length: int | None = None) -> TokenBatch:
    """Return all sequences as one batch, filled up with ``pad_id`` to the longest, or to ``length``.

    Raises:
        ValueError: A sequence is longer than ``length``.
    """
    lengths = sequences.lengths
    longest = int(lengths.max(initial=0))
    if length is not None and longest > length:
        raise ValueError(f"a sequence of {longest} tokens does not fit into {length}")
    mask = np.arange(longest if length is None else length) < lengths[:, None]  # (N, T)
    tokens = np.full(mask.shape, pad_id, np.int64)
    tokens[mask] = sequences.ids  # row by row, as the ids lie one after another
    return TokenBatch(torch.from_numpy(tokens), torch.from_numpy(mask))


def pad_part(
    part: Part, pad_id: int, length: int | None = None, prompt_length: int | None = None
) -> TokenBatch:
    """Return all sequences of a part as one batch, as :func:`pad` does, with their prompts and columns.

    Raises:
        ValueError: A sequence is longer than ``length``, or a prompt than ``prompt_length``.
    """
    batch, context = pad(part.sequences, pad_id, length), part.context
    if context is None:
        return batch
    # the prompts carry the columns too, since samples that complete them get them from there
    prompt = dataclasses.replace(pad(context.prompts, pad_id, prompt_length), columns=context.columns)
    return dataclasses.replace(batch, prompt=prompt, columns=context.columns)


class Batches:
    """The batches of every epoch, each addressable by its epoch and its position in it.

    The order of an epoch depends on the seed and the epoch only, so that a run goes on from any
    position as if it had never stopped. Each epoch holds every sequence once, in a new order;
    ``drop_last`` leaves out a last batch that is not full. Batches are trimmed to their longest
    sequence and prompt, unless ``length`` and ``prompt_length`` fix their width (static shapes for CUDA).

    Raises:
        ValueError: There is no full batch and ``drop_last`` is set, or there are no sequences.
    """

    def __init__(
        self,
        part: Part,
        *,
        batch_size: int,
        pad_id: int,
        seed: int,
        drop_last: bool = False,
        length: int | None = None,
        prompt_length: int | None = None,
    ) -> None:
        self.part = part
        self.batch_size = batch_size
        self.pad_id = pad_id
        self.seed = seed
        self.length = length
        self.prompt_length = prompt_length
        number = len(part)
        self.num_batches = number // batch_size if drop_last else -(-number // batch_size)
        if self.num_batches == 0:
            raise ValueError(f"{number} sequences do not fill one batch of {batch_size}")
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def order(self, epoch: int) -> Int64[np.ndarray, "N"]:
        """Return the rows of the sequences in the order in which this epoch reads them."""
        if epoch != self._epoch:
            rng = make_rng("cpu", self.seed, "batches", epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self.part), generator=rng).numpy()
        return self._order

    def rows_at(self, epoch: int, index: int) -> Int64[np.ndarray, "R"]:
        """Return the rows of the sequences of batch ``index`` of an epoch.

        Raises:
            IndexError: The epoch has no such batch.
        """
        start = range(self.num_batches)[index] * self.batch_size
        return self.order(epoch)[start : start + self.batch_size]

    def batch_at(self, epoch: int, index: int) -> TokenBatch:
        """Return batch ``index`` of an epoch.

        Raises:
            IndexError: The epoch has no such batch.
        """
        rows = self.rows_at(epoch, index)
        return pad_part(self.part.select(rows), self.pad_id, self.length, self.prompt_length)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[TokenBatch]:
        """Return the batches of an epoch from position ``start`` on."""
        return (self.batch_at(epoch, index) for index in range(start, self.num_batches))
