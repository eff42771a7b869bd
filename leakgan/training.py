"""Pre-training: likelihood for the worker, real transitions for the manager, the discriminator in between."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from leakgan.algorithm import goal_metrics
from leakgan.generator import LeakGANGenerator
from leakgan.losses import manager_loss, transition_cosines, transition_mask
from seqgan.config.schema import Range
from seqgan.runtime.optimization import clipped_step
from seqgan.text.batching import Batches
from seqgan.text.token_batch import TokenBatch
from seqgan.training.discriminator import DiscriminatorTrainer
from seqgan.training.mle import MLEPhase, MLESettings, MLETrainer
from seqgan.training.phase import StepResult


@dataclass(frozen=True, kw_only=True)
class HierarchicalMLESettings(MLESettings):
    """Pre-training of the worker by maximum likelihood, and of the manager beside it."""

    manager_learning_rate: Annotated[float, Range(minimum=0)] = 1e-3
    """Adam step size of the manager, with the worker's warm-up and decay."""


@dataclass(frozen=True, kw_only=True)
class InterleavingSettings:
    """How pre-training goes back and forth between generator and discriminator."""

    epochs: Annotated[int, Range(minimum=1)] = 5
    """Passes of the generator over the training text between two visits to the discriminator."""
    refreshes: Annotated[int, Range(minimum=0)] = 1
    """Sets of fresh negatives that the discriminator goes through at each visit; the first comes first."""


class HierarchicalMLETrainer(MLETrainer):
    """Worker and manager on real text, from one reading of it and with an optimizer each.

    The worker maximises the likelihood under the manager's goals. The manager learns which way
    the features of real text go: its cosine loss with the value 1 for every transition.
    """

    generator: LeakGANGenerator
    settings: HierarchicalMLESettings

    def __init__(
        self,
        generator: LeakGANGenerator,
        batches: Batches,
        settings: HierarchicalMLESettings,
        num_tokens: int,
    ) -> None:
        super().__init__(generator, batches, settings, num_tokens, parameters=generator.worker_parameters())
        self.manager_optimizer = torch.optim.Adam(
            generator.manager_parameters(), lr=settings.manager_learning_rate, fused=True
        )

    def objective(
        self, batch: TokenBatch, rows: Int[Tensor, "R"]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The sum of both losses, which share no parameter."""
        generator, horizon = self.generator, self.generator.settings.horizon
        plan, mask = generator.plan(batch), batch.mask
        hidden = generator.follow(generator.inputs(batch.tokens), plan.goals).flatten(0, 1)[rows]
        loss = generator.head.nll(hidden, batch.tokens.flatten()[rows])
        reaches = transition_mask(mask, horizon)
        cosines = transition_cosines(plan.features, plan.goals, horizon)
        transitions = manager_loss(cosines, torch.ones_like(cosines), reaches)
        metrics = {
            "mle/loss": loss.detach(),
            "manager/loss": transitions.detach(),
            **goal_metrics(plan, cosines, mask, reaches),
        }
        return loss + transitions, metrics

    def update(self, objective: Float[Tensor, ""], factor: float) -> dict[str, Tensor]:
        """A step of each optimizer, each with its own clipping."""
        self.manager_optimizer.zero_grad()
        metrics = super().update(objective, factor)
        metrics["manager/gradient_norm"] = clipped_step(
            self.manager_optimizer,
            learning_rate=self.settings.manager_learning_rate * factor,
            gradient_clip=self.settings.gradient_clip,
        )
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Both optimizers' states."""
        return super().state_dict() | {"manager_optimizer": self.manager_optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        super().load_state_dict(state)
        self.manager_optimizer.load_state_dict(state["manager_optimizer"])


class InterleavedPhase:
    """Pre-training of generator and discriminator in turn, the discriminator first.

    The generator listens to the discriminator's features, so they must mean something before it learns, and
    it must have learned before samples are worth telling from real text.
    """

    name = "mle"
    trains_generator = True

    def __init__(
        self, settings: InterleavingSettings, mle: MLEPhase, discriminator: DiscriminatorTrainer
    ) -> None:
        self.settings = settings
        self.mle = mle
        self.discriminator = discriminator
        self.discriminator_steps = 0

    @property
    def step(self) -> int:
        """Steps of both so far."""
        return self.mle.step + self.discriminator_steps

    @property
    def num_steps(self) -> int:
        """Steps of all epochs and visits."""
        return self.mle.num_steps + self._discriminator_steps_by(max(0, self.mle.num_steps - 1))

    @property
    def done(self) -> bool:
        """Whether the generator is done; the discriminator has then had its visits."""
        return self.mle.done

    def start(self) -> None:
        """As the MLE phase does."""
        self.mle.start()

    def advance(self) -> StepResult:
        """A step of the discriminator while one of its visits is due, otherwise one of the generator."""
        if self.discriminator_steps < self._discriminator_steps_by(self.mle.step):
            self.discriminator_steps += 1
            return self.discriminator.train_step()
        return self.mle.advance()

    def _discriminator_steps_by(self, mle_step: int) -> int:
        """Steps of the discriminator that come before step ``mle_step`` of the generator."""
        visits = 1 + mle_step // (self.settings.epochs * self.mle.trainer.batches.num_batches)
        return visits * self.settings.refreshes * self.discriminator.steps_per_refresh

    def finish(self) -> None:
        """The best generator goes on, with the discriminator that it listened to."""
        self.mle.finish()

    def state_dict(self) -> dict[str, Any]:
        """Where both stand; the trainer of the discriminator is saved beside it."""
        return {"mle": self.mle.state_dict(), "discriminator_steps": self.discriminator_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.mle.load_state_dict(state["mle"])
        self.discriminator_steps = state["discriminator_steps"]
