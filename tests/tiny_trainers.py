"""Trainers and estimators of tiny generators, and what their steps have moved."""

from typing import Any

import torch
from torch import Tensor, nn

from leakgan.estimators import (
    LeakGANCandidates,
    LeakGANCandidatesSettings,
    LeakGANRollouts,
    LeakGANRolloutsSettings,
)
from leakgan.generator import LeakGANGenerator
from seqgan.models.generator import Generator
from seqgan.rewards.discriminator import DiscriminatorReward, DiscriminatorRewardSettings
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.sequences import Sequences
from seqgan.text.vocabulary import Vocabulary
from seqgan.training.mle import MLESettings, MLETrainer
from tests.tiny_models import rng, tiny_generator

EOS = 2
TEXT = Sequences.from_lists([[3, 4, EOS], [4, EOS], [3, 3, 4, EOS], [1, EOS], [4, 1, EOS]])


def corpus_of(sequences: Sequences) -> PreparedCorpus:
    """The sequences as training part, and others as validation and test part, over five tokens."""
    return PreparedCorpus(
        train=sequences,
        validation=Sequences.from_lists([[1, 1, EOS]]),
        test=Sequences.from_lists([[3, EOS], [1, 3, EOS]]),
        vocabulary=Vocabulary.integers(5),
        tokenizer="whitespace",
        lower_case=False,
        max_length=8,
    )


def make_trainer(
    settings: MLESettings | None = None,
    generator: Generator | None = None,
    sequences: Sequences = TEXT,
    cls: type[MLETrainer] = MLETrainer,
) -> MLETrainer:
    """A trainer by maximum likelihood, of an LSTM unless told otherwise."""
    return cls(
        settings or MLESettings(batch_size=5),
        policy=generator or tiny_generator("lstm", 5, forbidden=(0,)),
        corpus=corpus_of(sequences),
        pad_id=0,
        device=torch.device("cpu"),
        seed=0,
    )


def discriminator_reward(generator: LeakGANGenerator) -> DiscriminatorReward:
    return DiscriminatorReward(DiscriminatorRewardSettings(), discriminator=generator.features.discriminator)


def make_estimator(
    generator: LeakGANGenerator,
    kind: str,
    *,
    eos_id: int | None = EOS,
    reward: Any = None,
    random: torch.Generator | None = None,
    sampling: SamplingSettings | None = None,
    **settings: Any,
) -> LeakGANCandidates | LeakGANRollouts:
    """LeakGAN's estimator of that kind, judged by the generator's discriminator unless told otherwise."""
    parts: dict[str, Any] = {
        "reward": reward or discriminator_reward(generator),
        "sampling": sampling or SamplingSettings(),
    }
    parts["rng"] = random or rng(6)
    if kind == "candidates":
        return LeakGANCandidates(LeakGANCandidatesSettings(**{"num_candidates": 3} | settings), **parts)
    parts |= {"policy": generator, "eos_id": eos_id, "pad_id": 0}
    return LeakGANRollouts(LeakGANRolloutsSettings(**{"num_rollouts": 2, "interval": 1} | settings), **parts)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def moved(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    """The names of the tensors that are no longer what they were."""
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}
