"""REINFORCE with Monte-Carlo action values (SeqGAN, arXiv 1609.05473)."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seqgan.algorithms.baselines import Baseline, BaselineKind, advantages
from seqgan.config import ComponentConfig, Range
from seqgan.masking import masked_mean
from seqgan.models.generator import Generator
from seqgan.sampling import Trajectories, sample

ActionValues = Callable[[Generator, Trajectories], Float[Tensor, "B T"]]


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig(ComponentConfig):
    """REINFORCE with Monte-Carlo rollouts."""

    kind: str = "reinforce"
    """Which algorithm: reinforce, or an import path package.module:name."""
    batch_size: Annotated[int, Range(minimum=1)] = 64
    """Sequences per policy step."""
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
    reduction: Literal["mean", "sum"] = "mean"
    """Loss per token, or its sum over the batch as in the official code."""


def reinforce_loss(
    log_probs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    reduction: Literal["mean", "sum"] = "mean",
) -> Float[Tensor, ""]:
    """−Σ log G(y_t | y_<t) · A_t over real tokens, or its mean per token; advantages carry no gradient."""
    terms = torch.where(mask, -log_probs * advantages.detach(), 0.0)
    return terms.sum() if reduction == "sum" else terms.sum() / mask.sum().clamp(min=1)


class Reinforce:
    """Samples from the policy, asks for action values and takes one step along the policy gradient."""

    def __init__(
        self,
        config: ReinforceConfig,
        *,
        policy: Generator,
        action_values: ActionValues,
        max_length: int,
        eos_id: int | None,
        rng: torch.Generator,
    ) -> None:
        self.config = config
        self.policy = policy
        self.reference = copy.deepcopy(policy).requires_grad_(False)
        self.rollout_policy = copy.deepcopy(policy).requires_grad_(False) if config.lag else policy
        self.action_values = action_values
        self.max_length = max_length
        self.eos_id = eos_id
        self.rng = rng
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=config.learning_rate, fused=True)
        self.baseline = Baseline(config.baseline, config.baseline_decay, policy.device)

    def start(self) -> None:
        """Take the policy as it is now for the reference (the MLE policy) and for the rollouts."""
        self.reference.load_state_dict(self.policy.state_dict())
        if self.config.lag:
            self.rollout_policy.load_state_dict(self.policy.state_dict())

    def policy_step(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """One policy-gradient step; gives scalars, and values per token for histograms."""
        config = self.config
        self.policy.eval()  # log-probabilities belong to the distribution that was sampled: no dropout

        # 1. Act.
        trajectories = sample(
            self.policy,
            config.batch_size,
            self.max_length,
            eos_id=self.eos_id,
            rng=self.rng,
            temperature=config.temperature,
        )
        tokens, mask = trajectories.tokens, trajectories.mask

        # 2. Judge.
        action_values = self.action_values(self.rollout_policy, trajectories)
        advantage = advantages(
            action_values,
            self.baseline(action_values, mask),
            mask,
            whiten=config.whiten,
            clip=config.advantage_clip,
        )

        # 3. Learn.
        distribution = torch.log_softmax(self.policy(tokens) / config.temperature, -1)
        log_probs = distribution.gather(-1, tokens[..., None]).squeeze(-1)
        entropy = masked_mean(-(distribution.exp() * distribution).sum(-1), mask)
        loss = reinforce_loss(log_probs, advantage, mask, config.reduction)
        objective = loss - config.entropy_weight * entropy
        metrics = {"policy/loss": loss.detach(), "policy/entropy": entropy.detach()}
        if config.kl_weight:
            kl = self._divergence_from_reference(distribution, tokens, mask)
            objective = objective + config.kl_weight * kl
            metrics["policy/kl"] = kl.detach()
        self.optimizer.zero_grad()
        objective.backward()  # type: ignore[no-untyped-call]
        gradient_norm = nn.utils.clip_grad_norm_(self.policy.parameters(), config.gradient_clip)
        self.optimizer.step()

        # 4. Let the rollout policy follow.
        if config.lag:
            with torch.no_grad():
                pairs = zip(self.rollout_policy.parameters(), self.policy.parameters(), strict=True)
                for lagging, current in pairs:
                    lagging.lerp_(current, 1 - config.lag)

        metrics |= {
            "policy/gradient_norm": gradient_norm,
            "policy/advantage_std": masked_mean(
                (advantage - masked_mean(advantage, mask)).square(), mask
            ).sqrt(),
            "policy/length": mask.sum(1).float().mean(),
            "reward/mean": action_values.gather(1, mask.sum(1, keepdim=True) - 1).mean(),
        }
        reached = mask.sum(0)
        per_step = torch.where(mask, action_values, 0.0).sum(0) / reached.clamp(min=1)
        metrics |= {f"reward/step_{t + 1:02d}": value for t, value in enumerate(per_step.unbind())}
        return metrics, {"policy/advantages": advantage, "reward/action_values": action_values}

    def _divergence_from_reference(
        self, distribution: Float[Tensor, "B T V"], tokens: Tensor, mask: Tensor
    ) -> Float[Tensor, ""]:
        self.reference.eval()
        with torch.no_grad():
            reference = torch.log_softmax(self.reference(tokens) / self.config.temperature, -1)
        return masked_mean((distribution.exp() * (distribution - reference)).sum(-1), mask)

    def state_dict(self) -> dict[str, Any]:
        """Everything that later steps depend on, apart from the policy and the random states."""
        state: dict[str, Any] = {
            "optimizer": self.optimizer.state_dict(),
            "baseline": self.baseline.state_dict(),
            "reference": self.reference.state_dict(),
        }
        return state | ({"rollout_policy": self.rollout_policy.state_dict()} if self.config.lag else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.baseline.load_state_dict(state["baseline"])
        self.reference.load_state_dict(state["reference"])
        if self.config.lag:
            self.rollout_policy.load_state_dict(state["rollout_policy"])
