"""The contract of discriminators."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from seqgan.models.inference import inference
from seqgan.text.token_batch import TokenBatch


class Discriminator(nn.Module, ABC):
    """A model that tells real sequences from generated ones.

    Its output is a logit, the log-odds that a sequence is real: trained to the end with as many
    real as generated sequences it is log p(Y)/q(Y). Masks are True on real tokens, up to and
    including EOS, and nothing depends on the tokens behind them. A sequence without a single
    real token gets the logit of the empty prefix.

    A subclass defines :meth:`logits`, :meth:`prefix_logits` and :meth:`penalty`, and
    :meth:`scoring_logits` where it knows a faster way than :meth:`logits`. One that reads tokens by
    :func:`embed` takes relaxed tokens too.
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


def embed(table: Float[Tensor, "V E"], batch: TokenBatch) -> Float[Tensor, "B T E"]:
    """Return each token's row of a table; for relaxed tokens the mixture of rows, with their gradient."""
    if batch.relaxed is None:
        return functional.embedding(batch.tokens, table)
    return batch.relaxed @ table
