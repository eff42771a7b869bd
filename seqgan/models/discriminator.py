"""The contract of every discriminator."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class Discriminator(nn.Module, ABC):
    """A model that tells real sequences from generated ones.

    Its output is a logit, the log-odds that a sequence is real: trained to the end with as many
    real as generated sequences it is log p(Y)/q(Y). Masks are True on real tokens, up to and
    including EOS, and nothing depends on the tokens behind them. A sequence without a single
    real token gets the logit of the empty prefix.

    A subclass defines :meth:`forward`, :meth:`prefix_logits` and :meth:`penalty`, and
    :meth:`scoring_logits` where it knows a faster way than :meth:`forward`.
    """

    SCORING_ROWS: ClassVar[int] = 20_000
    """Rows that :meth:`score` works on at a time, which bounds its memory."""

    @abstractmethod
    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B"]:
        """The logit of every sequence, with gradient, and with dropout in training mode."""

    @abstractmethod
    def prefix_logits(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """The logit of every prefix ``tokens[:, :t + 1]`` alone; behind the mask it means nothing."""

    @abstractmethod
    def penalty(self) -> Float[Tensor, ""]:
        """What regularisation adds to the loss of a step, with gradient."""

    def scoring_logits(
        self,
        tokens: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        prefix_lengths: Int[Tensor, "P"] | None = None,
    ) -> Float[Tensor, "B"]:
        """:meth:`forward` for :meth:`score`: evaluation mode, no gradient, at most ``SCORING_ROWS`` rows."""
        logits: Tensor = self(tokens, mask)
        return logits

    def score(
        self,
        tokens: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        prefix_lengths: Int[Tensor, "P"] | None = None,
    ) -> Float[Tensor, "B"]:
        """The logits that judge: no dropout, no gradient, any number of rows in bounded memory.

        ``prefix_lengths`` says that the rows are P groups, one after another and equally large, in
        each of which the first ``prefix_lengths[p]`` tokens are real and the same. That changes
        nothing but the work that has to be done.
        """
        if not len(tokens):
            return tokens.new_zeros(0, dtype=torch.float)
        group_size = 1 if prefix_lengths is None else len(tokens) // len(prefix_lengths)
        num_groups = max(1, self.SCORING_ROWS // group_size)
        chunks = [torch.split(part, num_groups * group_size) for part in (tokens, mask)]
        hints = [None] * len(chunks[0]) if prefix_lengths is None else prefix_lengths.split(num_groups)
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return torch.cat([self.scoring_logits(*chunk) for chunk in zip(*chunks, hints, strict=True)])
        finally:
            self.train(was_training)
