"""The log-ratio of the oracle and the policy: what a perfect discriminator would say."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
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
        ratios = self._ratios(batch, batch.tokens[..., None])[..., 0]  # (B, T)
        ratios = torch.where(batch.mask, ratios, 0.0)
        return ratios if self.settings.per_token else ratios.sum(1)

    def of_alternatives(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Float[Tensor, "B T K"]:
        """Return the log-ratio of each prefix that ends in an alternative; 0 behind the mask."""
        ratios = self._ratios(batch, torch.cat([batch.tokens[..., None], alternatives], 2))
        before = functional.pad(ratios[:, :-1, :1].cumsum(1), (0, 0, 1, 0))  # (B, T, 1): of y_1..y_{t-1}
        return torch.where(batch.mask[..., None], before + ratios[..., 1:], 0.0)

    def _ratios(self, batch: TokenBatch, actions: Int[Tensor, "B T K"]) -> Float[Tensor, "B T K"]:
        of_oracle = action_log_probs(self.oracle, batch, actions)
        return of_oracle - action_log_probs(self.policy, batch, actions, self.temperature)


def action_log_probs(
    generator: Generator, batch: TokenBatch, actions: Int[Tensor, "B T K"], temperature: float = 1.0
) -> Float[Tensor, "B T K"]:
    """Return the log-probability of K tokens at each step in nats, without gradient."""
    with inference(generator):
        hidden = generator.hidden(batch).flatten(0, 1)  # (B·T, H)
        size = ROWS_PER_CHUNK.get(batch.device.type, 8192)  # rows of V logits at a time
        found = [
            torch.log_softmax(generator.head.logits(rows) / temperature, -1).gather(-1, chosen)
            for rows, chosen in zip(
                torch.split(hidden, size), torch.split(actions.flatten(0, 1), size), strict=True
            )
        ]
    return torch.cat(found).view(actions.shape)
