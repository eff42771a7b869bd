"""The sum of the CNN and the pairs discriminator."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorSettings
from seqgan.models.discriminator import Discriminator
from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class CNNAndPairsDiscriminatorSettings(KindSettings):
    """Settings of the sum of the CNN and the pairs discriminator."""

    kind: str = "cnn+pairs"
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

    def logits(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the sum of the parts' logits."""
        return self.cnn.logits(batch) + self.pairs.logits(batch)

    def prefix_logits(self, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return the sum of the parts' logits of every prefix; meaningless behind the mask."""
        return self.cnn.prefix_logits(batch) + self.pairs.prefix_logits(batch)

    def penalty(self) -> Float[Tensor, ""]:
        """Return the sum of the parts' penalties."""
        return self.cnn.penalty() + self.pairs.penalty()

    def scoring_logits(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the sum of the parts' logits, each by its fastest way."""
        return self.cnn.scoring_logits(batch) + self.pairs.scoring_logits(batch)

    def alternative_logits(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Float[Tensor, "B T K"]:
        """Return the sum of the parts' logits of each prefix that ends in an alternative."""
        logits = self.cnn.alternative_logits(batch, alternatives)
        return logits + self.pairs.alternative_logits(batch, alternatives)
