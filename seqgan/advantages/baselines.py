"""Baselines: subtracted from action values, so that only differences push the policy."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqgan.advantages.controls import EstimatorSettings
from seqgan.config.ranges import Range
from seqgan.text.masking import masked_mean

BaselineKind = Literal["none", "ewma", "step_mean"]
RolloutBaselineKind = Literal["none", "ewma", "step_mean", "prefix"]


@dataclass(frozen=True, kw_only=True)
class BaselineSettings(EstimatorSettings):
    """Settings of estimators that value one action per step."""

    baseline: BaselineKind = "step_mean"
    """Subtracted from the action values: nothing, a running mean (ewma), or the others' mean at that step."""
    baseline_decay: Annotated[float, Range(minimum=0, maximum=1)] = 0.9
    """Decay of the running mean per policy step."""


def leave_one_out_step_mean(
    action_values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T"]:
    """Return for each step the mean over the *other* sequences of the batch that reach it.

    Leaving out the own value keeps the gradient unbiased. A step that only one sequence
    reaches has no others: its baseline is the mean over all steps of all other sequences' values.
    """
    values = torch.where(mask, action_values, 0.0)
    others_sum = values.sum(0) - values  # (B, T): the step's sum without the own value
    others_count = mask.sum(0) - mask.int()
    sequence_sum, sequence_count = values.sum(1, keepdim=True), mask.sum(1, keepdim=True)  # (B, 1)
    fallback = (values.sum() - sequence_sum) / (mask.sum() - sequence_count).clamp(min=1)
    return torch.where(others_count > 0, others_sum / others_count.clamp(min=1), fallback)


def prefix_baseline(
    action_values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], interval: int
) -> Float[Tensor, "B T"]:
    """Return for each action the Monte-Carlo value of the prefix that it continues.

    With an interval c that is the last prefix of a multiple of c tokens, whose completions have been drawn
    and scored anyway. They do not depend on the action, so the gradient stays unbiased. The first c actions,
    which continue the empty prefix, take :func:`leave_one_out_step_mean`.
    """
    steps = torch.arange(action_values.shape[1], device=action_values.device)
    before = steps // interval * interval - 1  # the last action of the block before, whose value that is
    values = action_values[:, before.clamp(min=0)]
    return torch.where(before < 0, leave_one_out_step_mean(action_values, mask), values)


def leave_one_out_mean(values: Float[Tensor, "B T K"]) -> Float[Tensor, "B T K"]:
    """Return the mean of the other K − 1 values of the same step of the same sequence."""
    return (values.sum(-1, keepdim=True) - values) / (values.shape[-1] - 1)


class Baseline:
    """A baseline with the little memory that it needs.

    ``none`` is 0; ``ewma`` is an exponentially weighted mean of past batches' mean action value
    (0 before the first); ``step_mean`` is :func:`leave_one_out_step_mean`, ``prefix``
    :func:`prefix_baseline`.
    """

    def __init__(
        self, kind: RolloutBaselineKind, decay: float, device: torch.device, *, interval: int = 1
    ) -> None:
        self.kind = kind
        self.decay = decay
        self.interval = interval
        self._mean = torch.zeros((), device=device)
        self._weight = torch.zeros((), device=device)

    def __call__(
        self, action_values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T"]:
        """Return the baseline of each action; ``ewma`` then takes the batch into its mean."""
        if self.kind == "step_mean":
            return leave_one_out_step_mean(action_values, mask)
        if self.kind == "prefix":
            return prefix_baseline(action_values, mask, self.interval)
        if self.kind == "none":
            return torch.zeros_like(action_values)
        baseline = (self._mean / self._weight.clamp(min=1e-8)).expand_as(action_values).clone()
        self._mean.lerp_(masked_mean(action_values, mask), 1 - self.decay)
        self._weight.lerp_(torch.ones_like(self._weight), 1 - self.decay)
        return baseline

    def state_dict(self) -> dict[str, Tensor]:
        """Return the running mean and its weight."""
        return {"mean": self._mean.clone(), "weight": self._weight.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._mean.copy_(state["mean"])
        self._weight.copy_(state["weight"])
