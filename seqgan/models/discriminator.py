"""The contract of discriminators."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seqgan.models.inference import inference
from seqgan.text.alternatives import score_by_step
from seqgan.text.token_batch import TokenBatch


class Discriminator(nn.Module, ABC):
    """A model that tells real sequences from generated ones.

    Its output is a logit, the log-odds that a sequence is real: trained to the end with as many
    real as generated sequences it is log p(Y)/q(Y). Masks are True on real tokens, up to and
    including EOS, and nothing depends on the tokens behind them. A sequence without a single
    real token gets the logit of the empty prefix.

    A subclass defines :meth:`logits`, :meth:`prefix_logits` and :meth:`penalty`, and
    :meth:`scoring_logits` and :meth:`alternative_logits` where it knows a faster way than :meth:`logits`.
    One that reads tokens by :func:`embed` takes relaxed tokens too.
    """

    SCORING_ROWS: ClassVar[int] = 20_000
    """Rows that :meth:`score` works on at a time, which bounds its memory."""

    @abstractmethod
    def logits(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the logit of every sequence, with gradient, and with dropout in training mode."""

    @abstractmethod
    def prefix_logits(self, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return the logit of every prefix ``tokens[:, :t + 1]`` alone; meaningless behind the mask."""

    @abstractmethod
    def penalty(self) -> Float[Tensor, ""]:
        """Return what regularisation adds to the loss of a step, with gradient."""

    def scoring_logits(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return :meth:`logits` as :meth:`score` needs them: of ids, at most ``SCORING_ROWS`` rows.

        It is called in evaluation mode, without gradient, and not for relaxed tokens.
        """
        return self.logits(batch)

    def score(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the logits without dropout and gradient, of any number of rows in bounded memory.

        What completes a prompt is judged as one sequence with it.
        """
        batch = batch.joined()
        logits = self.scoring_logits if batch.relaxed is None else self.logits
        with inference(self):
            return torch.cat([logits(part) for part in batch.split(self.SCORING_ROWS)])

    def alternative_logits(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Float[Tensor, "B T K"]:
        """Return the logit of y_1..y_{t-1} followed by each of K alternatives for y_t.

        It is called as :meth:`scoring_logits` is, and means nothing behind the mask. By default every prefix
        is written out; a subclass may know a faster way.
        """
        return score_by_step(batch, alternatives, self.score)

    def score_alternatives(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Float[Tensor, "B T K"]:
        """Return :meth:`alternative_logits` without dropout and gradient, in bounded memory."""
        if batch.prompt is not None or batch.relaxed is not None:
            return score_by_step(batch, alternatives, self.score)
        size = max(1, self.SCORING_ROWS // max(1, alternatives[:1].numel()))
        with inference(self):
            pieces = zip(batch.split(size), torch.split(alternatives, size), strict=True)
            return torch.cat([self.alternative_logits(*piece) for piece in pieces])


def embed(table: Float[Tensor, "V E"], batch: TokenBatch) -> Float[Tensor, "B T E"]:
    """Return each token's row of a table; for relaxed tokens the mixture of rows, with their gradient."""
    if batch.relaxed is None:
        return functional.embedding(batch.tokens, table)
    return batch.relaxed @ table
