"""A reward of variety within a sequence."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class DistinctRewardSettings(KindSettings):
    """Settings of the reward of variety."""

    kind: str = "distinct"
    order: Annotated[int, Range(minimum=1)] = 2
    """Length of the n-grams that are compared; at least 1."""


class DistinctReward:
    """The number of different n-grams of a sequence over the number of all; 1 where it has none."""

    def __init__(self, settings: DistinctRewardSettings) -> None:
        self.settings = settings

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return a number from 0 to 1 for each sequence, EOS being a token like any other."""
        order = self.settings.order
        if batch.tokens.shape[1] < order:
            return torch.ones(len(batch), device=batch.device)
        grams = batch.tokens.unfold(1, order, 1)  # (B, T - n + 1, n)
        real = batch.mask[:, order - 1 :]  # (B, T - n + 1): whether the n-gram's last token is real
        same = (grams[:, :, None] == grams[:, None]).all(3) & real[:, None]
        repeats = same.tril(-1).any(2) & real  # an equal n-gram stands before it
        count = real.sum(1)
        return torch.where(count > 0, 1 - repeats.sum(1) / count.clamp(min=1), 1.0)
