"""The contract of rewards, and the discriminator's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.text.token_batch import TokenBatch

Scorer = Callable[[TokenBatch], Float[Tensor, "R"]]


@runtime_checkable
class Reward(Protocol):
    """Anything that gives finished sequences a number; a plain function will do.

    ``mask`` is True up to and including EOS, and what lies behind it must not matter. It is called
    without gradient and puts whatever it asks into evaluation mode itself.
    """

    def __call__(self, tokens: Int[Tensor, "R T"], mask: Bool[Tensor, "R T"]) -> Float[Tensor, "R"]:
        """The reward of each sequence; the greater the better."""
        ...


@runtime_checkable
class DenseReward(Protocol):
    """A reward of every prefix, given at each step of finished sequences; it needs no rollouts."""

    def __call__(self, tokens: Int[Tensor, "R T"], mask: Bool[Tensor, "R T"]) -> Float[Tensor, "R T"]:
        """The reward at each step; 0 behind the mask."""
        ...


@dataclass(frozen=True, kw_only=True)
class DiscriminatorRewardSettings(KindSettings):
    """Settings of the discriminator's reward."""

    kind: str = "discriminator"
    """Which reward: discriminator, constant, random, shuffled, or an import path package.module:name."""
    transform: Literal["probability", "logit"] = "probability"
    """What is made of the discriminator's logit: the probability of being real (0 to 1), or itself."""


class DiscriminatorReward:
    """What a discriminator thinks of a sequence.

    ``scorer`` gives the logit of being real. ``probability`` is sigmoid(logit), the reward of
    Yu et al. 2017; ``logit`` is, for an optimal discriminator, log p(Y)/q(Y), so that its policy
    gradient is that of -KL(q||p). Nothing here is random: ``rng`` takes no part.
    """

    def __init__(
        self, settings: DiscriminatorRewardSettings, scorer: Scorer, *, rng: torch.Generator | None = None
    ) -> None:
        self.settings = settings
        self.scorer = scorer

    def __call__(self, tokens: Int[Tensor, "R T"], mask: Bool[Tensor, "R T"]) -> Float[Tensor, "R"]:
        """The transformed logit of each sequence."""
        logits = self.scorer(TokenBatch(tokens, mask))
        return logits.sigmoid() if self.settings.transform == "probability" else logits
