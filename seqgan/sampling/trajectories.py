"""Sampled sequences with the log-probabilities of the policy that drew them."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectories(TokenBatch):
    """Sampled sequences; behind the mask tokens are PAD."""

    log_probs: Float[Tensor, "B T"]
    """Nats under the behaviour policy; 0 behind the mask."""
