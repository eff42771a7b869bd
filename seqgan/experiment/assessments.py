"""Assessments of the policy in the course of training, on validation text."""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seqgan.evaluation.evaluator import EvaluationResult, Evaluator
from seqgan.evaluation.likelihood import nll
from seqgan.evaluation.metrics import REWARD
from seqgan.experiment.materials import Materials
from seqgan.rewards.mixed import MixedReward
from seqgan.runtime.seeding import make_rng
from seqgan.sampling.sample import sample
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.language import with_prompts

NUM_PROJECTED = 30  # samples whose vectors TensorBoard's projector shows


@dataclass(frozen=True)
class Assessments:
    """What the phases of training are judged by; each draws from a stream of random numbers of its own."""

    materials: Materials
    evaluator: Evaluator
    """Of the validation text."""

    def nll(self) -> float:
        """Return the policy's loss on the validation text, in nats per token."""
        temperature = self.materials.settings.evaluation.temperature
        return nll(self.materials.policy, self.materials.validation, temperature=temperature).value

    def evaluate(self) -> EvaluationResult:
        """Measure samples, with vectors of a few of them to look at where the policy has any."""
        policy = self.materials.policy
        samples = self._draw(NUM_PROJECTED, "projections", self.materials.settings.evaluation.temperature)
        projections = policy.projections(samples, self.materials.vocabulary.tokens)
        return dataclasses.replace(self.evaluator(policy), projections=projections)

    @torch.no_grad()
    def evaluate_with_reward(self) -> EvaluationResult:
        """Measure, and score as many fresh samples by the reward; of rewards per token their sum counts.

        A discriminator that nothing learns from is not asked.
        """
        result, settings = self.evaluate(), self.materials.settings
        if "discriminator" in settings.reward_kinds and not self.materials.is_built("reward"):
            return result
        number = settings.evaluation.num_samples_in_training
        samples = self._draw(number, "reward of samples", settings.sampling.temperature)
        reward = self.materials.reward
        if isinstance(reward, MixedReward):  # asked part by part, so that its running numbers stay
            parts = dict(reward.score(samples))
            parts = {f"{REWARD}_{name}": found for name, found in parts.items()} | {
                REWARD: reward.combine(parts, samples.mask)
            }
        else:
            parts = {REWARD: reward(samples)}
        totals = {name: totals_of_sequences(found) for name, found in parts.items()}
        means = {f"evaluation/{name}": float(found.mean()) for name, found in totals.items()}
        mean = means[f"evaluation/{REWARD}"]
        return dataclasses.replace(
            result,
            metrics={**result.metrics, **means},
            ranked=self._ranked(samples, totals[REWARD]),
            loss=-mean if settings.evaluation.criterion == REWARD else result.loss,
        )

    def _ranked(self, samples: Trajectories, rewards: Float[Tensor, "B"]) -> dict[str, list[str]]:
        """Return the different samples of the highest and of the lowest rewards as text behind these."""
        order = rewards.argsort(descending=True, stable=True)
        return {
            "highest rewards": self._distinct(samples.select(order), rewards[order]),
            "lowest rewards": self._distinct(samples.select(order.flip(0)), rewards[order.flip(0)]),
        }

    def _distinct(self, samples: Trajectories, rewards: Float[Tensor, "B"]) -> list[str]:
        """Return the first different samples, as many as are shown, each behind its reward."""
        decode, number = self.materials.language.decode_batch, self.materials.settings.tracking.num_sentences
        found: dict[str, None] = {}
        for row, reward in enumerate(rewards.tolist()):
            if len(found) >= number:
                break
            one = samples.select(slice(row, row + 1))
            prompts = [] if one.prompt is None else decode(one.prompt)
            (line,) = with_prompts(decode(one), prompts)
            found[f"{reward:.3f}: {line}"] = None
        return list(found)

    def _draw(self, number: int, purpose: str, temperature: float) -> Trajectories:
        """Draw sequences of the corpus's length from the stream of random numbers of that purpose.

        Where there are prompts, they complete those of the validation part.
        """
        materials = self.materials
        held_out = materials.validation.prompt if materials.corpus.has_prompts else None
        return sample(
            materials.policy,
            number,
            materials.corpus.max_length,
            eos_id=materials.vocabulary.eos_id,
            pad_id=materials.vocabulary.pad_id,
            rng=make_rng(materials.device, materials.settings.seed, purpose),
            temperature=temperature,
            prompt=None if held_out is None else held_out.spread(number),
            precision=materials.settings.sampling.precision,
        )


def totals_of_sequences(rewards: Float[Tensor, "B"] | Float[Tensor, "B T"]) -> Float[Tensor, "B"]:
    """Return the reward of each sequence; of rewards per token, 0 behind the mask, the sum counts."""
    return rewards if rewards.dim() == 1 else rewards.sum(1)
