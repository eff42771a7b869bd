"""Maximum likelihood: the pre-training of a generator, and the MLE steps between policy steps."""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqgan.config.schema import Range
from seqgan.models.generator import Generator
from seqgan.runtime.optimization import clipped_step
from seqgan.text.batching import Batches
from seqgan.text.token_batch import TokenBatch
from seqgan.training.phase import Evaluate, StepResult


@dataclass(frozen=True, kw_only=True)
class MLESettings:
    """Maximum-likelihood pre-training."""

    epochs: Annotated[int, Range(minimum=0)] = 20
    """Passes over the training text."""
    batch_size: Annotated[int, Range(minimum=1)] = 128
    """Sequences per step."""
    learning_rate: Annotated[float, Range(minimum=0)] = 0.01
    """Largest Adam step size, reached after the warm-up."""
    warmup_steps: Annotated[int, Range(minimum=0)] = 100
    """Steps over which the step size rises from 0."""
    cosine_decay: bool = True
    """Lower the step size to 0 along a cosine; otherwise it stays."""
    gradient_clip: Annotated[float, Range(minimum=0, open=True)] = 5.0
    """Largest norm of the gradient."""
    prior_precision: Annotated[float, Range(minimum=0)] = 0.0
    """Precision of a Gaussian prior on all parameters; 3 to 12 keeps a small corpus from being memorised."""
    patience: Annotated[int, Range(minimum=0)] = 3
    """Validations without a better NLL after which training stops; 0 never stops."""
    validation_interval: Annotated[int, Range(minimum=1)] = 1
    """Epochs between two validations."""
    keep_best: bool = True
    """Hand on the weights with the best validation NLL rather than the last."""


def mle_loss(generator: Generator, batch: TokenBatch, rows: Int[Tensor, "R"]) -> Float[Tensor, ""]:
    """Mean negative log-likelihood per real token, in nats; ``rows`` are their places in the flat batch."""
    hidden = generator.hidden(batch).flatten(0, 1)[rows]
    return generator.head.nll(hidden, batch.tokens.flatten()[rows])


def real_token_rows(mask: Bool[Tensor, "B T"]) -> Int[Tensor, "R"]:
    """Places of the real tokens in the flattened batch (ask while the mask is still on the CPU)."""
    return mask.flatten().nonzero().squeeze(1)


def gaussian_penalty(
    parameters: Iterable[nn.Parameter], precision: float, num_tokens: int
) -> Float[Tensor, ""]:
    """½·precision·‖θ‖² / num_tokens: the negative log-prior's share of a per-token loss."""
    squares = torch.stack([parameter.square().sum() for parameter in parameters])
    return 0.5 * precision / num_tokens * squares.sum()


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int, cosine_decay: bool) -> float:
    """Share of the largest step size at ``step``: a linear rise, then (with decay) half a cosine to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if not cosine_decay:
        return 1.0
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))


class MLETrainer:
    """One gradient step at a time on one generator; shared by pre-training and interleaved steps.

    ``parameters`` are those that the likelihood trains, by default the generator's.
    """

    def __init__(
        self,
        generator: Generator,
        batches: Batches,
        settings: MLESettings,
        num_tokens: int,
        parameters: Iterable[nn.Parameter] | None = None,
    ) -> None:
        self.generator = generator
        self.batches = batches
        self.settings = settings
        self.num_tokens = num_tokens
        self.parameters = list(generator.parameters() if parameters is None else parameters)
        self.optimizer = torch.optim.Adam(self.parameters, lr=settings.learning_rate, fused=True)

    def train_step(self, index: int, factor: float) -> dict[str, Tensor]:
        """Step on batch number ``index`` (counted over all epochs), at ``factor`` of the step size."""
        batch = self.batches.batch_at(*divmod(index, self.batches.num_batches))
        rows, device = real_token_rows(batch.mask), self.generator.device
        self.generator.train()
        objective, metrics = self.objective(batch.to(device), rows.to(device))
        if self.settings.prior_precision:
            penalty = gaussian_penalty(self.parameters, self.settings.prior_precision, self.num_tokens)
            objective = objective + penalty
        return metrics | self.update(objective, factor)

    def objective(
        self, batch: TokenBatch, rows: Int[Tensor, "R"]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """What a batch minimises besides the prior, and what to log; for ``rows`` see :func:`mle_loss`."""
        loss = mle_loss(self.generator, batch, rows)
        return loss, {"mle/loss": loss.detach()}

    def update(self, objective: Float[Tensor, ""], factor: float) -> dict[str, Tensor]:
        """One optimizer step down the objective's gradient, and what to log of it."""
        self.optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        gradient_norm = clipped_step(
            self.optimizer,
            learning_rate=self.settings.learning_rate * factor,
            gradient_clip=self.settings.gradient_clip,
        )
        return {"mle/gradient_norm": gradient_norm}

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])


class MLEPhase:
    """Pre-training with validation, early stopping and the best generator kept.

    ``kept`` is the module whose best weights are handed on: the generator, and whatever else it depends on.
    """

    name = "mle"
    trains_generator = True

    def __init__(
        self,
        trainer: MLETrainer,
        *,
        kept: nn.Module,
        evaluate: Evaluate,
        validation_nll: Callable[[Generator], float],
        on_best: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self.trainer = trainer
        self.kept = kept
        self.evaluate = evaluate
        self.validation_nll = validation_nll
        self.on_best = on_best
        self.step = 0
        self.best_nll = math.inf
        self.failures = 0
        self.best = copy.deepcopy(dict(kept.state_dict()))

    @property
    def num_steps(self) -> int:
        """Steps of all epochs."""
        return self.trainer.settings.epochs * self.trainer.batches.num_batches

    @property
    def done(self) -> bool:
        """All epochs done, or validation has not improved for too long."""
        patience = self.trainer.settings.patience
        return self.step >= self.num_steps or (0 < patience <= self.failures)

    def start(self) -> None:
        """The generator that it starts from is the best so far."""
        self.on_best(self.name)

    def advance(self) -> StepResult:
        """One gradient step, and a validation at the end of every so many epochs."""
        settings = self.trainer.settings
        factor = learning_rate_factor(self.step, settings.warmup_steps, self.num_steps, settings.cosine_decay)
        metrics: dict[str, Tensor | float] = {**self.trainer.train_step(self.step, factor)}
        metrics["mle/learning_rate"] = settings.learning_rate * factor
        self.step += 1
        epoch, rest = divmod(self.step, self.trainer.batches.num_batches)
        if rest or (epoch % settings.validation_interval and self.step < self.num_steps):
            return StepResult(metrics)
        nll = self.validation_nll(self.trainer.generator)
        metrics["evaluation/nll_validation"] = nll
        self._keep_if_best(nll)
        if not self.done:
            return StepResult(metrics, always=True)
        evaluation = self.evaluate(self.trainer.generator)
        return StepResult({**metrics, **evaluation.metrics}, always=True, evaluation=evaluation)

    def _keep_if_best(self, nll: float) -> None:
        if nll < self.best_nll:
            self.best_nll, self.failures = nll, 0
            self.best = copy.deepcopy(dict(self.kept.state_dict()))
            self.on_best(self.name)
        else:
            self.failures += 1

    def finish(self) -> None:
        """The best generator goes on, or the last."""
        if self.trainer.settings.keep_best:
            self.kept.load_state_dict(self.best)

    def state_dict(self) -> dict[str, Any]:
        """Position, the best so far and its weights."""
        return {
            "step": self.step,
            "best_nll": self.best_nll,
            "failures": self.failures,
            "best": self.best,
            "trainer": self.trainer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.step, self.best_nll, self.failures = state["step"], state["best_nll"], state["failures"]
        self.best = state["best"]
        self.trainer.load_state_dict(state["trainer"])
