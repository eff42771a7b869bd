"""LeakGAN's advantage estimators: the discriminator's values for the manager, a mixture for the worker."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from leakgan.features import leaking_part
from leakgan.generator import LeakGANGenerator, Plan
from leakgan.losses import intrinsic_rewards, progress, rescale
from seqgan.advantages.action_values import ActionValues
from seqgan.advantages.baselines import leave_one_out_mean
from seqgan.advantages.candidates import Candidates, CandidatesSettings, candidate_values
from seqgan.advantages.controls import Control, apply_control, draw_control
from seqgan.advantages.rollouts import Rollouts, RolloutsSettings
from seqgan.config.ranges import Range
from seqgan.models.cnn_and_pairs import CNNAndPairsDiscriminator
from seqgan.models.inference import inference
from seqgan.rewards.discriminator import DiscriminatorReward
from seqgan.rewards.reward import Reward
from seqgan.sampling.settings import SamplingSettings
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import masked_mean


@dataclass(frozen=True, kw_only=True, eq=False)
class LeakGANValues(ActionValues):
    """The worker's action values, and what the manager learns from."""

    plan: Plan
    """Features and goals along the sampled sequences, with the manager's gradient."""
    manager_values: Float[Tensor, "B T"]
    """The value of each sampled token by the discriminator alone, rescaled where that is asked for."""
    discriminator: Float[Tensor, "B T"]
    """The same before rescaling, for the log."""
    intrinsic: Float[Tensor, "B T"]
    """How far each sampled token went along the goals, for the log."""


@dataclass(frozen=True, kw_only=True)
class LeakGANRolloutsSettings(RolloutsSettings):
    """Settings of LeakGAN's rollouts."""

    kind: str = "leakgan-rollouts"
    interval: Annotated[int, Range(minimum=1)] = 4
    """Steps between two prefixes that are completed; the actions between take the value of the next one."""
    rescaling: Annotated[float | None, Range(minimum=0, open=True)] = 16.0
    """Sharpness (delta) of the rescaling of the discriminator's rewards, for manager and worker."""
    intrinsic_weight: Annotated[float, Range(minimum=0, maximum=1)] = 1.0
    """Share of the intrinsic reward in the worker's, the paper's 1; the rest is the discriminator's."""


class LeakGANRollouts(Rollouts):
    """Rollouts: the discriminator's rewards for the manager, mixed with the intrinsic one for the worker."""

    settings: LeakGANRolloutsSettings

    def __init__(
        self,
        settings: LeakGANRolloutsSettings,
        *,
        policy: LeakGANGenerator,
        reward: Reward,
        sampling: SamplingSettings,
        eos_id: int | None,
        pad_id: int,
        rng: torch.Generator,
    ) -> None:
        super().__init__(
            settings, policy=policy, reward=reward, sampling=sampling, eos_id=eos_id, pad_id=pad_id, rng=rng
        )

    def __call__(self, policy: LeakGANGenerator, trajectories: Trajectories) -> LeakGANValues:  # type: ignore[override]
        """Return the sampled tokens with the mixture of both rewards."""
        settings, mask = self.settings, trajectories.mask
        plan = policy.plan(trajectories)
        judged = self.estimate(policy, trajectories)  # (B, T)
        rescaled = rescaled_values(judged, mask, settings.rescaling)
        intrinsic = intrinsic_rewards(plan.features, plan.goals.detach(), mask, policy.settings.horizon)
        values = settings.intrinsic_weight * intrinsic + (1 - settings.intrinsic_weight) * rescaled
        found = LeakGANValues(
            actions=trajectories.tokens[..., None],
            values=values[..., None],
            baseline=self.baseline(values, mask)[..., None],
            mask=mask,
            plan=plan,
            manager_values=control_manager(rescaled, mask, settings.control, self.rng),
            discriminator=judged,
            intrinsic=intrinsic,
        )
        return apply_control(found, settings.control, self.rng)

    def learn(self, trajectories: Trajectories, values: LeakGANValues) -> dict[str, Tensor]:  # type: ignore[override]
        """Move a lagging rollout policy towards the policy; return the means of both rewards."""
        return reward_metrics(values) | super().learn(trajectories, values)


@dataclass(frozen=True, kw_only=True)
class LeakGANCandidatesSettings(CandidatesSettings):
    """Settings of LeakGAN's candidates."""

    kind: str = "leakgan-candidates"
    manager_rescaling: Annotated[float | None, Range(minimum=0, open=True)] = 16.0
    """Sharpness (delta) of the rescaling of the manager's rewards; the worker's are not rescaled."""
    intrinsic_weight: Annotated[float, Range(minimum=0, maximum=1)] = 1.0
    """Share of the intrinsic reward in the worker's, the paper's 1; the rest is the discriminator's."""


class LeakGANCandidates(Candidates):
    """Candidates valued by how far they go along the goals, and by the discriminator.

    The worker's candidates are compared with each other, so that nothing has to be rescaled over the
    batch. The manager learns from the discriminator's rewards of the prefixes of the sampled sequences.
    """

    settings: LeakGANCandidatesSettings

    def __init__(
        self,
        settings: LeakGANCandidatesSettings,
        *,
        reward: Reward,
        sampling: SamplingSettings,
        rng: torch.Generator,
    ) -> None:
        super().__init__(settings, reward=reward, sampling=sampling, rng=rng)

    def __call__(self, policy: LeakGANGenerator, trajectories: Trajectories) -> LeakGANValues:  # type: ignore[override]
        """Return K candidates at each step with the mixture of both rewards."""
        settings, mask = self.settings, trajectories.mask
        plan = policy.plan(trajectories)
        judged = candidate_values(trajectories, trajectories.tokens[..., None], self.reward)[..., 0]  # (B, T)
        rescaled = rescaled_values(judged, mask, settings.manager_rescaling)
        actions = self.draw(policy, trajectories)  # (B, T, K)
        reward = self.reward if settings.intrinsic_weight < 1 else None
        values, rewards = candidate_progress(policy, plan, trajectories, actions, reward)
        values = settings.intrinsic_weight * values + (1 - settings.intrinsic_weight) * rewards
        found = LeakGANValues(
            actions=actions,
            values=values,
            baseline=leave_one_out_mean(values),
            mask=mask,
            plan=plan,
            manager_values=control_manager(rescaled, mask, settings.control, self.rng),
            discriminator=judged,
            intrinsic=intrinsic_rewards(plan.features, plan.goals.detach(), mask, policy.settings.horizon),
        )
        return apply_control(found, settings.control, self.rng)

    def learn(self, trajectories: Trajectories, values: LeakGANValues) -> dict[str, Tensor]:  # type: ignore[override]
        """Return the means of both rewards."""
        return reward_metrics(values)


def candidate_progress(
    policy: LeakGANGenerator,
    plan: Plan,
    trajectories: Trajectories,
    candidates: Int[Tensor, "B T K"],
    reward: Reward | None = None,
) -> tuple[Float[Tensor, "B T K"], Float[Tensor, "B T K"]]:
    """Return how far each candidate goes along the goals behind it, and its reward; 0 without ``reward``.

    Behind the mask they mean nothing. The features of a candidate are computed once for both, where the
    reward is the discriminator's that leaks them.
    """
    goals, horizon = plan.goals.detach(), policy.settings.horizon
    cnn = leaking_part(policy.features.discriminator)
    advances, logits = goals.new_zeros(candidates.shape), goals.new_zeros(candidates.shape)
    with policy.prepared("float32"), inference(cnn):
        reached = policy.features.of_alternatives(trajectories, candidates)  # T times (R,) and (R, K, F)
        for step, (rows, ends) in enumerate(reached, 1):
            advances[rows, step - 1] = progress(ends, plan.features[rows], goals[rows], step, horizon)
            logits[rows, step - 1] = cnn.logits_of(ends)
    if reward is None:
        return advances, torch.zeros_like(advances)
    if isinstance(reward, DiscriminatorReward) and cnn.settings.scoring_precision == "float32":
        if reward.discriminator is cnn:
            return advances, reward.transformed(logits)
        judge = reward.discriminator
        if isinstance(judge, CNNAndPairsDiscriminator) and judge.cnn is cnn:
            of_pairs = judge.pairs.score_alternatives(trajectories, candidates)
            return advances, reward.transformed(logits + of_pairs)
    return advances, candidate_values(trajectories, candidates, reward)


def rescaled_values(
    values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], delta: float | None
) -> Float[Tensor, "B T"]:
    """Return the values rescaled by rank over the batch (:func:`rescale`); without ``delta`` as they are."""
    return values if delta is None else rescale(values, mask, delta)


def control_manager(
    values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], control: Control, rng: torch.Generator
) -> Float[Tensor, "B T"]:
    """Return the manager's values, replaced by a control as the worker's advantages are."""
    return draw_control(values[..., None], mask, control, rng)[..., 0]


def reward_metrics(values: LeakGANValues) -> dict[str, Tensor]:
    """Return the discriminator's mean reward of whole sequences, and the mean intrinsic reward of a token."""
    mask = values.mask
    return {
        "reward/discriminator": values.discriminator.gather(1, mask.sum(1, keepdim=True) - 1).mean(),
        "reward/intrinsic": masked_mean(values.intrinsic, mask),
    }
