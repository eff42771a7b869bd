"""The adversarial step of LeakGAN: transition policy gradient for the manager, REINFORCE for the worker."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from leakgan.generator import LeakGANGenerator, Plan
from leakgan.losses import (
    goal_spread,
    intrinsic_rewards,
    manager_loss,
    progress,
    rescale,
    transition_cosines,
    transition_mask,
    values_of_transitions,
)
from seqgan.advantages.baselines import leave_one_out_mean
from seqgan.advantages.candidates import alternative_values
from seqgan.algorithms.reinforce import Reinforce, ReinforceSettings
from seqgan.config.ranges import Range
from seqgan.runtime.optimization import clipped_step
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import masked_mean


@dataclass(frozen=True, kw_only=True)
class LeakGANAlgorithmSettings(ReinforceSettings):
    """LeakGAN: REINFORCE for the worker, the transition policy gradient for the manager."""

    kind: str = "leakgan"
    """Which algorithm: leakgan, or an import path package.module:name."""
    manager_learning_rate: Annotated[float, Range(minimum=0)] = 1e-3
    """Adam step size of the manager."""
    manager_gradient_clip: Annotated[float, Range(minimum=0, open=True)] = 5.0
    """Largest norm of the manager's gradient."""
    rescaling: Annotated[float | None, Range(minimum=0, open=True)] = 16.0
    """Sharpness (delta) of the bootstrapped rescaling of rewards; none takes the rewards as they are."""
    intrinsic_weight: Annotated[float, Range(minimum=0, maximum=1)] = 1.0
    """Share of the intrinsic reward in the worker's, the paper's 1; the rest is the discriminator's."""


class LeakGANAlgorithm(Reinforce):
    """Manager and worker each take one step, with an optimizer and a clipping of their own.

    The discriminator's action values (rollouts, or prefixes as they stand with ``alternatives``) are
    rescaled over the batch and tell the manager which transitions were worth a goal. The worker is
    rewarded for every token that moves the features towards its goals. Both act on the goals that were
    sampled under: neither moves before both gradients are taken.
    """

    settings: LeakGANAlgorithmSettings
    policy: LeakGANGenerator

    def __init__(
        self, settings: LeakGANAlgorithmSettings, *, policy: LeakGANGenerator, **options: Any
    ) -> None:
        super().__init__(settings, policy=policy, parameters=policy.worker_parameters(), **options)
        self.manager_optimizer = torch.optim.Adam(
            policy.manager_parameters(), lr=settings.manager_learning_rate, fused=True
        )

    def policy_step(self, factor: float = 1.0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One step of both at ``factor`` of their step sizes; scalars, and values for histograms."""
        # 1. Act.
        trajectories = self._act()
        mask = trajectories.mask

        # 2. Judge: what the discriminator thinks of the tokens, and how far they went along the goals.
        plan = self.policy.plan(trajectories)
        values = self._discriminator_values(trajectories)
        intrinsic = intrinsic_rewards(plan.features, plan.goals.detach(), mask, self.policy.settings.horizon)
        actions, rewards, baseline = self._judge_worker(trajectories, plan, values, intrinsic)

        # 3. Learn: the worker from its rewards, the manager from the discriminator.
        metrics, histograms = self._learn(trajectories, actions, rewards, baseline, factor)
        metrics |= self._teach_manager(plan, values, mask, factor)
        metrics |= reward_metrics(values, intrinsic, mask)

        # 4. Let the rollout policy follow.
        self._follow()
        return metrics, histograms | {"manager/goal_norms": plan.norms}

    def _discriminator_values(self, trajectories: Trajectories) -> Float[Tensor, "B T"]:
        """What the discriminator thinks of each action: by rollouts, or of the prefixes as they stand."""
        tokens, mask = trajectories.tokens, trajectories.mask
        if not self.settings.alternatives:
            return self.action_values(self.rollout_policy, trajectories)
        assert self.reward is not None
        return alternative_values(tokens, mask, tokens[..., None], self.reward)[..., 0]

    def _judge_worker(
        self,
        trajectories: Trajectories,
        plan: Plan,
        values: Float[Tensor, "B T"],
        intrinsic: Float[Tensor, "B T"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Actions, their rewards and the baselines, all (B, T, K); without alternatives K is 1."""
        tokens, mask, weight = trajectories.tokens, trajectories.mask, self.settings.intrinsic_weight
        if not self.settings.alternatives:
            rewards = weight * intrinsic + (1 - weight) * self._rescale(values, mask)
            return tokens[..., None], rewards[..., None], self.baseline(rewards, mask)[..., None]
        assert self.reward is not None
        actions = self._draw_alternatives(trajectories)
        with self.policy.prepared("float32"):
            reached = self.policy.features.of_alternatives(tokens, actions)
            ways = [
                progress(each, plan.features, plan.goals.detach(), step, self.policy.settings.horizon)
                for step, each in enumerate(reached, 1)
            ]
        rewards = weight * torch.stack(ways, 1)
        if weight < 1:
            rewards += (1 - weight) * alternative_values(tokens, mask, actions, self.reward)
        return actions, rewards, leave_one_out_mean(rewards)

    def _rescale(self, values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        return values if self.settings.rescaling is None else rescale(values, mask, self.settings.rescaling)

    def _teach_manager(
        self, plan: Plan, values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], factor: float
    ) -> dict[str, Tensor]:
        """One step of the manager along its transition policy gradient."""
        horizon = self.policy.settings.horizon
        reaches = transition_mask(mask, horizon)
        cosines = transition_cosines(plan.features, plan.goals, horizon)
        worth = values_of_transitions(self._rescale(values, mask), horizon)
        loss = manager_loss(cosines, worth, reaches)
        self.manager_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient_norm = clipped_step(
            self.manager_optimizer,
            learning_rate=self.settings.manager_learning_rate * factor,
            gradient_clip=self.settings.manager_gradient_clip,
        )
        return {
            "manager/loss": loss.detach(),
            "manager/gradient_norm": gradient_norm,
            **goal_metrics(plan, cosines, mask, reaches),
        }

    def state_dict(self) -> dict[str, Any]:
        """What the worker's steps depend on, and the manager's optimizer."""
        return super().state_dict() | {"manager_optimizer": self.manager_optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        super().load_state_dict(state)
        self.manager_optimizer.load_state_dict(state["manager_optimizer"])


def goal_metrics(
    plan: Plan, cosines: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], reaches: Bool[Tensor, "B T"]
) -> dict[str, Tensor]:
    """How well goals were met, how long they were, and how much they differ between sequences."""
    return {
        "manager/goal_cosine": masked_mean(cosines.detach(), reaches),
        "manager/goal_norm": masked_mean(plan.norms.detach(), mask),
        "manager/goal_spread": goal_spread(plan.goals.detach(), mask),
    }


def reward_metrics(
    values: Float[Tensor, "B T"], intrinsic: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> dict[str, Tensor]:
    """The discriminator's mean reward of whole sequences, and the intrinsic reward, also step by step."""
    per_step = intrinsic.sum(0) / mask.sum(0).clamp(min=1)
    return {
        "reward/discriminator": values.gather(1, mask.sum(1, keepdim=True) - 1).mean(),
        "reward/intrinsic": masked_mean(intrinsic, mask),
        **{f"reward/intrinsic_{t + 1:02d}": value for t, value in enumerate(per_step.unbind())},
    }
