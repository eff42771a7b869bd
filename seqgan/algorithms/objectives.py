"""Objectives of policy learning, as pure functions of log-probabilities; each is a sum that is minimised.

``weights`` stand where a mask would: the share of each token in the sum, 0 behind the mask
(:func:`token_weights`). So a mean over a batch can be taken in chunks.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Reduction = Literal["mean", "sum"]


def token_weights(mask: Bool[Tensor, "B T"], reduction: Reduction) -> Float[Tensor, "B T"]:
    """Return the weight of each token in a mean over the real ones, or in their sum; 0 behind the mask."""
    real = mask.float()
    return real if reduction == "sum" else real / mask.sum().clamp(min=1)


def policy_gradient(
    log_probs: Float[Tensor, "*N"], advantages: Float[Tensor, "*N"], weights: Float[Tensor, "*N"]
) -> Float[Tensor, ""]:
    """Return −Σ w · log π(action) · A, whose gradient is that of REINFORCE; no gradient reaches A."""
    return (-log_probs * (advantages * weights).detach()).sum()


def clipped_policy_gradient(
    log_probs: Float[Tensor, "*N"],
    old_log_probs: Float[Tensor, "*N"],
    advantages: Float[Tensor, "*N"],
    weights: Float[Tensor, "*N"],
    clip_range: float,
) -> Float[Tensor, ""]:
    """Return −Σ w · min(ρA, clip(ρ, 1 ± ε)A) with ρ = π(action) / π_old(action).

    Schulman et al. 2017, equation 7. Where ρ is 1 its gradient is that of :func:`policy_gradient`; where the
    action has already moved by more than ε in the direction of its advantage there is none.
    """
    ratio = (log_probs - old_log_probs.detach()).exp()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    advantages = advantages.detach()
    return -(torch.minimum(ratio * advantages, clipped * advantages) * weights.detach()).sum()


def entropy_bonus(log_probs: Float[Tensor, "*N V"], weights: Float[Tensor, "*N"]) -> Float[Tensor, ""]:
    """Return −Σ w · H(π) of whole distributions, in nats."""
    return (weights * (log_probs.exp() * log_probs).sum(-1)).sum()


def kl_penalty(
    log_probs: Float[Tensor, "*N V"], reference: Float[Tensor, "*N V"], weights: Float[Tensor, "*N"]
) -> Float[Tensor, ""]:
    """Return Σ w · KL(π ‖ reference) of whole distributions, in nats."""
    return (weights * (log_probs.exp() * (log_probs - reference)).sum(-1)).sum()
