"""Controls: advantages that tell nothing. A gain counts over the best of them.

A control acts on the advantages and not on the reward, since the baseline comes between the two: it
cancels a constant reward to no update at all, and returns a reward that was shuffled between sequences as
noise larger than the true advantages. Here every control keeps mean and standard deviation of the true
advantages, so that the policy is moved as far as by them, and takes away what they say of the actions:

``constant``
    mean ± standard deviation over the whole batch, each sign a fair coin: a constant reward seen through
    noise of the true size.
``random``
    normal numbers with the mean and standard deviation of the group.
``shuffled``
    the true advantages, dealt out anew within the group.

A group is the K actions of one step of one sequence; where K is 1, the sequences that reach a step.
The expected update, given the actions, is the mean advantage times the sum of the gradients of their
log-probabilities: exactly 0 for the leave-one-out baselines, whose advantages have mean 0 in every group.
Without a baseline it also has a share 1/N of the true gradient, N being the size of the group. A group of
one has nobody to exchange with and gets advantage 0.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqgan.advantages.action_values import ActionValues
from seqgan.config.kinds import KindSettings
from seqgan.text.masking import masked_mean

Control = Literal["none", "constant", "random", "shuffled"]
ValuesT = TypeVar("ValuesT", bound=ActionValues)


@dataclass(frozen=True, kw_only=True)
class EstimatorSettings(KindSettings):
    """Settings that every advantage estimator has."""

    control: Control = "none"
    """Replace the advantages by some of the same size that tell nothing: constant, random or shuffled."""


def apply_control(values: ValuesT, control: Control, rng: torch.Generator) -> ValuesT:
    """Return action values whose advantages are those of the control.

    The values stay true, for the log; the baseline becomes what leaves the control's advantages.
    """
    if control == "none":
        return values
    advantages = draw_control(values.advantages, values.mask, control, rng)
    return dataclasses.replace(values, baseline=values.values - advantages)


def draw_control(
    advantages: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"], control: Control, rng: torch.Generator
) -> Float[Tensor, "B T K"]:
    """Return numbers with mean and standard deviation of the advantages that tell nothing of the actions."""
    real = mask[..., None].expand_as(advantages)
    if control == "none":
        return advantages
    if control == "constant":
        mean = masked_mean(advantages, real)
        deviation = masked_mean((advantages - mean).square(), real).sqrt()
        coins = torch.rand(advantages.shape, generator=rng, device=advantages.device) < 0.5
        return torch.where(real, torch.where(coins, mean + deviation, mean - deviation), 0.0)
    # Groups as rows: (B·T, K), or (T, B) where there is one action per step.
    one_action = advantages.shape[-1] == 1
    groups, members = (part[..., 0].T if one_action else part.flatten(0, 1) for part in (advantages, real))
    draw = _deal_out if control == "shuffled" else _draw_normal
    drawn = draw(groups, members, rng)
    drawn = torch.where(members & (members.sum(1, keepdim=True) > 1), drawn, 0.0)
    return drawn.T[..., None] if one_action else drawn.view_as(advantages)


def _deal_out(
    groups: Float[Tensor, "G N"], members: Bool[Tensor, "G N"], rng: torch.Generator
) -> Float[Tensor, "G N"]:
    """Return each group's members in an order drawn anew; the places of the others mean nothing."""
    keys = torch.rand(groups.shape, generator=rng, device=groups.device).masked_fill(~members, 2.0)
    drawn = keys.argsort(1)  # (G, N): the members' places in random order, then the others
    places = (~members).int().argsort(dim=1, stable=True)  # (G, N): the same in their own order
    return torch.empty_like(groups).scatter_(1, places, groups.gather(1, drawn))


def _draw_normal(
    groups: Float[Tensor, "G N"], members: Bool[Tensor, "G N"], rng: torch.Generator
) -> Float[Tensor, "G N"]:
    """Return normal numbers with each group's mean and standard deviation."""
    count = members.sum(1, keepdim=True).clamp(min=1)
    mean = torch.where(members, groups, 0.0).sum(1, keepdim=True) / count
    variance = torch.where(members, (groups - mean).square(), 0.0).sum(1, keepdim=True) / count
    normal = torch.randn(groups.shape, generator=rng, device=groups.device)
    return mean + variance.sqrt() * normal
