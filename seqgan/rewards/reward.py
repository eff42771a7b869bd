"""The contract of rewards, and a check of those that are written elsewhere."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.runtime.files import first_line
from seqgan.runtime.trainer import Delegate, Stateful, StepReport, Trainer, metrics_problem
from seqgan.text.token_batch import TokenBatch


@runtime_checkable
class Reward(Protocol):
    """A function of a batch of sequences; a plain function will do.

    It is called without gradient, puts the models that it asks into evaluation mode itself, and must not
    depend on tokens behind the mask. The batch carries the prompt and the corpus's columns of every row.
    """

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"] | Float[Tensor, "B T"]:
        """Return one number per sequence, or one per token; the greater the better."""
        ...


@runtime_checkable
class RewardsAlternatives(Protocol):
    """A reward that has a faster way to score several alternatives for each token than prefix by prefix."""

    def of_alternatives(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Float[Tensor, "B T K"]:
        """Return the reward of y_1..y_{t-1} followed by each of K alternatives for y_t; 0 behind the mask."""
        ...


@runtime_checkable
class FollowsSteps(Protocol):
    """A reward that is told when a policy step has ended, and has metrics of it."""

    def finish_step(self) -> Mapping[str, Tensor | float]:
        """Return scalars by ``group/name``, which are logged with the step's own."""
        ...


class RewardedTrainer(Delegate):
    """A trainer of the policy whose steps a reward follows: the reward's metrics stand among the step's."""

    def __init__(self, trainer: Trainer, reward: FollowsSteps) -> None:
        super().__init__(trainer)
        self.reward = reward

    @property
    def steps_per_turn(self) -> int:
        """The number of steps in one turn of a round."""
        steps: int = self.inner.steps_per_turn
        return steps

    def step(self, rate: float = 1.0) -> StepReport:
        """Take one step at ``rate`` times the learning rate."""
        report: StepReport = self.inner.step(rate)
        return dataclasses.replace(report, metrics={**report.metrics, **self.reward.finish_step()})


class CheckedReward:
    """A reward whose result is checked at every call: type, shape, finite values.

    The check reads values, so a GPU is waited for. Rewards of this package need none.

    Raises:
        ValueError: At a call: the reward raised, or its result cannot be used; one line that names it.
    """

    def __init__(self, reward: Reward, name: str) -> None:
        self.reward = reward
        self.name = name

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state of a reward that has one."""
        return self.reward.state_dict() if isinstance(self.reward, Stateful) else {}

    def load_state_dict(self, state: Any) -> None:
        """Restore what :meth:`state_dict` returned."""
        if isinstance(self.reward, Stateful):
            self.reward.load_state_dict(state)

    def finish_step(self) -> Mapping[str, Tensor | float]:
        """Return the metrics of a reward that has any."""
        metrics = self.reward.finish_step() if isinstance(self.reward, FollowsSteps) else {}
        if problem := metrics_problem(metrics):
            raise ValueError(f"reward {self.name}: finish_step returned {problem}")
        return metrics

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"] | Float[Tensor, "B T"]:
        """Return the rewards, 0 behind the mask."""
        tokens, mask = batch.tokens.clone(), batch.mask.clone()
        try:
            rewards = self.reward(batch)
        except (Exception, SystemExit) as error:  # somebody else's code may fail in any way
            raise ValueError(
                f"reward {self.name}: raised {type(error).__name__}: {first_line(error)}"
            ) from error
        if not (torch.equal(tokens, batch.tokens) and torch.equal(mask, batch.mask)):
            raise ValueError(f"reward {self.name}: changes the batch that it scores")
        if problem := _problem(rewards, batch):
            raise ValueError(f"reward {self.name}: {problem}")
        rewards = rewards.to(batch.device, torch.get_default_dtype())
        return rewards if rewards.dim() == 1 else torch.where(batch.mask, rewards, 0.0)


def _problem(rewards: object, batch: TokenBatch) -> str | None:
    """Return what is wrong with the result of a reward, or None."""
    num_sequences, num_steps = batch.tokens.shape
    if not isinstance(rewards, Tensor):
        return (
            f"returned {type(rewards).__name__}; it must return a tensor of one number per sequence or token"
        )
    if tuple(rewards.shape) not in ((num_sequences,), (num_sequences, num_steps)):
        return (
            f"returned a tensor of shape {tuple(rewards.shape)} for {num_sequences} sequences of {num_steps} "
            f"tokens; it must be ({num_sequences},) or ({num_sequences}, {num_steps})"
        )
    if not rewards.is_floating_point():
        return f"returned numbers of type {rewards.dtype}; they must be floating-point numbers"
    if rewards.is_meta or rewards.layout != torch.strided:
        return f"returned a tensor without numbers in their places ({rewards.device}, {rewards.layout})"
    finite = torch.isfinite(rewards.to(torch.get_default_dtype())).to(batch.device)
    finite = finite if rewards.dim() == 1 else (finite | ~batch.mask).all(1)
    if not finite.all():
        row = int(finite.int().argmin())
        return f"returned a number that is not finite (NaN or infinity) for row {row} of the batch"
    return None


def sequence_rewards(reward: Reward, batch: TokenBatch) -> Float[Tensor, "B"]:
    """Return one reward per sequence, for estimators that score whole sequences.

    Raises:
        ValueError: The reward gives one number per token.
    """
    rewards = reward(batch)
    if rewards.dim() != 1:
        raise ValueError(
            "--estimator.kind: rollouts and candidates take one reward per sequence, and this reward gives "
            "one per token; choose --estimator.kind returns"
        )
    return rewards


def reward_at_the_end(rewards: Float[Tensor, "B"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Return rewards of whole sequences as rewards of their last tokens, all others being 0."""
    last = mask.sum(1, keepdim=True) - 1  # (B, 1)
    return torch.zeros(mask.shape, device=mask.device).scatter_(1, last, rewards[:, None])
