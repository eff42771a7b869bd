"""Advantages of whole sequences beside others of their group: leave-one-out and group-relative."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.advantages.action_values import ActionValues
from seqgan.advantages.controls import EstimatorSettings, apply_control
from seqgan.models.generator import Generator
from seqgan.rewards.reward import Reward
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class GroupSettings(EstimatorSettings):
    """Settings of the group estimator."""

    kind: str = "group"
    baseline: Literal["leave_one_out", "mean"] = "leave_one_out"
    """Subtracted from a sequence's reward: the mean of the others of its group (RLOO), or of all (GRPO)."""
    scale: bool = False
    """Divide by the group's standard deviation, as GRPO does; that is biased towards groups that agree."""


class Group:
    """Every token is worth what its whole sequence earns, less what others of its group earn.

    A group is the sequences of one prompt; without prompts the whole batch is one. ``leave_one_out`` is RLOO
    (Kool et al. 2019; Ahmadian et al. 2024), unbiased. ``mean`` with ``scale`` is GRPO (Shao et al. 2024). A
    sequence that is alone in its group has advantage 0.
    """

    def __init__(self, settings: GroupSettings, *, reward: Reward, rng: torch.Generator) -> None:
        self.settings = settings
        self.reward = reward
        self.rng = rng

    @torch.no_grad()
    def __call__(self, policy: Generator, trajectories: Trajectories) -> ActionValues:
        """Return the sampled tokens, all of a sequence with the same value and baseline."""
        rewards, mask = self.reward(trajectories), trajectories.mask
        totals = rewards if rewards.dim() == 1 else torch.where(mask, rewards, 0.0).sum(1)
        advantages = group_advantages(
            totals, groups_of(trajectories), self.settings.baseline, scale=self.settings.scale
        )
        values = torch.where(mask, totals[:, None], 0.0)  # (B, T)
        baseline = values - torch.where(mask, advantages[:, None], 0.0)
        found = ActionValues.of_tokens(trajectories, values, baseline)
        return apply_control(found, self.settings.control, self.rng)

    def start(self) -> None:
        """Do nothing: there is nothing to prepare."""

    def learn(self, trajectories: Trajectories, values: ActionValues) -> dict[str, Tensor]:
        """Return the mean reward of whole sequences."""
        return {"reward/return": values.values[:, 0].mean()}

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: no step depends on another."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""


def groups_of(batch: TokenBatch) -> Int[Tensor, "B"]:
    """Return a number for each row, the same where prompts are the same."""
    if batch.prompt is None:
        return torch.zeros(len(batch), dtype=torch.long, device=batch.device)
    prompts = torch.where(batch.prompt.mask, batch.prompt.tokens, -1)  # (B, P)
    return (prompts[:, None] == prompts).all(2).int().argmax(1)  # the first row with the same prompt


def group_advantages(
    rewards: Float[Tensor, "B"],
    groups: Int[Tensor, "B"],
    baseline: Literal["leave_one_out", "mean"],
    *,
    scale: bool,
) -> Float[Tensor, "B"]:
    """Return rewards less the group's baseline, if asked over the group's standard deviation."""
    same = (groups[:, None] == groups).to(rewards.dtype)  # (B, B)
    size = same.sum(1)
    mean = same @ rewards / size
    centred = rewards - mean
    # the mean of the others: r − (S − r)/(n − 1) is n/(n − 1) times r − S/n
    factor = size / (size - 1).clamp(min=1) if baseline == "leave_one_out" else torch.ones_like(size)
    if scale:
        factor = factor / (same @ centred.square() / size).sqrt().clamp(min=1e-4)
    return centred * factor
