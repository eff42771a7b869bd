"""The sum of the CNN and the pairs discriminator."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorSettings
from seqgan.models.discriminator import Discriminator
from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings


@dataclass(frozen=True, kw_only=True)
class CNNAndPairsDiscriminatorSettings(KindSettings):
    """Settings of the sum of the CNN and the pairs discriminator."""

    kind: str = "cnn+pairs"
    """Which discriminator: cnn, pairs, cnn+pairs, or an import path package.module:name."""
    cnn: CNNDiscriminatorSettings = field(default_factory=CNNDiscriminatorSettings)
    """The convolutional part."""
    pairs: PairsDiscriminatorSettings = field(default_factory=PairsDiscriminatorSettings)
    """The part of neighbouring tokens."""


class CNNAndPairsDiscriminator(Discriminator):
    """The sum of two logits, trained together: the CNN learns what pairs of tokens leave unexplained."""

    def __init__(
        self,
        settings: CNNAndPairsDiscriminatorSettings,
        *,
        vocabulary_size: int,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.cnn = CNNDiscriminator(settings.cnn, vocabulary_size=vocabulary_size, rng=rng)
        self.pairs = PairsDiscriminator(settings.pairs, vocabulary_size=vocabulary_size, rng=rng)

    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B"]:
        """The sum of the parts' logits."""
        cnn, pairs = self.cnn(tokens, mask), self.pairs(tokens, mask)
        total: Tensor = cnn + pairs
        return total

    def prefix_logits(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """The sum of the parts' logits of every prefix; behind the mask it means nothing."""
        return self.cnn.prefix_logits(tokens, mask) + self.pairs.prefix_logits(tokens, mask)

    def penalty(self) -> Float[Tensor, ""]:
        """The sum of the parts' penalties."""
        return self.cnn.penalty() + self.pairs.penalty()

    def scoring_logits(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B"]:
        """The sum of the parts' logits, each by its fastest way."""
        return self.cnn.scoring_logits(tokens, mask) + self.pairs.scoring_logits(tokens, mask)
