"""Rewards that tell nothing, to run beside one that should: a gain counts over the best of them.

Any of them may lower NLL-oracle or raise BLEU, by sharpening the policy alone.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.rewards.reward import DiscriminatorReward, DiscriminatorRewardSettings, Scorer


@dataclass(frozen=True, kw_only=True)
class ConstantRewardSettings(KindSettings):
    """Settings of the constant reward."""

    kind: str = "constant"
    """Which reward: discriminator, constant, random, shuffled, or an import path package.module:name."""
    value: Annotated[float, Range()] = 1.0
    """The reward of every sequence."""


class ConstantReward:
    """The same reward for every sequence."""

    def __init__(
        self, settings: ConstantRewardSettings, scorer: Scorer, *, rng: torch.Generator | None = None
    ) -> None:
        self.settings = settings

    def __call__(self, tokens: Int[Tensor, "R T"], mask: Bool[Tensor, "R T"]) -> Float[Tensor, "R"]:
        """The value, R times."""
        return torch.full((len(tokens),), self.settings.value, device=tokens.device)


@dataclass(frozen=True, kw_only=True)
class RandomRewardSettings(KindSettings):
    """Settings of the random reward."""

    kind: str = "random"
    """Which reward: discriminator, constant, random, shuffled, or an import path package.module:name."""


class RandomReward:
    """A number drawn from [0, 1) for each sequence and each call."""

    def __init__(self, settings: RandomRewardSettings, scorer: Scorer, *, rng: torch.Generator) -> None:
        self.rng = rng

    def __call__(self, tokens: Int[Tensor, "R T"], mask: Bool[Tensor, "R T"]) -> Float[Tensor, "R"]:
        """R uniform numbers."""
        return torch.rand(len(tokens), generator=self.rng, device=tokens.device)


@dataclass(frozen=True, kw_only=True)
class ShuffledRewardSettings(DiscriminatorRewardSettings):
    """Settings of the shuffled reward: those of the discriminator's."""

    kind: str = "shuffled"
    """Which reward: discriminator, constant, random, shuffled, or an import path package.module:name."""


class ShuffledReward:
    """The discriminator's rewards, dealt out anew among the sequences of each call.

    Their distribution is the real one; only what they belong to is lost.
    """

    def __init__(self, settings: ShuffledRewardSettings, scorer: Scorer, *, rng: torch.Generator) -> None:
        self.reward = DiscriminatorReward(settings, scorer)
        self.rng = rng

    def __call__(self, tokens: Int[Tensor, "R T"], mask: Bool[Tensor, "R T"]) -> Float[Tensor, "R"]:
        """The rewards of the sequences, in a random order."""
        order = torch.randperm(len(tokens), generator=self.rng, device=tokens.device)
        return self.reward(tokens, mask)[order]
