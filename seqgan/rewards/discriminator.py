"""The discriminator's reward (Yu et al. 2017, equation 4)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.models.discriminator import Discriminator
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class DiscriminatorRewardSettings(KindSettings):
    """Settings of the discriminator's reward."""

    kind: str = "discriminator"
    transform: Literal["probability", "logit"] = "probability"
    """The probability that a sequence is real (0 to 1), or its logit."""


class DiscriminatorReward:
    """The discriminator's score of whole sequences, as it is trained at that moment.

    ``probability`` is sigmoid(logit), the reward of Yu et al. 2017. ``logit`` is, for an optimal
    discriminator, log p(Y)/q(Y), so that its policy gradient is that of −KL(q‖p).
    """

    def __init__(self, settings: DiscriminatorRewardSettings, *, discriminator: Discriminator) -> None:
        self.settings = settings
        self.discriminator = discriminator

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the probability or the logit of each sequence."""
        return self.transformed(self.discriminator.score(batch))

    def of_alternatives(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Float[Tensor, "B T K"]:
        """Return the probability or logit of each prefix that ends in an alternative; 0 behind the mask."""
        rewards = self.transformed(self.discriminator.score_alternatives(batch, alternatives))
        return torch.where(batch.mask[..., None], rewards, 0.0)

    def transformed(self, logits: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
        """Return the rewards of sequences whose logits are known."""
        return logits.sigmoid() if self.settings.transform == "probability" else logits
