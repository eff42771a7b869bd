"""Pre-training of LeakGAN: likelihood for the worker, real transitions for the manager."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from leakgan.algorithm import goal_metrics
from leakgan.generator import LeakGANGenerator
from leakgan.losses import manager_loss, transition_cosines, transition_mask
from seqgan.config.ranges import Range
from seqgan.runtime.optimization import Optimizer
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.token_batch import TokenBatch
from seqgan.training.mle import MLESettings, MLETrainer


@dataclass(frozen=True, kw_only=True)
class HierarchicalMLESettings(MLESettings):
    """Pre-training of the worker by maximum likelihood, and of the manager beside it."""

    interleaving_epochs: Annotated[int, Range(minimum=0)] = 5
    """Epochs between two visits to the discriminator during pre-training, the first of which comes first; 0
    is no visit."""
    prior_precision: Annotated[float, Range(minimum=0)] = 0.0
    """Precision of a Gaussian prior on the worker's parameters, goal embedding and initial goal included; the
    manager has none. 3 to 12 keeps a small corpus from being memorised."""
    manager_learning_rate: Annotated[float, Range(minimum=0)] = 1e-3
    """Adam step size of the manager, with the worker's warm-up and decay."""


class HierarchicalMLETrainer(MLETrainer):
    """Train worker and manager on real text, from one reading of it and with an optimizer each.

    The worker maximises the likelihood under the manager's goals. The manager learns which way the features
    of real text go: its cosine loss with the value 1 for every transition.
    """

    policy: LeakGANGenerator

    def __init__(
        self,
        settings: HierarchicalMLESettings,
        *,
        policy: LeakGANGenerator,
        corpus: PreparedCorpus,
        pad_id: int,
        device: torch.device,
        seed: int,
    ) -> None:
        super().__init__(settings, policy=policy, corpus=corpus, pad_id=pad_id, device=device, seed=seed)
        self.manager_optimizer = Optimizer(
            policy.manager_parameters(),
            learning_rate=settings.manager_learning_rate,
            gradient_clip=settings.gradient_clip,
        )

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return the worker's parameters; the manager learns from a loss of its own."""
        return self.policy.worker_parameters()

    def objective(
        self, batch: TokenBatch, rows: Int[Tensor, "R"]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the sum of both losses, which share no parameter, and what to log."""
        policy, horizon, tokens = self.policy, self.policy.settings.horizon, batch.tokens
        plan = policy.plan(batch)
        hidden = policy.follow(policy.inputs(tokens), plan.goals).flatten(0, 1)[rows]  # (R, J)
        loss = policy.head.nll(hidden, tokens.flatten()[rows])
        reaches = transition_mask(batch.mask, horizon)
        cosines = transition_cosines(plan.features, plan.goals, horizon)
        transitions = manager_loss(cosines, torch.ones_like(cosines), reaches)
        metrics = {
            "mle/loss": loss.detach(),
            "manager/loss": transitions.detach(),
            **goal_metrics(plan, cosines, batch.mask, reaches),
        }
        return loss + transitions, metrics

    def update(self, objective: Float[Tensor, ""], rate: float) -> dict[str, Tensor]:
        """Take a step of each optimizer at ``rate`` times its learning rate, each with its own clipping."""
        self.manager_optimizer.zero_grad()
        metrics = super().update(objective, rate)
        metrics["manager/gradient_norm"] = self.manager_optimizer.step(rate)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Return the position and both optimizers' states."""
        return super().state_dict() | {"manager_optimizer": self.manager_optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        super().load_state_dict(state)
        self.manager_optimizer.load_state_dict(state["manager_optimizer"])
