"""Generalised advantage estimation: a critic in the place of rollouts (Schulman et al. 2016)."""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqgan.advantages.action_values import ActionValues
from seqgan.advantages.controls import EstimatorSettings, apply_control
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.models.value_function import ValueFunction
from seqgan.rewards.reward import Reward, reward_at_the_end
from seqgan.runtime.optimization import Optimizer
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import masked_mean


@dataclass(frozen=True, kw_only=True)
class GAESettings(EstimatorSettings):
    """Settings of generalised advantage estimation."""

    kind: str = "gae"
    discount: Annotated[float, Range(minimum=0, maximum=1)] = 1.0
    """Weight of a reward one step later."""
    gae_lambda: Annotated[float, Range(minimum=0, maximum=1)] = 0.95
    """Weight of what is seen one step later: 1 takes returns less values, 0 the critic's word alone."""
    critic_learning_rate: Annotated[float, Range(minimum=0)] = 1e-2
    """Adam step size of the critic."""
    critic_epochs: Annotated[int, Range(minimum=1)] = 2
    """Steps of the critic per policy step, each on all sequences; at least 1."""
    critic_gradient_clip: Annotated[float, Range(minimum=0, open=True)] = 5.0
    """Largest norm of the critic's gradient."""


class GAE:
    """Advantages by a critic that is fitted as the policy learns: advantage actor-critic, without rollouts.

    The critic reads prefixes with a copy of the pre-trained policy's body. With ``gae_lambda`` 1 and a critic
    of 0 the advantages are those of REINFORCE without a baseline.
    """

    def __init__(
        self, settings: GAESettings, *, policy: Generator, reward: Reward, rng: torch.Generator
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.reward = reward
        self.rng = rng
        self.critic = ValueFunction(policy)
        self.optimizer = Optimizer(
            [parameter for parameter in self.critic.parameters() if parameter.requires_grad],
            learning_rate=settings.critic_learning_rate,
            gradient_clip=settings.critic_gradient_clip,
        )

    def start(self) -> None:
        """Let the critic read as the pre-trained policy does."""
        self.critic.start_from(self.policy)

    @torch.no_grad()
    def __call__(self, policy: Generator, trajectories: Trajectories) -> ActionValues:
        """Return the sampled tokens with λ-returns, and the critic's values as their baseline."""
        mask, rewards = trajectories.mask, self.reward(trajectories)
        if rewards.dim() == 1:
            rewards = reward_at_the_end(rewards, mask)
        critic = torch.where(mask, self.critic.eval()(trajectories), 0.0)
        advantages = estimate_advantages(
            rewards, critic, mask, discount=self.settings.discount, gae_lambda=self.settings.gae_lambda
        )
        found = ActionValues.of_tokens(trajectories, critic + advantages, critic)
        return apply_control(found, self.settings.control, self.rng)

    def learn(self, trajectories: Trajectories, values: ActionValues) -> dict[str, Tensor]:
        """Fit the critic to the λ-returns; return how well it knew them."""
        mask, targets = trajectories.mask, values.values[..., 0]
        first: dict[str, Tensor] = {}
        for _ in range(self.settings.critic_epochs):
            errors = self.critic(trajectories) - targets  # (B, T)
            loss = masked_mean(errors.square(), mask)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            first = first or {
                "critic/loss": loss.detach(),
                "critic/explained_variance": explained_variance(targets, errors.detach(), mask),
            }
        return first

    def state_dict(self) -> dict[str, Any]:
        """Return the critic and its optimizer's state."""
        return {"critic": self.critic.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])


def estimate_advantages(
    rewards: Float[Tensor, "B T"],
    values: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    discount: float,
    gae_lambda: float,
) -> Float[Tensor, "B T"]:
    """Return Σ_l (γλ)^l δ_{t+l} with δ_t = r_t + γ V_{t+1} − V_t (equation 16); 0 behind the mask.

    ``values`` holds V_t, the value of what stands before token t. Behind the last token there is nothing to
    be had, so its V_{t+1} is 0.
    """
    advantages = torch.zeros_like(values)
    later = next_value = torch.zeros_like(values[:, 0])  # (B,)
    for step in reversed(range(values.shape[1])):
        delta = rewards[:, step] + discount * next_value - values[:, step]
        real = mask[:, step]
        later = torch.where(real, delta + discount * gae_lambda * later, 0.0)
        next_value = torch.where(real, values[:, step], 0.0)
        advantages[:, step] = later
    return advantages


def explained_variance(
    targets: Float[Tensor, "B T"], errors: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """Return 1 − Var(error) / Var(target) over the real tokens: 1 is perfect, 0 as good as a constant."""

    def variance(numbers: Float[Tensor, "B T"]) -> Float[Tensor, ""]:
        return masked_mean((numbers - masked_mean(numbers, mask)).square(), mask)

    return 1 - variance(errors) / variance(targets).clamp(min=1e-12)
