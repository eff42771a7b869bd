"""Discriminator training: real text against fresh samples, judged on held-out text.

A discriminator that has memorised its training text says nothing about any other. Therefore the area under
the ROC curve is measured on every set of samples before it is trained on, against training text and against
held-out text; the second figure decides which weights are kept.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from seqgan.config.ranges import Range
from seqgan.evaluation.auc import area_under_curve
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator
from seqgan.runtime.optimization import Optimizer
from seqgan.runtime.seeding import make_rng
from seqgan.runtime.trainer import StepReport
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.token_batch import TokenBatch
from seqgan.training.schedule import Figure


@dataclass(frozen=True, kw_only=True)
class DiscriminatorTrainingSettings:
    """Training of the discriminator, before and between the policy steps."""

    refreshes: Annotated[int, Range(minimum=0)] = 10
    """Sets of fresh negatives that pre-training goes through."""
    epochs: Annotated[int, Range(minimum=1)] = 3
    """Passes over each set of negatives."""
    num_negatives: Annotated[int | None, Range(minimum=2)] = None
    """Samples in a set, beside as many real sequences; none takes as many as there are."""
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
    """Train on real text against samples of the policy; a turn is one set of fresh negatives.

    ``train`` is the real text that is trained on, ``validation`` the held-out text of the AUC. Where they
    complete prompts, the samples complete those of ``train``, and each is judged as one sequence with its
    prompt.
    """

    def __init__(
        self,
        settings: DiscriminatorTrainingSettings,
        *,
        discriminator: Discriminator,
        policy: Generator,
        train: TokenBatch,
        validation: TokenBatch,
        sampling: SamplingSettings,
        eos_id: int | None,
        pad_id: int,
        max_length: int,
        rng: torch.Generator,
        seed: int,
    ) -> None:
        self.settings = settings
        self.discriminator = discriminator
        self.policy = policy
        self.train = train.joined()
        self.validation = validation.joined()
        self.prompts = train.prompt
        self.sampling = sampling
        self.eos_id = eos_id
        self.pad_id = pad_id
        self.max_length = max_length
        self.rng = rng
        self.seed = seed
        self.num_steps = 0
        self.num_negatives = min(settings.num_negatives or len(train), len(train))
        self.negatives: TokenBatch | None = None
        """The set that is gone through, or that has been drawn for the next turn."""
        self.optimizer = Optimizer(
            discriminator.parameters(),
            learning_rate=settings.learning_rate,
            gradient_clip=settings.gradient_clip,
        )
        self._orders: tuple[int, Tensor, Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over a set of negatives; the last may be smaller."""
        half = self.settings.batch_size // 2
        return -(-self.num_negatives // half)

    @property
    def steps_per_turn(self) -> int:
        """Steps on one set of negatives."""
        return self.settings.epochs * self.steps_per_epoch

    def start(self) -> None:
        """Begin a phase with the first order of the text, and with negatives of the policy as it then is."""
        self.num_steps = 0
        self.negatives = None

    def assess(self) -> Figure:
        """Draw the next set of negatives and measure on it; the held-out AUC decides."""
        metrics = self.refresh()
        return Figure(-float(metrics["discriminator/auc_held_out"]), metrics)

    def refresh(self) -> dict[str, Tensor]:
        """Draw a set of negatives from the policy; return what :meth:`measure` says of it."""
        drawn = sample(
            self.policy,
            self.num_negatives,
            self.max_length,
            eos_id=self.eos_id,
            pad_id=self.pad_id,
            rng=self.rng,
            temperature=self.sampling.temperature,
            prompt=self._draw_prompts(),
            precision=self.sampling.precision,
        )
        self.negatives = drawn.joined()
        return self.measure(self.negatives)

    def _draw_prompts(self) -> TokenBatch | None:
        """Return a different training prompt for each negative, in random order; None without prompts."""
        if self.prompts is None:
            return None
        order = torch.randperm(len(self.prompts), generator=self.rng, device=self.prompts.device)
        return self.prompts.select(order[: self.num_negatives])

    def step(self, rate: float = 1.0) -> StepReport:
        """Take one gradient step; the first on a set of negatives draws it, unless it has been drawn."""
        metrics: dict[str, Tensor] = {}
        if self.negatives is None:
            metrics = self.refresh()
        assert self.negatives is not None
        drawn = bool(metrics)
        epoch, index = divmod(self.num_steps, self.steps_per_epoch)
        real_order, negative_order = self._orders_of(epoch)
        half = self.settings.batch_size // 2
        window = slice(index * half, (index + 1) * half)
        real = self.train.select(real_order[: self.num_negatives][window])
        negatives = self.negatives.select(negative_order[window])
        batch = TokenBatch.concatenate([real, negatives])
        labels = torch.arange(len(batch), device=batch.device) < len(real)  # True on the real half
        metrics |= self._update(batch, labels, rate)
        self.num_steps += 1
        if self.num_steps % self.steps_per_turn == 0:
            self.negatives = None
        return StepReport(metrics, always=drawn)

    def _update(self, batch: TokenBatch, labels: Tensor, rate: float) -> dict[str, Tensor]:
        self.discriminator.train()
        logits = self.discriminator.logits(batch)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        penalty = self.discriminator.penalty()
        self.optimizer.zero_grad()
        objective: Tensor = loss + penalty
        objective.backward()  # type: ignore[no-untyped-call]
        norm = self.optimizer.step(rate)
        return {
            "discriminator/loss": loss.detach(),
            "discriminator/penalty": penalty.detach(),
            "discriminator/accuracy": ((logits.detach() > 0) == labels).float().mean(),
            "discriminator/gradient_norm": norm,
        }

    def measure(self, negatives: TokenBatch) -> dict[str, Tensor]:
        """Return AUC, loss and accuracy against samples not trained on: of training and held-out text."""
        size = min(len(self.validation), len(negatives))
        fake = self.discriminator.score(negatives.select(slice(size)))
        rng = make_rng("cpu", self.seed, "auc")
        some = torch.randperm(len(self.train), generator=rng)[:size].to(self.train.device)
        texts = {"train": self.train.select(some), "held_out": self.validation.select(slice(size))}
        metrics = {}
        for name, text in texts.items():
            real = self.discriminator.score(text)
            logits = torch.cat([real, fake])
            labels = torch.arange(len(logits), device=logits.device) < len(real)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
            metrics[f"discriminator/auc_{name}"] = area_under_curve(real, fake)
            metrics[f"discriminator/loss_{name}"] = loss
            metrics[f"discriminator/accuracy_{name}"] = ((logits > 0) == labels).float().mean()
        return metrics

    def _orders_of(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Return the orders of real text and negatives in an epoch: functions of the seed and the epoch."""
        if self._orders is None or self._orders[0] != epoch:
            rng = make_rng("cpu", self.seed, "discriminator", epoch)
            device = self.train.device
            real = torch.randperm(len(self.train), generator=rng).to(device)
            negative = torch.randperm(self.num_negatives, generator=rng).to(device)
            self._orders = (epoch, real, negative)
        return self._orders[1], self._orders[2]

    def state_dict(self) -> dict[str, Any]:
        """Return the position, the optimizer's state and the negatives in use."""
        state = {"num_steps": self.num_steps, "optimizer": self.optimizer.state_dict(), "negatives": None}
        if self.negatives is not None:
            state["negatives"] = {"tokens": self.negatives.tokens, "mask": self.negatives.mask}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.num_steps = state["num_steps"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.negatives = None if state["negatives"] is None else TokenBatch(**state["negatives"])
