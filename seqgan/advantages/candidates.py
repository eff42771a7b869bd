"""Action values of several candidates for each token, which need no rollouts."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.advantages.action_values import ActionValues
from seqgan.advantages.baselines import leave_one_out_mean
from seqgan.advantages.controls import EstimatorSettings, apply_control
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.rewards.reward import Reward, RewardsAlternatives, sequence_rewards
from seqgan.sampling.settings import SamplingSettings
from seqgan.sampling.token_sampler import TokenSampler
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.alternatives import score_by_step
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class CandidatesSettings(EstimatorSettings):
    """Settings of the candidates estimator."""

    kind: str = "candidates"
    num_candidates: Annotated[int, Range(minimum=2)] = 32
    """Tokens drawn at each step, each compared with the mean of the others; at least 2."""


class Candidates:
    """K tokens drawn at every step of the sampled sequences, each with the reward of the prefix that it ends.

    The value of a candidate is the reward of y_1..y_{t-1} and the candidate, as if that were the
    whole sequence. So it says what a token is worth now and not what it is good for later, and is not
    SeqGAN's action value; against that stands the comparison with K − 1 other tokens of the same step,
    which is nearer to the expectation over all actions than one sampled token.
    """

    def __init__(
        self,
        settings: CandidatesSettings,
        *,
        reward: Reward,
        sampling: SamplingSettings,
        rng: torch.Generator,
    ) -> None:
        self.settings = settings
        self.reward = reward
        self.sampling = sampling
        self.rng = rng

    def __call__(self, policy: Generator, trajectories: Trajectories) -> ActionValues:
        """Return K candidates at each step, their values, and the mean of the others' values as baseline."""
        actions = self.draw(policy, trajectories)
        values = candidate_values(trajectories, actions, self.reward)
        found = ActionValues(
            actions=actions, values=values, baseline=leave_one_out_mean(values), mask=trajectories.mask
        )
        return apply_control(found, self.settings.control, self.rng)

    def draw(self, policy: Generator, batch: TokenBatch) -> Int[Tensor, "B T K"]:
        """Return K tokens drawn from the policy at each step of the sequences, behind the mask as well."""
        shape = (*batch.tokens.shape, self.settings.num_candidates)
        with inference(policy):
            uniforms = torch.rand(shape, generator=self.rng, device=batch.device)
            sampler = TokenSampler(
                policy, temperature=self.sampling.temperature, precision=self.sampling.precision
            )
            # One hidden vector for each of B·T prefixes, from each of which K tokens are drawn.
            drawn, _ = sampler.draw(policy.hidden(batch).flatten(0, 1), uniforms.flatten(0, 1))
        return drawn.view(shape)

    def start(self) -> None:
        """Do nothing: there is nothing to prepare."""

    def learn(self, trajectories: Trajectories, values: ActionValues) -> dict[str, Tensor]:
        """Return no metrics: nothing is learned."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""


@torch.no_grad()
def candidate_values(
    batch: TokenBatch, candidates: Int[Tensor, "B T K"], reward: Reward
) -> Float[Tensor, "B T K"]:
    """Return the reward of y_1..y_{t-1} followed by each of K candidates for y_t; 0 behind the mask.

    K rewards of prefixes per step, and none of the variance of rollouts.
    """
    if isinstance(reward, RewardsAlternatives):
        return reward.of_alternatives(batch, candidates)
    return score_by_step(batch, candidates, lambda prefixes: sequence_rewards(reward, prefixes))
