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

    def scoring_logits(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B"]:
        """:meth:`forward` for :meth:`score`: evaluation mode, no gradient, at most ``SCORING_ROWS`` rows."""
        logits: Tensor = self(tokens, mask)
        return logits

    def score(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B"]:
        """The logits that judge: no dropout, no gradient, any number of rows in bounded memory."""
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                chunks = zip(*(torch.split(part, self.SCORING_ROWS) for part in (tokens, mask)), strict=True)
                return torch.cat([self.scoring_logits(*chunk) for chunk in chunks])
        finally:
            self.train(was_training)
