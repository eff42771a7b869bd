"""LeakGAN as an experiment: its kinds and presets, and what it builds in another way than SeqGAN."""

from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from torch import nn

import leakgan
from leakgan.algorithm import LeakGANAlgorithm, LeakGANAlgorithmConfig
from leakgan.features import LeakedFeatures
from leakgan.generator import LeakGANConfig, LeakGANGenerator, LeakGANTransformerConfig
from leakgan.training import HierarchicalMLETrainer, InterleavedPhase, InterleavingConfig
from seqgan.config import Component, ComponentConfig
from seqgan.experiment import Experiment
from seqgan.models.cnn import CNNDiscriminator
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator
from seqgan.rewards.rollout import RolloutConfig
from seqgan.settings import DISCRIMINATORS, SEQGAN, TABLES, ExperimentConfig, Framework
from seqgan.training.phase import Phase


@dataclass(frozen=True, kw_only=True)
class LeakGANExperimentConfig(ExperimentConfig):
    """All settings of a LeakGAN experiment."""

    generator: ComponentConfig = field(default_factory=LeakGANConfig)
    interleaving: InterleavingConfig = field(default_factory=InterleavingConfig)
    rollout: RolloutConfig = field(default_factory=lambda: RolloutConfig(interval=4))
    algorithm: ComponentConfig = field(default_factory=LeakGANAlgorithmConfig)


LEAKGAN = Framework(
    name="leakgan",
    base=SEQGAN,
    config=LeakGANExperimentConfig,
    presets=resources.files(leakgan) / "presets",
    tables={
        **TABLES,
        "generator": {
            "leakgan": Component(LeakGANConfig, LeakGANGenerator),
            "leakgan-transformer": Component(LeakGANTransformerConfig, LeakGANGenerator),
        },
        "discriminator": {kind: DISCRIMINATORS[kind] for kind in ("cnn", "cnn+pairs")},
        "algorithm": {"leakgan": Component(LeakGANAlgorithmConfig, LeakGANAlgorithm)},
    },
)


def leaking_part(discriminator: Discriminator) -> CNNDiscriminator:
    """The convolutional network whose features are leaked: the discriminator itself, or its ``cnn``.

    Raises:
        ValueError: It has none.
    """
    found = getattr(discriminator, "cnn", discriminator)
    if not isinstance(found, CNNDiscriminator):
        raise ValueError(
            f"--discriminator.kind: {type(discriminator).__name__} leaks no features; choose cnn or cnn+pairs"
        )
    return found


class LeakGANExperiment(Experiment):
    """A manager and a worker that listen to the discriminator, trained in turn with it."""

    framework = LEAKGAN
    mle_trainer = HierarchicalMLETrainer
    config: LeakGANExperimentConfig

    def build_generator(self, discriminator: Discriminator, **options: Any) -> Generator:
        """The generator, listening to ``discriminator``."""
        return super().build_generator(
            discriminator, features=LeakedFeatures(leaking_part(discriminator)), **options
        )

    def keep(self, generator: Generator, discriminator: Discriminator) -> nn.Module:
        """Both models: the generator is nothing without the features that it learned to read."""
        return nn.ModuleDict({"generator": generator, "discriminator": discriminator})

    def phases(self) -> list[Phase]:
        """Pre-training of all models in turn, then the adversarial phase."""
        return [
            InterleavedPhase(self.config.interleaving, self.build_mle_phase(), self.discriminator_trainer),
            self.build_adversarial_phase(),
        ]


EXPERIMENT = LeakGANExperiment
