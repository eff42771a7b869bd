"""The adversarial step of LeakGAN: transition policy gradient for the manager, REINFORCE for the worker."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from leakgan.estimators import LeakGANValues
from leakgan.generator import LeakGANGenerator, Plan
from leakgan.losses import (
    goal_spread,
    manager_loss,
    transition_cosines,
    transition_mask,
    values_of_transitions,
)
from seqgan.advantages.action_values import ActionValues, AdvantageEstimator
from seqgan.algorithms.reinforce import Reinforce, ReinforceSettings
from seqgan.config.ranges import Range
from seqgan.runtime.optimization import Optimizer
from seqgan.sampling.settings import SamplingSettings
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import masked_mean
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class LeakGANAlgorithmSettings(ReinforceSettings):
    """Settings of LeakGAN's policy step: those of REINFORCE are the worker's."""

    kind: str = "leakgan"
    kl_weight: Annotated[float, Range(minimum=0)] = 0.0
    """Weight of KL(policy || reference), nats per token: the MLE policy's weights on today's features."""
    manager_learning_rate: Annotated[float, Range(minimum=0)] = 1e-3
    """Adam step size of the manager."""
    manager_gradient_clip: Annotated[float, Range(minimum=0, open=True)] = 5.0
    """Largest norm of the manager's gradient."""


class LeakGANAlgorithm(Reinforce):
    """One step of the worker and one of the manager, with an optimizer and a clipping of their own.

    The worker follows the policy gradient of its action values; the manager the transition policy gradient
    of the discriminator's, which say what transitions were worth a goal. Both learn from the goals that were
    sampled under: neither optimizer steps before both gradients are taken.

    Raises:
        ValueError: The corpus has prompts, which LeakGAN cannot be trained to complete.
    """

    settings: LeakGANAlgorithmSettings
    policy: LeakGANGenerator

    def __init__(
        self,
        settings: LeakGANAlgorithmSettings,
        *,
        policy: LeakGANGenerator,
        estimator: AdvantageEstimator,
        sampling: SamplingSettings,
        eos_id: int | None,
        max_length: int,
        rng: torch.Generator,
        prompts: TokenBatch | None = None,
    ) -> None:
        if prompts is not None:
            raise ValueError(
                "--corpus.kind: the corpus has prompts, and LeakGAN cannot be trained to complete them; "
                "use seqgan"
            )
        super().__init__(
            settings,
            policy=policy,
            estimator=estimator,
            sampling=sampling,
            eos_id=eos_id,
            max_length=max_length,
            rng=rng,
            parameters=policy.worker_parameters(),
        )
        self.manager_optimizer = Optimizer(
            policy.manager_parameters(),
            learning_rate=settings.manager_learning_rate,
            gradient_clip=settings.manager_gradient_clip,
        )

    def learn(self, trajectories: Trajectories, values: ActionValues, rate: float) -> dict[str, Tensor]:
        """Take one step of both; return metrics.

        Raises:
            ValueError: The estimator is not one of LeakGAN's.
        """
        if not isinstance(values, LeakGANValues):
            raise ValueError("--estimator.kind: LeakGAN takes leakgan-rollouts or leakgan-candidates")
        self.manager_optimizer.zero_grad()
        metrics = differentiate_manager(
            values.plan, values.manager_values, values.mask, self.policy.settings.horizon
        )
        metrics |= super().learn(trajectories, values, rate)
        return metrics | {"manager/gradient_norm": self.manager_optimizer.step(rate)}

    def histograms(self, values: ActionValues) -> dict[str, Tensor]:
        """Return values whose distribution is worth seeing, the lengths of goals among them."""
        assert isinstance(values, LeakGANValues)
        return super().histograms(values) | {"manager/goal_norms": values.plan.norms[values.mask]}

    def state_dict(self) -> dict[str, Any]:
        """Return what the worker's steps depend on, and the manager's optimizer."""
        return super().state_dict() | {"manager_optimizer": self.manager_optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        super().load_state_dict(state)
        self.manager_optimizer.load_state_dict(state["manager_optimizer"])


def differentiate_manager(
    plan: Plan, values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], horizon: int
) -> dict[str, Tensor]:
    """Add the transition policy gradient to the manager's parameters; return metrics.

    ``values`` holds in column t − 1 the value of y_t, hence of the prefix y_1..y_t.
    """
    reaches = transition_mask(mask, horizon)
    cosines = transition_cosines(plan.features, plan.goals, horizon)
    loss = manager_loss(cosines, values_of_transitions(values, horizon), reaches)
    loss.backward()  # type: ignore[no-untyped-call]
    return {"manager/loss": loss.detach(), **goal_metrics(plan, cosines, mask, reaches)}


def goal_metrics(
    plan: Plan, cosines: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], reaches: Bool[Tensor, "B T"]
) -> dict[str, Tensor]:
    """Return how well goals were met, how long they were, and how much they differ between sequences."""
    return {
        "manager/goal_cosine": masked_mean(cosines.detach(), reaches),
        "manager/goal_norm": masked_mean(plan.norms.detach(), mask),
        "manager/goal_spread": goal_spread(plan.goals.detach(), mask),
    }
