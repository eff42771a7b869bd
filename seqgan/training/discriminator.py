"""Discriminator training: real text against fresh samples, judged on held-out text.

A discriminator that has memorised its training text says nothing about any other. Therefore the
area under the ROC curve is measured before each refresh on samples that it has never seen, against
training text and against held-out text; the second figure decides which weights are kept.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from seqgan.config.schema import Range
from seqgan.evaluation.auc import area_under_curve
from seqgan.models.discriminator import Discriminator
from seqgan.runtime.optimization import clipped_step
from seqgan.runtime.seeding import make_rng
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.token_batch import TokenBatch
from seqgan.training.phase import StepResult

SampleNegatives = Callable[[int], Trajectories]


@dataclass(frozen=True, kw_only=True)
class DiscriminatorTrainingSettings:
    """Training of the discriminator, before and between the policy steps."""

    refreshes: Annotated[int, Range(minimum=0)] = 10
    """Sets of fresh negatives that pre-training goes through."""
    epochs: Annotated[int, Range(minimum=1)] = 3
    """Passes over each set of negatives."""
    num_negatives: Annotated[int | None, Range(minimum=2)] = None
    """Samples in a set, beside as many real sequences; None takes as many as there are."""
    batch_size: Annotated[int, Range(minimum=2)] = 64
    """Sequences per step, half of them real."""
    learning_rate: Annotated[float, Range(minimum=0)] = 1e-4
    """Adam step size."""
    gradient_clip: Annotated[float, Range(minimum=0, open=True)] = 5.0
    """Largest norm of the gradient."""
    patience: Annotated[int, Range(minimum=0)] = 5
    """Refreshes without a better held-out AUC after which pre-training stops; 0 never stops."""
    keep_best: bool = True
    """Hand on the weights with the best held-out AUC rather than the last."""


class DiscriminatorTrainer:
    """One gradient step at a time; draws fresh negatives whenever a set has been gone through."""

    def __init__(
        self,
        discriminator: Discriminator,
        settings: DiscriminatorTrainingSettings,
        *,
        real: TokenBatch,
        held_out: TokenBatch,
        sample_negatives: SampleNegatives,
        seed: int,
    ) -> None:
        self.discriminator = discriminator
        self.settings = settings
        self.real = real
        self.held_out = held_out
        self.sample_negatives = sample_negatives
        self.seed = seed
        self.step = 0
        self.num_negatives = min(settings.num_negatives or len(real.tokens), len(real.tokens))
        self.negatives: Trajectories | None = None
        self.optimizer = torch.optim.Adam(discriminator.parameters(), lr=settings.learning_rate, fused=True)
        self._orders: tuple[int, Tensor, Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over a set of negatives; the last may be smaller."""
        half = self.settings.batch_size // 2
        return -(-self.num_negatives // half)

    @property
    def steps_per_refresh(self) -> int:
        """Steps on one set of negatives."""
        return self.settings.epochs * self.steps_per_epoch

    def train_step(self) -> StepResult:
        """One gradient step; the first on a set of negatives draws it and measures the AUCs on it."""
        metrics: dict[str, Tensor | float] = {}
        fresh = self.step % self.steps_per_refresh == 0
        if fresh:
            self.negatives = self.sample_negatives(self.num_negatives)
            metrics |= self.measure(self.negatives)
        assert self.negatives is not None
        epoch, index = divmod(self.step, self.steps_per_epoch)
        real_order, negative_order = self._orders_of(epoch)
        half = self.settings.batch_size // 2
        window = slice(index * half, (index + 1) * half)
        real, negative = real_order[: self.num_negatives][window], negative_order[window]
        tokens = torch.cat([self.real.tokens[real], self.negatives.tokens[negative]])
        mask = torch.cat([self.real.mask[real], self.negatives.mask[negative]])
        labels = torch.arange(len(tokens), device=tokens.device) < len(real)
        metrics |= self._update(TokenBatch(tokens, mask), labels)
        self.step += 1
        return StepResult(metrics, always=fresh)

    def _update(self, batch: TokenBatch, labels: Tensor) -> dict[str, Tensor]:
        self.discriminator.train()
        logits = self.discriminator.logits(batch)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        penalty = self.discriminator.penalty()
        self.optimizer.zero_grad()
        objective: Tensor = loss + penalty
        objective.backward()  # type: ignore[no-untyped-call]
        norm = clipped_step(
            self.optimizer,
            learning_rate=self.settings.learning_rate,
            gradient_clip=self.settings.gradient_clip,
        )
        return {
            "discriminator/loss": loss.detach(),
            "discriminator/penalty": penalty.detach(),
            "discriminator/accuracy": ((logits.detach() > 0) == labels).float().mean(),
            "discriminator/gradient_norm": norm,
        }

    def measure(self, negatives: Trajectories) -> dict[str, Tensor]:
        """AUC, loss and accuracy against samples never trained on: of training text, and of held-out text."""
        size = min(len(self.held_out.tokens), len(negatives.tokens))
        fake = self.discriminator.score(negatives.select(slice(size)))
        metrics = {}
        for name, text in (("train", self.real), ("held_out", self.held_out)):
            real = self.discriminator.score(text.select(slice(size)))
            logits = torch.cat([real, fake])
            labels = torch.arange(len(logits), device=logits.device) < len(real)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
            metrics[f"discriminator/auc_{name}"] = area_under_curve(real, fake)
            metrics[f"discriminator/loss_{name}"] = loss
            metrics[f"discriminator/accuracy_{name}"] = ((logits > 0) == labels).float().mean()
        return metrics

    def _orders_of(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The orders of real text and negatives in an epoch: a function of the seed and the epoch alone."""
        if self._orders is None or self._orders[0] != epoch:
            rng = make_rng("cpu", self.seed, "discriminator", epoch)
            device = self.real.tokens.device
            real = torch.randperm(len(self.real.tokens), generator=rng).to(device)
            negative = torch.randperm(self.num_negatives, generator=rng).to(device)
            self._orders = (epoch, real, negative)
        return self._orders[1], self._orders[2]

    def state_dict(self) -> dict[str, Any]:
        """Position, optimizer and the negatives in use."""
        negatives = self.negatives
        return {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "negatives": negatives
            and {"tokens": negatives.tokens, "log_probs": negatives.log_probs, "mask": negatives.mask},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.step = state["step"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.negatives = None if state["negatives"] is None else Trajectories(**state["negatives"])


class DiscriminatorPhase:
    """Pre-training against the MLE model, stopped and selected by the held-out AUC."""

    name = "discriminator"
    trains_generator = False

    def __init__(self, trainer: DiscriminatorTrainer) -> None:
        self.trainer = trainer
        self.step = 0
        self.best_auc = -1.0
        self.failures = 0
        self.best = copy.deepcopy(dict(trainer.discriminator.state_dict()))

    @property
    def num_steps(self) -> int:
        """Steps on all sets of negatives."""
        return self.trainer.settings.refreshes * self.trainer.steps_per_refresh

    @property
    def done(self) -> bool:
        """All refreshes done, or the held-out AUC has not improved for too long."""
        patience = self.trainer.settings.patience
        return self.step >= self.num_steps or (0 < patience <= self.failures)

    def start(self) -> None:
        """Nothing to prepare."""

    def advance(self) -> StepResult:
        """One gradient step; where it measured the AUC, remember the best weights."""
        before = copy.deepcopy(dict(self.trainer.discriminator.state_dict())) if self._at_refresh else None
        result = self.trainer.train_step()
        self.step += 1
        if before is not None and self.step > 1:
            self._keep_if_best(result, before)
        return result

    @property
    def _at_refresh(self) -> bool:
        return self.trainer.step % self.trainer.steps_per_refresh == 0

    def _keep_if_best(self, result: StepResult, weights: dict[str, Tensor]) -> None:
        auc = float(result.metrics["discriminator/auc_held_out"])
        if auc > self.best_auc:
            self.best_auc, self.failures, self.best = auc, 0, weights
        else:
            self.failures += 1

    def finish(self) -> None:
        """Measure the last weights too, and hand on the best."""
        if not self.step or not self.trainer.settings.keep_best:
            return
        metrics = self.trainer.measure(self.trainer.sample_negatives(self.trainer.num_negatives))
        if float(metrics["discriminator/auc_held_out"]) < self.best_auc:
            self.trainer.discriminator.load_state_dict(self.best)

    def state_dict(self) -> dict[str, Any]:
        """Position, the best so far and its weights; the trainer is saved beside it."""
        return {"step": self.step, "best_auc": self.best_auc, "failures": self.failures, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.step, self.best_auc, self.failures = state["step"], state["best_auc"], state["failures"]
        self.best = state["best"]
