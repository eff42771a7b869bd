"""Several rewards as one: weighted, normalised, with weights that change and floors that are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.rewards.reward import FollowsSteps, Reward, reward_at_the_end
from seqgan.rewards.text import TextReward
from seqgan.runtime.trainer import Stateful
from seqgan.text.token_batch import TokenBatch

Combination = Literal["sum", "geometric_mean"]
Scores = Mapping[str, Float[Tensor, "..."]]


@dataclass(frozen=True, kw_only=True)
class RewardPart(KindSettings):
    """Settings that one of several rewards has beside its own."""

    weight: float = 1.0
    """Factor of this reward in the sum, or its share in the geometric mean."""
    final_weight: float | None = None
    """Its weight at the end of training, to which it goes in a straight line; by default it stays."""
    normalise: bool = False
    """Subtract the running mean of all its scores and divide by their standard deviation."""
    at_least: float | None = None
    """A floor for its mean: below it the weight rises, above it the weight falls, and never below 0."""
    multiplier_rate: Annotated[float, Range(minimum=0)] = 0.1
    """Change of that weight per policy step, for each unit that the mean is away from the floor."""


class MixedReward:
    """The weighted sum of rewards, or their weighted geometric mean exp(Σ w ln r / Σ w), of those that apply.

    Where any gives one number per token, the sum does: a number per sequence then belongs to its last token.
    In the geometric mean, which is REINVENT's (Olivecrona et al. 2017), a reward below 0 counts as 0, and all
    must be of sequences. A part with a floor is a constraint: its weight is a Lagrange multiplier.

    Weights and the numbers of the normalisation change between policy steps only (:meth:`finish_step`).
    """

    def __init__(
        self,
        rewards: Mapping[str, tuple[Reward, RewardPart]],
        *,
        combination: Combination,
        num_steps: int,
        device: torch.device,
    ) -> None:
        self.rewards = {name: reward for name, (reward, _) in rewards.items()}
        self.settings = {name: settings for name, (_, settings) in rewards.items()}
        self.combination = combination
        self.num_steps = num_steps
        self.step = 0
        self.device = device
        # Of each part: what it has been given in this step, and in all before.
        self.latest = {name: torch.zeros(3, device=device, dtype=torch.float64) for name in rewards}
        self.past = {name: torch.zeros(3, device=device, dtype=torch.float64) for name in rewards}
        self.multipliers = {
            name: torch.tensor(settings.weight, device=device)
            for name, settings in self.settings.items()
            if settings.at_least is not None
        }

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"] | Float[Tensor, "B T"]:
        """Return the rewards of a policy step, and remember what each part gave."""
        scores = self.score(batch)
        for name, found in scores.items():
            self.latest[name] += moments(found, batch.mask)
        return self.combine(scores, batch.mask)

    def score(self, batch: TokenBatch) -> Scores:
        """Return what each part gives, as it is; NaN where it does not apply."""
        return {
            name: reward.scores(batch) if isinstance(reward, TextReward) else reward(batch)
            for name, reward in self.rewards.items()
        }

    def combine(self, scores: Scores, mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B"] | Float[Tensor, "B T"]:
        """Return one reward from the parts' scores.

        Raises:
            ValueError: A geometric mean of rewards of tokens.
        """
        if self.combination == "geometric_mean":
            return self._geometric_mean(scores)
        per_token = any(found.dim() == 2 for found in scores.values())
        total = torch.zeros(mask.shape if per_token else mask.shape[:1], device=mask.device)
        for name, found in scores.items():
            weighted = self.weight(name) * self._normalised(name, found).nan_to_num(nan=0.0)
            total = total + (
                reward_at_the_end(weighted, mask) if per_token and found.dim() == 1 else weighted
            )
        return torch.where(mask, total, 0.0) if per_token else total

    def weight(self, name: str) -> Tensor | float:
        """Return the weight of a part in this policy step; of one with a floor it is a tensor."""
        settings = self.settings[name]
        if name in self.multipliers:
            return self.multipliers[name]
        final = settings.weight if settings.final_weight is None else settings.final_weight
        progress = min(1.0, self.step / max(1, self.num_steps - 1))
        weight: float = settings.weight + progress * (final - settings.weight)
        return weight

    def finish_step(self) -> dict[str, Tensor | float]:
        """Take what this policy step gave into the weights; return each part's mean, and weights that change.

        Nothing was given where no reward was asked for: then nothing changes.
        """
        metrics: dict[str, Tensor | float] = {}
        for name, settings in self.settings.items():
            reward = self.rewards[name]
            metrics |= reward.finish_step() if isinstance(reward, FollowsSteps) else {}
            count, total, _ = self.latest[name]
            mean = (total / count.clamp(min=1)).float()
            metrics[f"reward/part_{name}"] = mean
            if name in self.multipliers or settings.final_weight is not None:
                metrics[f"reward/weight_{name}"] = self.weight(name)
            if settings.at_least is not None:
                change = torch.where(count > 0, settings.multiplier_rate * (settings.at_least - mean), 0.0)
                self.multipliers[name] = (self.multipliers[name] + change).clamp(min=0)
            self.past[name] += self.latest[name]
            self.latest[name].zero_()
        self.step += 1
        return metrics

    def _normalised(self, name: str, scores: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
        if not self.settings[name].normalise:
            return scores
        count, total, squares = self.past[name]
        mean = total / count.clamp(min=1)
        deviation = (squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
        deviation = torch.where((count > 0) & (deviation > 0), deviation, 1.0)  # none is known yet
        normalised: Tensor = (scores - mean.float()) / deviation.float()
        return normalised

    def _geometric_mean(self, scores: Scores) -> Float[Tensor, "B"]:
        if any(found.dim() == 2 for found in scores.values()):
            raise ValueError("--reward-combination: a geometric mean takes rewards of whole sequences only")
        logs = torch.stack(
            [self._normalised(name, found).clamp(min=1e-30).log() for name, found in scores.items()]
        )  # (P, B): of P parts
        weights = torch.stack(
            [self.weight(name) * (~found.isnan()).float() for name, found in scores.items()]
        )
        mean: Tensor = (weights * logs.nan_to_num(nan=0.0)).sum(0) / weights.sum(0).clamp(min=1e-30)
        return mean.exp()

    def state_dict(self) -> dict[str, Any]:
        """Return weights and running numbers, and the state of every part that has one."""
        return {
            "step": self.step,
            "latest": {name: value.clone() for name, value in self.latest.items()},
            "past": {name: value.clone() for name, value in self.past.items()},
            "multipliers": {name: value.clone() for name, value in self.multipliers.items()},
            "parts": {
                name: reward.state_dict()
                for name, reward in self.rewards.items()
                if isinstance(reward, Stateful)
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.step = state["step"]
        for name in self.settings:
            self.latest[name].copy_(state["latest"][name])
            self.past[name].copy_(state["past"][name])
        for name in self.multipliers:
            self.multipliers[name] = state["multipliers"][name].to(self.device)
        for name, part in state["parts"].items():
            reward: Any = self.rewards[name]
            reward.load_state_dict(part)


def moments(scores: Float[Tensor, "..."], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "3"]:
    """Return count, sum and sum of squares of scores per sequence, or per real token; NaN does not count."""
    numbers = scores.double()
    real = ~numbers.isnan() & (mask if scores.dim() == 2 else True)
    numbers = torch.where(real, numbers, 0.0)
    return torch.stack([real.sum().double(), numbers.sum(), numbers.square().sum()])
