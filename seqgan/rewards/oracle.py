"""The log-ratio of the oracle and the policy: what a perfect discriminator would say."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from seqgan.config.kinds import KindSettings
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class OracleRewardSettings(KindSettings):
    """Settings of the oracle's reward."""

    kind: str = "oracle"
    per_token: bool = False
    """Give each token its own log-ratio, for the estimators returns, group and gae; else one per sequence."""


class OracleReward:
    """log p(Y)/q(Y) of the oracle p and the policy q as it is now, in nats.

    That is the logit of the best possible discriminator, and its policy gradient that of −KL(q‖p). So it
    says how far an algorithm comes when the discriminator is no limit.

    Raises:
        ValueError: The corpus has no oracle.
    """

    def __init__(
        self,
        settings: OracleRewardSettings,
        *,
        oracle: Generator | None,
        policy: Generator,
        sampling: SamplingSettings,
    ) -> None:
        if oracle is None:
            raise ValueError("--reward.kind: oracle needs --corpus.kind oracle")
        self.settings = settings
        self.oracle = oracle
        self.policy = policy
        self.temperature = sampling.temperature

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"] | Float[Tensor, "B T"]:
        """Return the log-ratio of each sequence, or of each token given those before."""
        ratios = token_log_probs(self.oracle, batch) - token_log_probs(self.policy, batch, self.temperature)
        ratios = torch.where(batch.mask, ratios, 0.0)
        return ratios if self.settings.per_token else ratios.sum(1)


def token_log_probs(
    generator: Generator, batch: TokenBatch, temperature: float = 1.0
) -> Float[Tensor, "B T"]:
    """Return the log-probability of each token in nats, without gradient; meaningless behind the mask."""
    with inference(generator):
        hidden, targets = generator.hidden(batch).flatten(0, 1), batch.tokens.flatten()
        size = ROWS_PER_CHUNK.get(batch.device.type, 8192)  # rows of V logits at a time
        losses = [
            functional.cross_entropy(generator.head.logits(h) / temperature, target, reduction="none")
            for h, target in zip(torch.split(hidden, size), torch.split(targets, size), strict=True)
        ]
    return -torch.cat(losses).view(batch.tokens.shape)
