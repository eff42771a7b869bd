"""LeakGAN as an experiment: its kinds and presets, and what it builds in another way than SeqGAN."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any, cast

from torch import nn

import leakgan
from leakgan.algorithm import LeakGANAlgorithm, LeakGANAlgorithmSettings
from leakgan.generator import LeakGANGenerator, LeakGANSettings, LeakGANTransformerSettings
from leakgan.training import (
    HierarchicalMLESettings,
    HierarchicalMLETrainer,
    InterleavedPhase,
    InterleavingSettings,
)
from seqgan.advantages.rollouts import RolloutSettings
from seqgan.config.schema import Component, KindSettings
from seqgan.evaluation.evaluator import EvaluationResult
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.settings import DISCRIMINATORS, SEQGAN, TABLES, ExperimentSettings, Framework
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator
from seqgan.runtime.seeding import make_rng
from seqgan.runtime.tracking import Projection
from seqgan.training.mle import MLEPhase
from seqgan.training.phase import Evaluate, Evaluation, Phase


@dataclass(frozen=True, kw_only=True)
class LeakGANExperimentSettings(ExperimentSettings):
    """All settings of a LeakGAN experiment."""

    generator: KindSettings = field(default_factory=LeakGANSettings)
    mle: HierarchicalMLESettings = field(default_factory=HierarchicalMLESettings)
    interleaving: InterleavingSettings = field(default_factory=InterleavingSettings)
    rollout: RolloutSettings = field(default_factory=lambda: RolloutSettings(interval=4))
    algorithm: KindSettings = field(default_factory=LeakGANAlgorithmSettings)


LEAKGAN = Framework(
    name="leakgan",
    base=SEQGAN,
    settings=LeakGANExperimentSettings,
    presets=resources.files(leakgan) / "presets",
    tables={
        **TABLES,
        "generator": {
            "leakgan": Component(LeakGANSettings, LeakGANGenerator),
            "leakgan-transformer": Component(LeakGANTransformerSettings, LeakGANGenerator),
        },
        "discriminator": {kind: DISCRIMINATORS[kind] for kind in ("cnn", "cnn+pairs")},
        "algorithm": {"leakgan": Component(LeakGANAlgorithmSettings, LeakGANAlgorithm)},
    },
)


class LeakGANExperiment(Experiment):
    """A manager and a worker that listen to the discriminator, trained in turn with it."""

    framework = LEAKGAN
    mle_trainer = HierarchicalMLETrainer
    settings: LeakGANExperimentSettings

    def build_generator(self, discriminator: Discriminator, /, **options: Any) -> Generator:
        """The generator, listening to ``discriminator``."""
        return super().build_generator(discriminator, discriminator=discriminator, **options)

    def keep(self, generator: Generator, discriminator: Discriminator) -> nn.Module:
        """Both models: the generator is nothing without the features that it learned to read."""
        return nn.ModuleDict({"generator": generator, "discriminator": discriminator})

    def phases(self) -> list[Phase]:
        """As SeqGAN's, but that the discriminator also learns while the generator does."""
        mle, *later = super().phases()
        assert isinstance(mle, MLEPhase)
        return [InterleavedPhase(self.settings.interleaving, mle, self.discriminator_trainer), *later]

    @cached_property
    def _evaluate(self) -> Evaluate:
        evaluate = super()._evaluate

        def with_goals(generator: Generator) -> Evaluation:
            result = cast(EvaluationResult, evaluate(generator))
            return dataclasses.replace(result, projections=self.project_goals(generator))

        return with_goals

    def project_goals(self, generator: Generator, num_sentences: int = 30) -> Mapping[str, Projection]:
        """The goals of a few samples."""
        rng = make_rng(self.device, self.settings.seed, "goals")
        samples = self.language.sample_ids(generator, num_sentences, rng=rng)
        return generator.projections(samples, self.vocabulary.tokens)


EXPERIMENT = LeakGANExperiment
