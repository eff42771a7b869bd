"""The composition root, first half: from settings to corpus, models and measures."""

import dataclasses
import os
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from seqgan.advantages.rollouts import action_values
from seqgan.config.schema import find_component, to_settings, validate
from seqgan.evaluation.evaluator import Evaluator
from seqgan.evaluation.metrics import lower_is_better
from seqgan.evaluation.ngram_generator import NgramGenerator
from seqgan.evaluation.signature import Signature
from seqgan.experiment.language import Language
from seqgan.experiment.run_folder import RunFolder
from seqgan.experiment.settings import (
    AFTER_PRETRAINING,
    CHANGEABLE,
    ORACLE_METRICS,
    SEQGAN,
    ExperimentSettings,
    Framework,
    refuse_other_settings,
)
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.oracle.corpus import OracleCorpusSettings, build_oracle
from seqgan.oracle.model import restore_oracle
from seqgan.rewards.reward import Reward
from seqgan.runtime import checkpoint
from seqgan.runtime.devices import find_device
from seqgan.runtime.files import first_line
from seqgan.runtime.seeding import make_rng
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.batching import pad
from seqgan.text.cache import prepare_corpus
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.token_batch import TokenBatch

PartsT = TypeVar("PartsT", bound="Parts")  # not typing.Self, which run-time checks cannot follow


class Models(NamedTuple):
    """What is trained, and what is saved of it as a generator."""

    generator: Generator
    discriminator: Discriminator
    kept: nn.Module
    """The generator, and whatever else its probabilities depend on."""


class Parts:
    """What an experiment works with: settings, device, run folder, corpus, models and measures.

    Without ``run`` nothing is written. With it, the folder is created or, if it is there, gone on with. A new
    one may start from what the run ``pretrained`` has pre-trained with the same settings.

    Raises:
        ValueError: Settings, corpus, device or run folder cannot be used; names what and why.
    """

    framework: ClassVar[Framework] = SEQGAN

    def __init__(
        self,
        settings: ExperimentSettings,
        run: Path | None = None,
        *,
        cache: Path | None = None,
        pretrained: Path | None = None,
        quiet: bool = True,
    ) -> None:
        validate(settings)
        self.settings = settings
        self.device = find_device(settings.device)
        torch.set_num_threads(settings.num_threads or os.cpu_count() or 1)
        self.run = None if run is None else RunFolder(run)
        self.quiet = quiet
        self.corpus = self._load_corpus(cache)
        self.vocabulary = self.corpus.vocabulary
        self.language = Language(self.corpus, precision=settings.rollout.precision)
        self.rng = make_rng(self.device, settings.seed, "training")
        self.policy, self.discriminator, self.kept = self.build_models()
        self._refuse_contradictions()
        self._start_run(None if pretrained is None else RunFolder(pretrained))

    @classmethod
    def open(cls: type[PartsT], run: Path, *, device: str | None = None) -> PartsT:
        """What an existing run folder holds, with the settings it was made with.

        Raises:
            ValueError: The folder is no run, or of another framework or version, or damaged.
        """
        settings = cls._load_settings(RunFolder(run))
        return cls(settings if device is None else dataclasses.replace(settings, device=device), run)

    @classmethod
    def _load_settings(cls, run: RunFolder) -> ExperimentSettings:
        return cls.framework.load_config(run.read_settings(cls.framework.name), source=str(run.config))

    # Building.

    def _load_corpus(self, cache: Path | None) -> PreparedCorpus:
        if self.run is None or not self.run.exists():
            return prepare_corpus(self.settings.corpus, self.framework.tables["corpus"], cache)
        old = self._load_settings(self.run)
        refuse_other_settings(to_settings(self.settings), to_settings(old), self.run.path)
        return PreparedCorpus.load(self.run.corpus)

    def _refuse_contradictions(self) -> None:
        """What no setting shows by itself; asked before anything is written."""
        criterion = self.settings.evaluation.criterion
        if criterion in ORACLE_METRICS and not isinstance(self.settings.corpus, OracleCorpusSettings):
            raise ValueError(
                f"--evaluation.criterion: {criterion} needs an oracle, which --corpus.kind "
                f"{self.settings.corpus.kind} has not; choose nll, bleu_f1_5 or another"
            )
        if criterion != "nll":
            if criterion in ("nll_validation", "nll_test"):
                raise ValueError(f"--evaluation.criterion: {criterion} is called nll here")
            try:
                lower_is_better(criterion)
            except ValueError as error:
                raise ValueError(f"--evaluation.criterion: {error}") from error
        with inference(self.policy):  # a generator may not reach as far as the corpus does
            longest = torch.zeros(1, self.corpus.max_length, dtype=torch.long, device=self.device)
            self.policy.encode(longest)

    def _start_run(self, pretrained: RunFolder | None) -> None:
        """Write corpus, oracle and, when all is there, the settings that make the folder a run."""
        if self.run is None or self.run.exists():
            return
        if pretrained is not None:
            old = to_settings(self._load_settings(pretrained))
            refuse_other_settings(
                to_settings(self.settings), old, pretrained.path, CHANGEABLE + AFTER_PRETRAINING
            )
            self.run.adopt(pretrained)
        self.corpus.save(self.run.corpus)
        if isinstance(self.settings.corpus, OracleCorpusSettings):
            oracle = build_oracle(self.settings.corpus)
            checkpoint.save(self.run.generator("oracle"), {"generator": oracle.state_dict()})
        self.run.write_settings(self.framework.name, to_settings(self.settings))

    def build_component(self, section: str, /, *arguments: Any, **options: Any) -> Any:
        """The component of the kind that the settings of a section name."""
        settings = getattr(self.settings, section)
        build = find_component(settings.kind, self.framework.tables[section], f"{section}.kind").build
        return build(settings, *arguments, **options)

    def build_models(self) -> Models:
        """Models with fresh weights; the discriminator first, since a generator may listen to it."""
        discriminator = self.build_discriminator()
        generator = self.build_generator(discriminator)
        return Models(generator, discriminator, self.keep(generator, discriminator))

    def build_discriminator(self) -> Discriminator:
        """A discriminator with fresh weights."""
        rng = make_rng("cpu", self.settings.seed, "discriminator")
        size = self.vocabulary.size
        discriminator = self.build_component("discriminator", vocabulary_size=size, rng=rng)
        return cast(Discriminator, discriminator.to(self.device))

    def build_generator(self, discriminator: Discriminator, /, **options: Any) -> Generator:
        """A generator with fresh weights; ``options`` are what a subclass hands to its kinds besides."""
        generator = self.build_component(
            "generator",
            vocabulary_size=self.vocabulary.size,
            bos_id=self.vocabulary.bos_id,
            forbidden=self.vocabulary.forbidden,
            rng=make_rng("cpu", self.settings.seed, "generator"),
            **options,
        )
        return cast(Generator, generator.to(self.device))

    def keep(self, generator: Generator, discriminator: Discriminator) -> nn.Module:
        """The module whose weights are saved as a generator."""
        return generator

    @cached_property
    def ngram(self) -> Generator:
        """The baseline that needs no training: n-grams of the training text.

        On an oracle's task bigrams with absolute discount 0.9, the best of their kind there; on text
        interpolated Kneser–Ney 5-grams.
        """
        is_oracle_task = isinstance(self.settings.corpus, OracleCorpusSettings)
        generator = NgramGenerator.fit(
            self.corpus.train,
            order=2 if is_oracle_task else 5,
            discount=0.9 if is_oracle_task else None,
            vocabulary_size=self.vocabulary.size,
            bos_id=self.vocabulary.bos_id,
            forbidden=self.vocabulary.forbidden,
        )
        return generator.to(self.device)

    @cached_property
    def oracle(self) -> Generator | None:
        """The oracle that drew the corpus, where one did."""
        if not isinstance(self.settings.corpus, OracleCorpusSettings):
            return None
        if self.run is None:
            return build_oracle(self.settings.corpus).to(self.device)
        path = self.run.generator("oracle")
        try:
            return restore_oracle(checkpoint.load(path)["generator"]).to(self.device)
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"{path}: holds no oracle: {first_line(error)}") from error

    def split(self, part: str) -> TokenBatch:
        """All sequences of ``train``, ``validation`` or ``test``, padded, on the device."""
        padded = pad(self.corpus.sequences(part), self.vocabulary.pad_id, self.corpus.max_length)
        return padded.to(self.device)

    def evaluator(self, part: str, num_samples: int) -> Evaluator:
        """What measures generators against a part of the corpus."""
        return Evaluator(
            self.split(part),
            split=part,
            settings=self.settings.evaluation,
            num_samples=num_samples,
            decode=self.language.decode,
            signature=Signature(
                tokenizer=self.corpus.tokenizer, case="lower" if self.corpus.lower_case else "kept"
            ),
            vocabulary_size=self.vocabulary.size,
            eos_id=self.vocabulary.eos_id,
            unk_id=self.vocabulary.unk_id,
            oracle=self.oracle,
            seed=self.settings.seed,
            training=self.corpus.train,
        )

    @cached_property
    def reward(self) -> Reward:
        """The reward of finished sequences."""
        return cast(Reward, self.build_component("reward", self.discriminator.score, rng=self.rng))

    def action_values(self, policy: Generator, trajectories: Trajectories) -> Tensor:
        """Monte-Carlo action values (B, T) of sampled sequences, completed by ``policy``."""
        settings = self.settings.rollout
        return action_values(
            policy,
            trajectories.tokens,
            trajectories.mask,
            self.reward,
            num_rollouts=settings.num_rollouts,
            interval=settings.interval,
            temperature=settings.temperature,
            max_rows=settings.max_rows,
            precision=settings.precision,
            eos_id=self.vocabulary.eos_id,
            pad_id=self.vocabulary.pad_id,
            rng=self.rng,
        )
