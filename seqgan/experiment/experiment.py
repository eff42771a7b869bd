"""The composition root, second half: trainers, phases, generators on disk and in use."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, ClassVar, cast

import torch

from seqgan.config.schema import to_settings, to_toml
from seqgan.evaluation.evaluator import EvaluationResult, Evaluator
from seqgan.evaluation.likelihood import nll
from seqgan.experiment.generator_files import GeneratorFiles
from seqgan.experiment.parts import Parts
from seqgan.models.generator import Generator
from seqgan.runtime.seeding import derive_seed
from seqgan.runtime.tracking import Tracker
from seqgan.sampling.decoding import Decoding, Temperature
from seqgan.text.batching import Batches
from seqgan.training.adversarial import AdversarialPhase, Algorithm
from seqgan.training.discriminator import DiscriminatorPhase, DiscriminatorTrainer
from seqgan.training.loop import TrainingLoop
from seqgan.training.mle import MLEPhase, MLESettings, MLETrainer
from seqgan.training.phase import Evaluate, Phase, Stateful


class Experiment(Parts):
    """One run from beginning to end, built from its settings.

    Another framework is a subclass: its kinds and presets stand in ``framework``, and what it does in another
    way it overrides: :meth:`build_generator`, :meth:`keep`, ``mle_trainer``,
    :meth:`build_algorithm`, :meth:`phases` and :meth:`components`.
    """

    mle_trainer: ClassVar[type[MLETrainer]] = MLETrainer

    # Training.

    def phases(self) -> list[Phase]:
        """What training consists of; all but the last phase are pre-training.

        In every framework the phases that train a generator are called ``mle`` and ``adversarial``.
        """
        return [
            self.build_mle_phase(),
            DiscriminatorPhase(self.discriminator_trainer),
            self.build_adversarial_phase(),
        ]

    def components(self) -> dict[str, Stateful]:
        """What makes up a checkpoint beside the phases."""
        return {
            "policy": self.policy,
            "discriminator_model": self.discriminator,
            "discriminator_trainer": self.discriminator_trainer,
            "algorithm": self.algorithm,
        }

    def build_mle_phase(self) -> MLEPhase:
        """Pre-training of the generator."""
        text, temperature = self.split("validation"), self.settings.evaluation.temperature
        return MLEPhase(
            self.build_mle_trainer(self.settings.mle),
            kept=self.kept,
            evaluate=self._evaluate,
            validation_nll=lambda g: nll(g, text, temperature=temperature).value,
            on_best=partial(self.save_generator, "best"),
        )

    def build_adversarial_phase(self) -> AdversarialPhase:
        """Rounds of policy, discriminator and MLE steps."""
        settings = self.settings
        mle = dataclasses.replace(settings.mle, learning_rate=settings.adversarial.mle_learning_rate)
        return AdversarialPhase(
            settings.adversarial,
            self.algorithm,
            policy=self.policy,
            mle=self.build_mle_trainer(mle),
            discriminator=self.discriminator_trainer,
            evaluate=self._evaluate,
            on_best=partial(self.save_generator, "best"),
        )

    @cached_property
    def _evaluate(self) -> Evaluate:
        return self.evaluator("validation", self.settings.evaluation.num_samples_in_training)

    @cached_property
    def discriminator_trainer(self) -> DiscriminatorTrainer:
        """The discriminator's steps, before and during the adversarial phase."""
        return DiscriminatorTrainer(
            self.discriminator,
            self.settings.discriminator_training,
            real=self.split("train"),
            held_out=self.split("validation"),
            sample_negatives=partial(self.language.sample_ids, self.policy, rng=self.rng),
            seed=self.settings.seed,
        )

    @cached_property
    def algorithm(self) -> Algorithm:
        """The policy's steps."""
        return self.build_algorithm()

    def build_mle_trainer(self, settings: MLESettings) -> MLETrainer:
        """Maximum-likelihood steps of the policy."""
        batches = Batches(
            self.corpus.train,
            batch_size=settings.batch_size,
            pad_id=self.vocabulary.pad_id,
            seed=self.settings.seed,
            length=None if self.device.type == "cpu" else self.corpus.max_length,
        )
        return self.mle_trainer(self.policy, batches, settings, len(self.corpus.train.ids))

    def build_algorithm(self, **options: Any) -> Algorithm:
        """What improves the policy; ``options`` are what a subclass hands to its kinds besides."""
        algorithm = self.build_component(
            "algorithm",
            policy=self.policy,
            action_values=self.action_values,
            reward=self.reward,
            max_length=self.corpus.max_length,
            eos_id=self.vocabulary.eos_id,
            rng=self.rng,
            **options,
        )
        return cast(Algorithm, algorithm)

    @cached_property
    def loop(self) -> TrainingLoop:
        """The phases, and where they stand: resumed from the run folder if it holds a checkpoint."""
        settings = self.settings
        loop = TrainingLoop(
            self.phases(),
            self.components(),
            rng=self.rng,
            tracker=Tracker(None if self.run is None else self.run.path),
            settings=settings.tracking,
            checkpoint_path=None if self.run is None else self.run.state,
            header=self._header(),
            on_save=partial(self.save_generator, "last"),
            quiet=self.quiet,
        )
        if not loop.resume():
            torch.manual_seed(derive_seed(settings.seed, "dropout"))
            text = to_toml(to_settings(settings))
            loop.tracker.log_text(0, "settings", text.splitlines())
        return loop

    def pretrain(self) -> None:
        """All phases but the last: the generator by maximum likelihood, then the discriminator against it.

        Raises:
            Interrupted: A signal asked to stop; everything is saved.
        """
        self.loop.run(len(self.loop.phases) - 1)

    def train(self) -> None:
        """Everything that is left, to the end of the last phase.

        Raises:
            Interrupted: A signal asked to stop; everything is saved.
        """
        self.loop.run()

    # Generators on disk.

    def _header(self) -> dict[str, Any]:
        return {
            "settings": to_toml(to_settings(self.settings)),
            "vocabulary": self.vocabulary.to_json(),
            "corpus": self.corpus.digest,
        }

    @cached_property
    def _files(self) -> GeneratorFiles | None:
        return None if self.run is None else GeneratorFiles(self.run, self._header())

    def save_generator(self, which: str, phase: str) -> None:
        """Save the generator as it is now as ``PHASE-which``."""
        if self._files is not None:
            self._files.save(f"{phase}-{which}", self.kept)

    def load_generator(self, name: str | None = None) -> Generator:
        """The generator of that name, or the furthest that there is: adversarial-last, then mle-best.

        ``ngram`` is the baseline :attr:`ngram`, which every run has.

        Raises:
            ValueError: There is none of that name; names those that there are.
        """
        if name == "ngram":
            return self.ngram
        if self._files is None:
            return self.policy
        chosen = self._files.choose(name)
        if chosen == "oracle" and self.oracle is not None:
            return self.oracle
        models = self.build_models()
        self._files.load(chosen, models.kept)
        return models.generator

    # Using a generator.

    def sample(
        self, num_sentences: int, *, generator: Generator | None = None, seed: int = 0, **options: Any
    ) -> list[list[str]]:
        """Sentences as lists of tokens; ``options`` are prefix, temperature, top_k and top_p."""
        return self.language.sample(generator or self.policy, num_sentences, seed=seed, **options)

    def score(self, sentences: Sequence[str]) -> list[float]:
        """Log-likelihood of each sentence in nats per token, EOS included."""
        return self.language.score(self.policy, sentences)

    def decoding(self, *, temperature: Temperature | None = None, **truncation: Any) -> Decoding:
        """How to sample; by default at the temperature of the settings. ``truncation``: top_k and top_p."""
        chosen = self.settings.evaluation.temperature if temperature is None else temperature
        return Decoding(temperature=chosen, **truncation)

    def evaluate(self, generator: Generator | None = None, **options: Any) -> EvaluationResult:
        """Quality, diversity and likelihood on the test text; ``options``: temperature, top_k and top_p."""
        return self.test_evaluator(generator or self.policy, self.decoding(**options))

    @cached_property
    def test_evaluator(self) -> Evaluator:
        """What measures generators after training."""
        return self.evaluator("test", self.settings.evaluation.num_samples)
