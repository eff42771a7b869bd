"""A reward of the length of a sequence."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class LengthRewardSettings(KindSettings):
    """Settings of the reward of length."""

    kind: str = "length"
    target: Annotated[int, Range(minimum=1)] = 10
    """Tokens that a sequence should have, EOS apart; at least 1."""


class LengthReward:
    """1 at the target length, less 1/target for every token too many or too few, and never below 0."""

    def __init__(self, settings: LengthRewardSettings, *, eos_id: int | None) -> None:
        self.settings = settings
        self.eos_id = eos_id

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return a number from 0 to 1 for each sequence."""
        words = batch.mask if self.eos_id is None else batch.mask & (batch.tokens != self.eos_id)
        lengths, target = words.sum(1).float(), self.settings.target
        return (1 - (lengths - target).abs() / target).clamp(min=0)
