"""Action values without rollouts: the rewards that a sequence has earned from each token on."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqgan.advantages.action_values import ActionValues
from seqgan.advantages.baselines import Baseline, BaselineSettings
from seqgan.advantages.controls import apply_control
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.rewards.reward import Reward, reward_at_the_end
from seqgan.sampling.trajectories import Trajectories


@dataclass(frozen=True, kw_only=True)
class ReturnsSettings(BaselineSettings):
    """Settings of the returns estimator."""

    kind: str = "returns"
    discount: Annotated[float, Range(minimum=0, maximum=1)] = 1.0
    """Weight of a reward one step later; below 1 less variance, and a bias towards early rewards."""


class Returns:
    """The discounted sum of the rewards from each token on (Williams 1992).

    A reward of the whole sequence is earned by its last token: without discount it is the value of every
    token. One call of the reward per policy step, unbiased without discount, more variance than rollouts.
    """

    def __init__(
        self, settings: ReturnsSettings, *, policy: Generator, reward: Reward, rng: torch.Generator
    ) -> None:
        self.settings = settings
        self.reward = reward
        self.rng = rng
        self.baseline = Baseline(settings.baseline, settings.baseline_decay, policy.device)

    @torch.no_grad()
    def __call__(self, policy: Generator, trajectories: Trajectories) -> ActionValues:
        """Return the sampled tokens with their returns and baselines."""
        mask = trajectories.mask
        rewards = self.reward(trajectories)
        if rewards.dim() == 1:
            rewards = reward_at_the_end(rewards, mask)
        values = rewards_to_go(rewards, mask, self.settings.discount)
        found = ActionValues.of_tokens(trajectories, values, self.baseline(values, mask))
        return apply_control(found, self.settings.control, self.rng)

    def start(self) -> None:
        """Do nothing: there is nothing to prepare."""

    def learn(self, trajectories: Trajectories, values: ActionValues) -> dict[str, Tensor]:
        """Return the mean return of whole sequences."""
        return {"reward/return": values.values[:, 0].mean()}

    def state_dict(self) -> dict[str, Any]:
        """Return the baseline's state."""
        return {"baseline": self.baseline.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.baseline.load_state_dict(state["baseline"])


def rewards_to_go(
    rewards: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], discount: float
) -> Float[Tensor, "B T"]:
    """Return r_t + discount · r_{t+1} + discount² · r_{t+2} + ..., up to the last real token; 0 behind it."""
    to_go = torch.where(mask, rewards, 0.0)
    for step in reversed(range(mask.shape[1] - 1)):
        to_go[:, step] += discount * to_go[:, step + 1]
    return to_go
