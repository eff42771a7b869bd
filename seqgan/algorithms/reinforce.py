"""REINFORCE with the advantages of any estimator (Williams 1992; Yu et al. 2017)."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqgan.advantages.action_values import ActionValues, AdvantageEstimator, normalise_advantages
from seqgan.algorithms.differentiation import Objective, Terms, differentiate, frozen_log_probs
from seqgan.algorithms.objectives import (
    Reduction,
    entropy_bonus,
    kl_penalty,
    policy_gradient,
    token_weights,
)
from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.runtime.optimization import Optimizer
from seqgan.runtime.trainer import StepReport
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import masked_mean
from seqgan.text.token_batch import TokenBatch

KL_INTERVAL = 10  # steps between two measurements of a KL divergence without weight: each is a forward pass


@dataclass(frozen=True, kw_only=True)
class ReinforceSettings(KindSettings):
    """Settings of REINFORCE."""

    kind: str = "reinforce"
    batch_size: Annotated[int, Range(minimum=1)] = 64
    """Sequences per policy step."""
    group_size: Annotated[int, Range(minimum=1)] = 1
    """Sequences of a step that complete one prompt, where there are prompts; must divide the batch size."""
    learning_rate: Annotated[float, Range(minimum=0)] = 1e-3
    """Adam step size."""
    gradient_clip: Annotated[float, Range(minimum=0, open=True)] = 5.0
    """Largest norm of the gradient."""
    whiten: bool = True
    """Scale advantages to variance 1 over the batch."""
    advantage_clip: Annotated[float | None, Range(minimum=0, open=True)] = None
    """Largest advantage either way; none by default."""
    entropy_weight: Annotated[float, Range(minimum=0)] = 0.0
    """Weight of the policy's entropy (nats per token), which is raised."""
    kl_weight: Annotated[float, Range(minimum=0)] = 0.0
    """Weight of KL(policy || MLE policy) (nats per token), which is lowered."""
    reduction: Reduction = "mean"
    """Loss per token, or its sum over the batch as in the official code."""


class Reinforce:
    """Samples from the policy, has its actions valued and takes one step along the policy gradient.

    Where ``prompts`` are given, each step draws some of them and completes each several times.
    The reference policy is the policy as it was at the start. A policy that listens to the discriminator
    (LeakGAN's) has a reference that listens to the same one, and so moves as that is trained.

    ``parameters`` are those that the optimizer moves and the clipping measures, by default the policy's.

    Raises:
        ValueError: The batch size is no multiple of the group size, or there are groups without prompts.
    """

    steps_per_turn = 1

    def __init__(
        self,
        settings: ReinforceSettings,
        *,
        policy: Generator,
        estimator: AdvantageEstimator,
        sampling: SamplingSettings,
        eos_id: int | None,
        max_length: int,
        rng: torch.Generator,
        prompts: TokenBatch | None = None,
        parameters: Iterable[nn.Parameter] | None = None,
    ) -> None:
        if settings.batch_size % settings.group_size:
            raise ValueError(
                f"--algorithm.group-size: {settings.group_size} does not divide --algorithm.batch-size "
                f"{settings.batch_size}"
            )
        if prompts is None and settings.group_size > 1:
            raise ValueError(
                f"--algorithm.group-size: {settings.group_size} needs prompts, and the corpus has none; "
                "choose 1"
            )
        self.settings = settings
        self.policy = policy
        self.prompts = prompts
        self.reference = copy.deepcopy(policy).requires_grad_(False)
        self.estimator = estimator
        self.sampling = sampling
        self.eos_id = eos_id
        self.max_length = max_length
        self.rng = rng
        self.optimizer = Optimizer(
            policy.parameters() if parameters is None else parameters,
            learning_rate=settings.learning_rate,
            gradient_clip=settings.gradient_clip,
        )
        self.num_steps = 0

    def start(self) -> None:
        """Take the policy as it is now for the reference, and prepare the estimator."""
        self.reference.load_state_dict(self.policy.state_dict())
        self.estimator.start()

    def step(self, rate: float = 1.0) -> StepReport:
        """Take one policy step at ``rate`` times the learning rate."""
        self.policy.eval()  # log-probabilities belong to the distribution that is sampled: no dropout

        # 1. Act.
        trajectories = self.act()

        # 2. Evaluate: rewards, action values, baselines.
        values = self.estimator(self.policy, trajectories)

        # 3. Learn.
        metrics = self.learn(trajectories, values, rate)
        metrics |= self.estimator.learn(trajectories, values)

        self.num_steps += 1
        return StepReport(summarise(values) | metrics, self.histograms(values), always=True)

    def act(self) -> Trajectories:
        """Sample sequences from the policy, each the completion of a prompt where there are any."""
        return sample(
            self.policy,
            self.settings.batch_size,
            self.max_length,
            eos_id=self.eos_id,
            rng=self.rng,
            temperature=self.sampling.temperature,
            prompt=self.draw_prompts(),
            precision=self.sampling.precision,
        )

    def draw_prompts(self) -> TokenBatch | None:
        """Return a prompt for each sequence of a step, those of a group adjacent; None without prompts."""
        if self.prompts is None:
            return None
        number = self.settings.batch_size // self.settings.group_size
        rows = torch.randint(len(self.prompts), (number,), generator=self.rng, device=self.prompts.device)
        return self.prompts.select(rows.repeat_interleave(self.settings.group_size))

    def learn(self, trajectories: Trajectories, values: ActionValues, rate: float) -> dict[str, Tensor]:
        """Move the policy by what its actions were worth; return metrics."""
        advantages = self.advantages(values)
        return self.descend(trajectories, values.actions, advantages, rate) | spread(advantages, values.mask)

    def advantages(self, values: ActionValues) -> Float[Tensor, "B T K"]:
        """Return the advantages, whitened and clipped as the settings say."""
        settings = self.settings
        return normalise_advantages(
            values.advantages, values.mask, whiten=settings.whiten, clip=settings.advantage_clip
        )

    def descend(
        self,
        trajectories: Trajectories,
        actions: Int[Tensor, "B T K"],
        advantages: Float[Tensor, "B T K"],
        rate: float,
        old_log_probs: Float[Tensor, "B T K"] | None = None,
    ) -> dict[str, Tensor]:
        """Take one step of the optimizer down the objective; return metrics."""
        objective = self.objective(trajectories, actions, advantages, old_log_probs)
        self.optimizer.zero_grad()
        metrics = differentiate(self.policy, trajectories, objective, temperature=self.sampling.temperature)
        return metrics | {"policy/gradient_norm": self.optimizer.step(rate)}

    def surrogate(
        self,
        log_probs: Float[Tensor, "R K"],
        old_log_probs: Float[Tensor, "R K"],
        advantages: Float[Tensor, "R K"],
        weights: Float[Tensor, "R K"],
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, "R K"]]]:
        """Return the part of the objective that the advantages decide, and metrics of each action.

        ``old_log_probs`` are those of the policy that sampled; here they are not needed.
        """
        return policy_gradient(log_probs, advantages, weights), {}

    def objective(
        self,
        trajectories: Trajectories,
        actions: Int[Tensor, "B T K"],
        advantages: Float[Tensor, "B T K"],
        old_log_probs: Float[Tensor, "B T K"] | None = None,
    ) -> Objective:
        """Return surrogate − entropy_weight · entropy + kl_weight · KL(policy || reference).

        The first is a mean over the K actions of each token, and a mean or a sum over the tokens; entropy and
        KL are means over the tokens. A KL divergence without weight is measured every ``KL_INTERVAL`` steps.
        By default the policy that sampled is the policy as it is now.
        """
        settings = self.settings
        # (B·T, ...): what belongs to a place of the batch, to be picked by the places of a chunk.
        shares = token_weights(trajectories.mask, "mean").flatten()
        weights = token_weights(trajectories.mask, settings.reduction).flatten() / actions.shape[-1]
        actions, advantages = actions.flatten(0, 1), advantages.flatten(0, 1)
        old = None if old_log_probs is None else old_log_probs.flatten(0, 1)
        measured = settings.kl_weight > 0 or self.num_steps % KL_INTERVAL == 0
        reference = (
            frozen_log_probs(self.reference, trajectories, temperature=self.sampling.temperature)
            if measured
            else None
        )

        def objective(log_probs: Float[Tensor, "R V"], places: Int[Tensor, "R"]) -> Terms:
            taken = log_probs.gather(-1, actions[places])  # (R, K)
            weight = weights[places, None].expand_as(taken)
            before = taken.detach() if old is None else old[places]
            loss, of_loss = self.surrogate(taken, before, advantages[places], weight)
            share = shares[places, None] / taken.shape[-1]  # (R, 1): of each action in a mean over all
            means = {name: (share * values).sum() for name, values in of_loss.items()}
            metrics = {"policy/loss": loss.detach(), **means}
            with torch.set_grad_enabled(settings.entropy_weight > 0):
                bonus = entropy_bonus(log_probs, shares[places])
            metrics["policy/entropy"] = -bonus.detach()
            total = loss + settings.entropy_weight * bonus
            if reference is not None:
                with torch.set_grad_enabled(settings.kl_weight > 0):
                    penalty = kl_penalty(log_probs, reference(places), shares[places])
                metrics["policy/kl"] = penalty.detach()
                total = total + settings.kl_weight * penalty
            return total, metrics

        return objective

    def histograms(self, values: ActionValues) -> dict[str, Tensor]:
        """Return values whose distribution is worth seeing."""
        real = values.mask[..., None].expand_as(values.values)
        return {"policy/advantages": values.advantages[real], "reward/action_values": values.values[real]}

    def state_dict(self) -> dict[str, Any]:
        """Return what later steps depend on; policy and estimator are saved beside it."""
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


def spread(advantages: Float[Tensor, "B T K"], mask: Bool[Tensor, "B T"]) -> dict[str, Tensor]:
    """Return the standard deviation of the advantages of real tokens."""
    real = mask[..., None].expand_as(advantages)
    deviations = advantages - masked_mean(advantages, real)
    return {"policy/advantage_std": masked_mean(deviations.square(), real).sqrt()}


def summarise(values: ActionValues) -> dict[str, Tensor]:
    """Return the mean length and the mean value of the last tokens, which is that of whole sequences."""
    mask = values.mask
    means = torch.where(mask, values.values.mean(-1), 0.0)  # (B, T), over the K actions
    return {
        "policy/length": mask.sum(1).float().mean(),
        "reward/mean": means.gather(1, mask.sum(1, keepdim=True) - 1).mean(),
    }
