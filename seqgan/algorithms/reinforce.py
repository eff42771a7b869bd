"""REINFORCE with Monte-Carlo action values (SeqGAN, arXiv 1609.05473)."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqgan.advantages.baselines import Baseline, BaselineKind, advantages, leave_one_out_mean
from seqgan.advantages.candidates import alternative_values
from seqgan.algorithms.objectives import Reduction, differentiate
from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.rewards.reward import Reward
from seqgan.runtime.optimization import clipped_step
from seqgan.sampling.sample import sample
from seqgan.sampling.token_sampler import TokenSampler
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import masked_mean

ActionValues = Callable[[Generator, Trajectories], Float[Tensor, "B T"]]


@dataclass(frozen=True, kw_only=True)
class ReinforceSettings(KindSettings):
    """REINFORCE with Monte-Carlo rollouts."""

    kind: str = "reinforce"
    """Which algorithm: reinforce, or an import path package.module:name."""
    batch_size: Annotated[int, Range(minimum=1)] = 64
    """Sequences per policy step."""
    alternatives: Annotated[int, Range(minimum=0)] = 0
    """Next tokens drawn at each step and judged as they stand, without rollouts; 0 takes rollouts."""
    learning_rate: Annotated[float, Range(minimum=0)] = 1e-3
    """Adam step size."""
    gradient_clip: Annotated[float, Range(minimum=0, open=True)] = 5.0
    """Largest norm of the gradient."""
    temperature: Annotated[float, Range(minimum=0, open=True)] = 1.0
    """Softmax temperature of the policy that acts and learns."""
    baseline: BaselineKind = "step_mean"
    """What is taken from the action values: nothing, a running mean, or the others' mean at that step."""
    baseline_decay: Annotated[float, Range(minimum=0, maximum=1)] = 0.9
    """Decay of the running mean (ewma) per policy step."""
    whiten: bool = True
    """Scale advantages to variance 1 over the batch."""
    advantage_clip: Annotated[float | None, Range(minimum=0, open=True)] = None
    """Largest advantage either way; none by default."""
    entropy_weight: Annotated[float, Range(minimum=0)] = 0.0
    """Weight of the policy's entropy (nats per token), which is raised."""
    kl_weight: Annotated[float, Range(minimum=0)] = 0.0
    """Weight of KL(policy || MLE policy) (nats per token), which is lowered."""
    lag: Annotated[float, Range(minimum=0, maximum=1)] = 0.0
    """Share of the old weights that the rollout policy keeps at each step; 0 rolls out the current policy."""
    reduction: Reduction = "mean"
    """Loss per token, or its sum over the batch as in the official code."""


class Reinforce:
    """Samples from the policy, judges its actions and takes one step along the policy gradient.

    The actions are the sampled tokens, judged by rollouts; or, with ``alternatives``, several tokens drawn
    at each step of the sampled sequences, judged against each other by ``reward`` as they stand. The latter
    is nearer to the expectation over all actions, which one draw from a large vocabulary says little about.

    ``parameters`` are those that the optimizer moves and the clipping measures, by default the policy's.
    """

    def __init__(
        self,
        settings: ReinforceSettings,
        *,
        policy: Generator,
        action_values: ActionValues,
        max_length: int,
        eos_id: int | None,
        rng: torch.Generator,
        reward: Reward | None = None,
        parameters: Iterable[nn.Parameter] | None = None,
    ) -> None:
        if settings.alternatives == 1:
            raise ValueError(
                "--algorithm.alternatives: 1 has nothing to compare with; choose 0 or at least 2"
            )
        self.settings = settings
        self.policy = policy
        self.reference = copy.deepcopy(policy).requires_grad_(False)
        self.rollout_policy = copy.deepcopy(policy).requires_grad_(False) if settings.lag else policy
        self.action_values = action_values
        self.reward = reward
        self.max_length = max_length
        self.eos_id = eos_id
        self.rng = rng
        parameters = policy.parameters() if parameters is None else parameters
        self.optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)
        self.baseline = Baseline(settings.baseline, settings.baseline_decay, policy.device)

    def start(self) -> None:
        """Take the policy as it is now for the reference (the MLE policy) and for the rollouts."""
        self.reference.load_state_dict(self.policy.state_dict())
        if self.settings.lag:
            self.rollout_policy.load_state_dict(self.policy.state_dict())

    def policy_step(self, factor: float = 1.0) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One step at ``factor`` of the step size; gives scalars, and values per action for histograms."""
        # 1. Act.
        trajectories = self._act()

        # 2. Judge.
        actions, action_values, baseline = self._judge(trajectories)

        # 3. Learn.
        results = self._learn(trajectories, actions, action_values, baseline, factor)

        # 4. Let the rollout policy follow.
        self._follow()
        return results

    def _act(self) -> Trajectories:
        """Sequences drawn from the policy."""
        return sample(
            self.policy,
            self.settings.batch_size,
            self.max_length,
            eos_id=self.eos_id,
            rng=self.rng,
            temperature=self.settings.temperature,
        )

    def _judge(self, trajectories: Trajectories) -> tuple[Tensor, Tensor, Tensor]:
        """Actions, their values and the baselines, all (B, T, K); without alternatives K is 1."""
        tokens, mask = trajectories.tokens, trajectories.mask
        if not self.settings.alternatives:
            values = self.action_values(self.rollout_policy, trajectories)
            return tokens[..., None], values[..., None], self.baseline(values, mask)[..., None]
        assert self.reward is not None
        actions = self._draw_alternatives(trajectories)
        values = alternative_values(tokens, mask, actions, self.reward)
        return actions, values, leave_one_out_mean(values)

    def _draw_alternatives(self, trajectories: Trajectories) -> Int[Tensor, "B T K"]:
        """K draws from the policy at each step of the sequences."""
        tokens = trajectories.tokens
        shape = (*tokens.shape, self.settings.alternatives)
        with inference(self.policy):
            uniforms = torch.rand(shape, generator=self.rng, device=tokens.device)
            sampler = TokenSampler(self.policy, temperature=self.settings.temperature)
            drawn, _ = sampler.draw(self.policy.hidden(trajectories).flatten(0, 1), uniforms.flatten(0, 1))
        return drawn.view(shape)

    def _learn(
        self,
        trajectories: Trajectories,
        actions: Int[Tensor, "B T K"],
        action_values: Float[Tensor, "B T K"],
        baseline: Float[Tensor, "B T K"],
        factor: float,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One step of the optimizer along the policy gradient of the advantages; gives what is logged."""
        settings, tokens, mask = self.settings, trajectories.tokens, trajectories.mask
        self.policy.eval()  # log-probabilities belong to the distribution that was sampled: no dropout
        judged = mask[..., None].expand_as(actions)
        advantage = advantages(
            action_values.flatten(1),
            baseline.flatten(1),
            judged.flatten(1),
            whiten=settings.whiten,
            clip=settings.advantage_clip,
        ).view_as(action_values)
        self.optimizer.zero_grad()
        metrics = differentiate(
            self.policy,
            self.reference,
            tokens,
            mask,
            actions,
            advantage,
            temperature=settings.temperature,
            entropy_weight=settings.entropy_weight,
            kl_weight=settings.kl_weight,
            reduction=settings.reduction,
        )
        gradient_norm = clipped_step(
            self.optimizer,
            learning_rate=settings.learning_rate * factor,
            gradient_clip=settings.gradient_clip,
        )

        values = torch.where(mask, action_values.mean(-1), 0.0)
        per_step = values.sum(0) / mask.sum(0).clamp(min=1)
        metrics |= {
            "policy/gradient_norm": gradient_norm,
            "policy/advantage_std": masked_mean(
                (advantage - masked_mean(advantage, judged)).square(), judged
            ).sqrt(),
            "policy/length": mask.sum(1).float().mean(),
            "reward/mean": values.gather(1, mask.sum(1, keepdim=True) - 1).mean(),
            **{f"reward/step_{t + 1:02d}": value for t, value in enumerate(per_step.unbind())},
        }
        return metrics, {"policy/advantages": advantage, "reward/action_values": action_values}

    def _follow(self) -> None:
        """Move the rollout policy towards the policy, where it lags behind."""
        if not self.settings.lag:
            return
        with torch.no_grad():
            pairs = zip(self.rollout_policy.parameters(), self.policy.parameters(), strict=True)
            for lagging, current in pairs:
                lagging.lerp_(current, 1 - self.settings.lag)

    def state_dict(self) -> dict[str, Any]:
        """Everything that later steps depend on, apart from the policy and the random states."""
        state: dict[str, Any] = {
            "optimizer": self.optimizer.state_dict(),
            "baseline": self.baseline.state_dict(),
            "reference": self.reference.state_dict(),
        }
        return state | ({"rollout_policy": self.rollout_policy.state_dict()} if self.settings.lag else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.baseline.load_state_dict(state["baseline"])
        self.reference.load_state_dict(state["reference"])
        if self.settings.lag:
            self.rollout_policy.load_state_dict(state["rollout_policy"])
