"""Sampled sequences with the log-probabilities of the policy that drew them."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Trajectories:
    """Sampled sequences. The mask is True up to and including EOS; behind it tokens are PAD."""

    tokens: Int[Tensor, "B T"]
    log_probs: Float[Tensor, "B T"]
    """Nats, under the distribution that was sampled; 0 behind the mask and for a given prefix."""
    mask: Bool[Tensor, "B T"]
