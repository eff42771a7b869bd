"""Maximum likelihood: the pre-training of a generator, and the likelihood steps between policy steps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.runtime.optimization import Optimizer
from seqgan.runtime.trainer import StepReport
from seqgan.text.batching import Batches
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class MLESettings(KindSettings):
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
    interleaving_epochs: Annotated[int, Range(minimum=0)] = 0
    """Epochs between two visits to the discriminator during pre-training, the first of which comes first; 0
    is no visit."""
    interleaving_refreshes: Annotated[int, Range(minimum=1)] = 1
    """Sets of fresh negatives that the discriminator goes through at each visit."""


def real_token_rows(mask: Bool[Tensor, "B T"]) -> Int[Tensor, "R"]:
    """Return the places of the real tokens in the flattened batch; ask while the mask is still on the CPU."""
    return mask.flatten().nonzero().squeeze(1)


def gaussian_penalty(
    parameters: Iterable[nn.Parameter], precision: float, num_tokens: int
) -> Float[Tensor, ""]:
    """Return ½·precision·‖θ‖² / num_tokens: the negative log-prior's share of a per-token loss."""
    squares = torch.stack([parameter.square().sum() for parameter in parameters])
    return 0.5 * precision / num_tokens * squares.sum()


class MLETrainer:
    """Maximise the likelihood of the training text, one batch at a time.

    The order of the batches is a function of the seed and the number of steps so far.
    """

    def __init__(
        self,
        settings: MLESettings,
        *,
        policy: Generator,
        corpus: PreparedCorpus,
        pad_id: int,
        device: torch.device,
        seed: int,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.num_tokens = len(corpus.train.ids)
        self.batches = Batches(
            corpus.part("train"),
            batch_size=settings.batch_size,
            pad_id=pad_id,
            seed=seed,
            length=None if device.type == "cpu" else corpus.max_length,
            prompt_length=None if device.type == "cpu" else corpus.max_prompt_length,
        )
        self.num_steps = 0
        self.parameters = self.trained_parameters()
        self.optimizer = Optimizer(
            self.parameters, learning_rate=settings.learning_rate, gradient_clip=settings.gradient_clip
        )

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the likelihood trains."""
        return list(self.policy.parameters())

    @property
    def steps_per_turn(self) -> int:
        """Batches in an epoch."""
        return self.batches.num_batches

    def start(self) -> None:
        """Go on as before: Adam keeps its moments from phase to phase."""

    def step(self, rate: float = 1.0) -> StepReport:
        """Take a step on the next batch."""
        batch = self.batches.batch_at(*divmod(self.num_steps, self.batches.num_batches))
        rows, device = real_token_rows(batch.mask), self.policy.device
        self.num_steps += 1
        self.policy.train()
        objective, metrics = self.objective(batch.to(device), rows.to(device))
        if self.settings.prior_precision:
            precision = self.settings.prior_precision
            objective = objective + gaussian_penalty(self.parameters, precision, self.num_tokens)
        learning_rate = {"mle/learning_rate": self.settings.learning_rate * rate}
        return StepReport(metrics | learning_rate | self.update(objective, rate))

    def objective(
        self, batch: TokenBatch, rows: Int[Tensor, "R"]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the mean NLL per real token in nats, and what to log; ``rows``: :func:`real_token_rows`."""
        hidden = self.policy.hidden(batch).flatten(0, 1)[rows]  # (B, T, H) to (R, H)
        loss = self.policy.head.nll(hidden, batch.tokens.flatten()[rows])
        return loss, {"mle/loss": loss.detach()}

    def update(self, objective: Float[Tensor, ""], rate: float) -> dict[str, Tensor]:
        """Take one optimizer step down the objective's gradient; return what to log."""
        self.optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        return {"mle/gradient_norm": self.optimizer.step(rate)}

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the optimizer's state."""
        return {"num_steps": self.num_steps, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.num_steps = state["num_steps"]
        self.optimizer.load_state_dict(state["optimizer"])
