"""Action values with their baselines, and the contract of whatever estimates them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.models.generator import Generator
from seqgan.runtime.trainer import Stateful
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import masked_whiten
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True, eq=False)
class ActionValues:
    """The values of K actions at each step of B sequences; K is 1 where only sampled tokens are valued.

    Raises:
        ValueError: The shapes do not belong together.
    """

    actions: Int[Tensor, "B T K"]
    """Token ids."""
    values: Float[Tensor, "B T K"]
    """Estimates of Q(y_1..y_{t-1}, action); 0 behind the mask."""
    baseline: Float[Tensor, "B T K"]
    """What is subtracted from the values; must not depend on the action that it stands beside."""
    mask: Bool[Tensor, "B T"]
    """True on the real tokens of the sequences, up to and including EOS."""

    def __post_init__(self) -> None:
        shape = self.actions.shape
        if len(shape) != 3 or not (shape == self.values.shape == self.baseline.shape):
            shapes = ", ".join(str(tuple(part.shape)) for part in (self.actions, self.values, self.baseline))
            raise ValueError(
                f"action values: actions, values and baseline of {shapes}; all must be (B, T, K)"
            )
        if self.mask.shape != shape[:2]:
            raise ValueError(
                f"action values: a mask of {tuple(self.mask.shape)}; it must be {tuple(shape[:2])}"
            )

    @staticmethod
    def of_tokens(
        batch: TokenBatch, values: Float[Tensor, "B T"], baseline: Float[Tensor, "B T"]
    ) -> "ActionValues":
        """Return the values of the sampled tokens themselves: K is 1."""
        return ActionValues(
            actions=batch.tokens[..., None],
            values=values[..., None],
            baseline=baseline[..., None],
            mask=batch.mask,
        )

    @property
    def advantages(self) -> Float[Tensor, "B T K"]:
        """Values less baseline; 0 behind the mask."""
        return torch.where(self.mask[..., None], self.values - self.baseline, 0.0)


@runtime_checkable
class AdvantageEstimator(Stateful, Protocol):
    """A way from sampled sequences to action values: a new one is one file with this class."""

    def start(self) -> None:
        """Prepare for adversarial training. Called once, when the policy is the pre-trained one."""

    def __call__(self, policy: Generator, trajectories: Trajectories) -> ActionValues:
        """Return actions, values and baselines for sequences that ``policy`` has sampled."""

    def learn(self, trajectories: Trajectories, values: ActionValues) -> Mapping[str, Tensor]:
        """Learn from a policy step that has been taken; return metrics.

        A critic is fitted here, and a rollout policy that lags follows.
        """


def normalise_advantages(
    advantages: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"], *, whiten: bool, clip: float | None
) -> Float[Tensor, "B T K"]:
    """Return the advantages, whitened over all real actions if asked, then clipped to ±``clip``."""
    if whiten:
        real = mask[..., None].expand_as(advantages).flatten(1)  # (B, T·K)
        advantages = masked_whiten(advantages.flatten(1), real).view_as(advantages)
    return advantages if clip is None else advantages.clamp(-clip, clip)
