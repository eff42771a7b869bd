"""Direct preference optimisation: from pairs in a file, without rewards and without sampling."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from seqgan.algorithms.differentiation import Terms, differentiate, log_probs_of
from seqgan.algorithms.objectives import policy_gradient
from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.runtime.optimization import Optimizer
from seqgan.runtime.trainer import StepReport
from seqgan.text.batching import Batches
from seqgan.text.language import Language
from seqgan.text.preferences import read_preferences
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class DPOSettings(KindSettings):
    """Settings of DPO."""

    kind: str = "dpo"
    preferences: Path | None = None
    """JSON Lines or CSV file with the columns chosen, rejected and, where the corpus has prompts, prompt."""
    beta: Annotated[float, Range(minimum=0, open=True)] = 0.1
    """Weight of KL(policy || MLE policy) in the objective of which this is the solution; more than 0."""
    label_smoothing: Annotated[float, Range(minimum=0, maximum=0.49)] = 0.0
    """Share of the pairs whose sides are taken to be exchanged by mistake; at most 0.49."""
    likelihood_weight: Annotated[float, Range(minimum=0)] = 0.0
    """Weight of the chosen sequences' NLL, nats per token, in the loss. Without it DPO may lower the
    likelihood of both sides, and raise that of what no pair speaks of."""
    batch_size: Annotated[int, Range(minimum=1)] = 32
    """Pairs per step."""
    learning_rate: Annotated[float, Range(minimum=0)] = 1e-3
    """Adam step size."""
    gradient_clip: Annotated[float, Range(minimum=0, open=True)] = 5.0
    """Largest norm of the gradient."""


class DPO:
    """Raise the likelihood of what was chosen over what was rejected.

        loss = −log σ(m) − w · log π(c) / |c|,  m = β [log π(c)/π_0(c) − log π(r)/π_0(r)],

    where |c| is the length of the chosen sequence, w the likelihood's weight (Pang et al. 2024; 0 in Rafailov
    et al. 2023), and π_0 the policy as it was at the start. With w = 0, where pairs follow rewards R by the
    Bradley-Terry model, the minimum is the policy π ∝ π_0 e^{R/β} that PPO with a KL penalty seeks. The
    order of the pairs is a function of the seed and the number of steps; batches that are not full are left
    out.

    Raises:
        ValueError: No file is named, or it cannot be used.
    """

    steps_per_turn = 1

    def __init__(
        self,
        settings: DPOSettings,
        *,
        policy: Generator,
        language: Language,
        max_length: int,
        pad_id: int,
        seed: int,
    ) -> None:
        if settings.preferences is None:
            raise ValueError("--algorithm.preferences: names no file; dpo learns from one of pairs")
        self.settings = settings
        self.policy = policy
        self.pairs = read_preferences(settings.preferences, language)
        self.batches = Batches(
            self.pairs.chosen,
            batch_size=min(settings.batch_size, len(self.pairs)),
            pad_id=pad_id,
            seed=seed,
            drop_last=True,
        )
        self.max_length = max_length
        self.pad_id = pad_id
        self.reference = copy.deepcopy(policy).requires_grad_(False)
        self.optimizer = Optimizer(
            policy.parameters(), learning_rate=settings.learning_rate, gradient_clip=settings.gradient_clip
        )
        self.num_steps = 0

    def start(self) -> None:
        """Take the policy as it is now for the reference."""
        self.reference.load_state_dict(self.policy.state_dict())

    def step(self, rate: float = 1.0) -> StepReport:
        """Take a step on the next pairs at ``rate`` times the learning rate."""
        self.policy.eval()  # so that the first margins are 0: no dropout
        rows = self.batches.rows_at(*divmod(self.num_steps, self.batches.num_batches))
        batch = self.pairs.batch(rows, self.pad_id, self.max_length).to(self.policy.device)
        gains = sequence_log_probs(self.policy, batch) - sequence_log_probs(self.reference, batch)
        chosen, rejected = gains.chunk(2)
        margins = self.settings.beta * (chosen - rejected)
        loss, slopes = preference_loss(margins, self.settings.label_smoothing)
        # by the chain rule each sequence's log-probability has this share in the mean loss
        shares = self.settings.beta * slopes / len(slopes)
        likelihood = self.settings.likelihood_weight / (batch.lengths.chunk(2)[0] * len(slopes))
        self.optimizer.zero_grad()
        differentiate_sequences(self.policy, batch, torch.cat([shares - likelihood, -shares]))
        norm = self.optimizer.step(rate)
        self.num_steps += 1
        metrics = {
            "preference/loss": loss.mean(),
            "preference/margin": margins.mean(),
            "preference/accuracy": (margins > 0).float().mean(),
            "preference/chosen": chosen.mean(),
            "preference/rejected": rejected.mean(),
            "policy/gradient_norm": norm,
        }
        return StepReport(metrics, always=True)

    def state_dict(self) -> dict[str, Any]:
        """Return what later steps depend on; the policy is saved beside it."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "reference": self.reference.state_dict(),
            "num_steps": self.num_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.reference.load_state_dict(state["reference"])
        self.num_steps = state["num_steps"]


def preference_loss(
    margins: Float[Tensor, "B"], label_smoothing: float = 0.0
) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
    """Return −(1 − ε) log σ(m) − ε log σ(−m) of each pair, and its derivative by m."""
    loss = -(1 - label_smoothing) * functional.logsigmoid(margins)
    loss = loss - label_smoothing * functional.logsigmoid(-margins)
    return loss, margins.sigmoid() - (1 - label_smoothing)


def sequence_log_probs(generator: Generator, batch: TokenBatch) -> Float[Tensor, "B"]:
    """Return the log-probability of each sequence in nats, without gradient."""
    each = log_probs_of(generator, batch, batch.tokens[..., None])[..., 0]  # (B, T)
    return torch.where(batch.mask, each, 0.0).sum(1)


def differentiate_sequences(policy: Generator, batch: TokenBatch, shares: Float[Tensor, "B"]) -> None:
    """Add the gradient of Σ share · log π(sequence) to the policy's parameters."""
    actions = batch.tokens.flatten()[:, None]  # (B·T, 1)
    slopes = -shares[:, None].expand(batch.mask.shape).flatten()  # policy_gradient has a minus of its own
    weights = batch.mask.float().flatten()

    def objective(log_probs: Float[Tensor, "R V"], places: Int[Tensor, "R"]) -> Terms:
        taken = log_probs.gather(-1, actions[places])[:, 0]
        return policy_gradient(taken, slopes[places], weights[places]), {}

    differentiate(policy, batch, objective)
