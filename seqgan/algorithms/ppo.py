"""Proximal policy optimisation: several passes over the same samples (Schulman et al. 2017)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.advantages.action_values import ActionValues
from seqgan.algorithms.differentiation import log_probs_of
from seqgan.algorithms.objectives import clipped_policy_gradient
from seqgan.algorithms.reinforce import Reinforce, ReinforceSettings, spread
from seqgan.config.ranges import Range
from seqgan.sampling.trajectories import Trajectories


@dataclass(frozen=True, kw_only=True)
class PPOSettings(ReinforceSettings):
    """Settings of PPO: those of REINFORCE, and how often the same samples are gone through."""

    kind: str = "ppo"
    epochs: Annotated[int, Range(minimum=1)] = 4
    """Passes over the sampled sequences in a policy step; at least 1."""
    num_minibatches: Annotated[int, Range(minimum=1)] = 1
    """Parts that each pass takes the sequences in, with a step of the optimizer for each; at least 1."""
    clip_range: Annotated[float, Range(minimum=0, open=True)] = 0.2
    """Change of an action's probability, as a share of it, beyond which nothing is gained."""


class PPO(Reinforce):
    """REINFORCE's step taken several times, so that rewards and rollouts are computed once.

    The first step has REINFORCE's gradient. In the later ones the policy is not the one that has sampled:
    actions count by the ratio of their probabilities, which is clipped.
    """

    settings: PPOSettings

    def learn(self, trajectories: Trajectories, values: ActionValues, rate: float) -> dict[str, Tensor]:
        """Take a step for each minibatch of each epoch; return the means of their metrics."""
        advantages = self.advantages(values)
        old = log_probs_of(
            self.policy, trajectories, values.actions, temperature=self.sampling.temperature
        )  # (B, T, K)
        reports = [
            self.descend(trajectories.select(rows), values.actions[rows], advantages[rows], rate, old[rows])
            for _ in range(self.settings.epochs)
            for rows in self._minibatches(len(trajectories))
        ]
        means = {name: torch.stack([report[name] for report in reports]).mean() for name in reports[0]}
        return means | spread(advantages, values.mask)

    def _minibatches(self, num_sequences: int) -> list[Int[Tensor, "R"]]:
        """Return the rows of each minibatch, drawn anew."""
        if self.settings.num_minibatches == 1:
            return [torch.arange(num_sequences, device=self.rng.device)]
        order = torch.randperm(num_sequences, generator=self.rng, device=self.rng.device)
        return list(order.chunk(self.settings.num_minibatches))

    def surrogate(
        self,
        log_probs: Float[Tensor, "R K"],
        old_log_probs: Float[Tensor, "R K"],
        advantages: Float[Tensor, "R K"],
        weights: Float[Tensor, "R K"],
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, "R K"]]]:
        """Return the clipped policy gradient, and of each action whether its ratio is clipped.

        Beside it stands (ρ − 1) − ln ρ, never negative, whose mean over samples is that of
        KL(policy that sampled || policy) (Schulman 2020).
        """
        clip_range = self.settings.clip_range
        loss = clipped_policy_gradient(log_probs, old_log_probs, advantages, weights, clip_range)
        log_ratio = (log_probs - old_log_probs).detach()
        ratio = log_ratio.exp()
        clipped = ((ratio - 1).abs() > clip_range).float()
        return loss, {"policy/clip_fraction": clipped, "policy/old_kl": ratio - 1 - log_ratio}
