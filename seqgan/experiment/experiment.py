"""An experiment: from settings to a trained generator, and its use."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn

import torch

from seqgan.config.kinds import find_kind
from seqgan.config.schema import to_settings, validate
from seqgan.config.toml import Settings, flatten, to_toml
from seqgan.evaluation.evaluator import EvaluationResult, Evaluator
from seqgan.evaluation.likelihood import sequence_nll
from seqgan.evaluation.metric import Metric
from seqgan.evaluation.metrics import check_criterion, load_metrics
from seqgan.evaluation.ngram_generator import NgramGenerator
from seqgan.evaluation.signature import Signature
from seqgan.experiment.assessments import Assessments
from seqgan.experiment.catalogue import SEQGAN, Catalogue, find_catalogue
from seqgan.experiment.generator_files import GeneratorFiles
from seqgan.experiment.materials import OF_LAST_PHASE, Materials
from seqgan.experiment.phases import build_phases
from seqgan.experiment.run_folder import RunFolder
from seqgan.experiment.settings import (
    AFTER_PRETRAINING,
    CHANGEABLE,
    ExperimentSettings,
    refuse_other_settings,
)
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.runtime.devices import find_device
from seqgan.runtime.files import transaction
from seqgan.runtime.seeding import derive_seed, make_rng
from seqgan.runtime.tracking import Tracker
from seqgan.sampling.decoding import Decoding, Temperature, temperature_value
from seqgan.sampling.sample import sample
from seqgan.text.batching import pad
from seqgan.text.cache import prepare_corpus
from seqgan.text.language import Language
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from seqgan.text.vocabulary import Vocabulary
from seqgan.training.alarms import DUPLICATES, REWARD_HACKING
from seqgan.training.loop import TrainingLoop


class Experiment:
    """One run from beginning to end, built from its settings.

    Without ``run`` nothing is written. With it, the folder is created or, if it is there, gone on with. A new
    one may start from what the run ``pretrained`` has pre-trained with the same settings.

    Raises:
        ValueError: Settings, corpus, device or run folder cannot be used; names what and why.
    """

    def __init__(
        self,
        settings: ExperimentSettings,
        run: Path | None = None,
        *,
        catalogue: Catalogue = SEQGAN,
        cache: Path | None = None,
        pretrained: Path | None = None,
        quiet: bool = True,
        announce: Callable[[str], object] = lambda line: None,
    ) -> None:
        validate(settings)
        self.settings = settings
        self.catalogue = catalogue
        self.device = find_device(settings.device)
        torch.set_num_threads(settings.num_threads or os.cpu_count() or 1)
        self.run = None if run is None else RunFolder(run)
        self.quiet = quiet
        self.announce = announce
        self.materials = Materials(
            settings,
            tables=catalogue.kinds,
            corpus=self._load_corpus(cache),
            device=self.device,
            oracle_path=None if self.run is None else self.run.generator("oracle"),
        )
        if self.run is None or not self.run.exists():
            self._refuse_contradictions()
            self._start_run(None if pretrained is None else RunFolder(pretrained))

    @classmethod
    def open(cls, run: Path, *, device: str | None = None) -> "Experiment":
        """Open an existing run folder with the settings it was made with.

        Kinds of the user's own that cannot be imported here are no error as long as nothing asks for them.

        Raises:
            ValueError: The folder is no run, of another version or an unknown package, or damaged.
        """
        folder = RunFolder(run)
        try:
            catalogue = find_catalogue(folder.read_package())
        except ValueError as error:
            raise ValueError(f"{folder.config}: {error}") from error
        settings = catalogue.load(folder.read_settings(), source=str(folder.config), lenient=True)
        settings = settings if device is None else dataclasses.replace(settings, device=device)
        return cls(settings, run, catalogue=catalogue)

    # What it consists of.

    @property
    def corpus(self) -> PreparedCorpus:
        """The prepared corpus."""
        return self.materials.corpus

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the corpus."""
        return self.materials.vocabulary

    @property
    def language(self) -> Language:
        """Sentences to token ids and back."""
        return self.materials.language

    @property
    def policy(self) -> Generator:
        """The generator that is trained."""
        return self.materials.policy

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator that is trained against it."""
        return self.materials.discriminator

    @property
    def oracle(self) -> Generator | None:
        """The oracle that drew the corpus, where one did."""
        return self.materials.oracle

    @cached_property
    def ngram(self) -> Generator:
        """The baseline that needs no training: n-grams of the training text.

        On an oracle's task bigrams with absolute discount 0.9, the best of their kind there; on text
        interpolated Kneser–Ney 5-grams.
        """
        generator = NgramGenerator.fit(
            self.corpus.part("train").joined(),
            order=5 if self.oracle is None else 2,
            discount=None if self.oracle is None else 0.9,
            vocabulary_size=self.vocabulary.size,
            bos_id=self.vocabulary.bos_id,
            forbidden=self.vocabulary.forbidden,
        )
        return generator.to(self.device)

    # The run folder.

    def _load_corpus(self, cache: Path | None) -> PreparedCorpus:
        if self.run is None or not self.run.exists():
            table = self.catalogue.kinds["corpus"]
            kind = find_kind(self.settings.corpus.kind, table, "--corpus.kind")
            build = partial(kind.build, material=_no_material)
            return prepare_corpus(self.settings.corpus, build, cache if kind.name in table else None)
        old = self.run.read_settings(self.catalogue.name)
        loaded = self.catalogue.load(old, source=str(self.run.config), lenient=True)
        new, old = to_settings(self.settings), to_settings(loaded)
        refuse_other_settings(new, old, self.run.path, changeable_settings(self.run))
        if kept_settings(new) != kept_settings(old):
            self.run.write_settings(self.catalogue.name, new)
        return PreparedCorpus.load(self.run.corpus)

    def _refuse_contradictions(self) -> None:
        """Refuse what no setting shows by itself, before anything is written."""
        single, several = self.settings.reward.kind, self.settings.rewards
        if several and single != "discriminator":
            raise ValueError(
                f"--reward.kind: {single} stands beside --rewards.{min(several)}; give all of them as "
                "--rewards.NAME.kind"
            )
        criterion, metrics = self.settings.evaluation.criterion, self.metrics
        try:
            check_criterion(
                criterion,
                metrics,
                with_oracle=self.oracle is not None,
                with_fixed_reward=self._reward_is_fixed,
            )
        except ValueError as error:
            raise ValueError(f"--evaluation.criterion: {error}") from error
        length = self.corpus.max_prompt_length + self.corpus.max_length
        longest = torch.zeros(1, length, dtype=torch.long, device=self.device)
        with inference(self.policy):  # a generator may not reach as far as the corpus does
            self.policy.encode(longest)
        _ = self.materials.algorithm  # with all that it asks for: nothing is missing when its time comes

    def _start_run(self, pretrained: RunFolder | None) -> None:
        """Write corpus, oracle and, when all is there, the settings that make the folder a run."""
        if self.run is None:
            return
        if pretrained is not None:
            old = self.catalogue.load(
                pretrained.read_settings(self.catalogue.name), source=str(pretrained.config), lenient=True
            )
            refuse_other_settings(
                to_settings(self.settings),
                to_settings(old),
                pretrained.path,
                CHANGEABLE + AFTER_PRETRAINING,
            )
            if PreparedCorpus.load(pretrained.corpus).digest != self.corpus.digest:
                raise ValueError(
                    f"--pretrained: {pretrained.path} was trained on another text than --corpus now gives"
                )
        with transaction(self.run.path) as folder:
            run = RunFolder(folder)
            if pretrained is not None:
                run.adopt(pretrained, self.corpus.digest)
            self.corpus.save(run.corpus)
            if self.oracle is not None:
                GeneratorFiles(run, self._header()).save("oracle", self.oracle)
            run.write_settings(self.catalogue.name, to_settings(self.settings))

    # Training.

    @cached_property
    def loop(self) -> TrainingLoop:
        """The phases, and where they stand: resumed from the run folder if it holds a checkpoint."""
        loop = TrainingLoop(
            build_phases(
                self.materials,
                Assessments(
                    self.materials,
                    self.evaluator("validation", self.settings.evaluation.num_samples_in_training),
                ),
                save_best=lambda phase: self.save_generator("best", phase),
            ),
            self.materials.components(),
            of_last_phase=OF_LAST_PHASE,
            rng=self.materials.rng,
            tracker=Tracker(None if self.run is None else self.run.path, self._units()),
            settings=self.settings.tracking,
            checkpoint_path=None if self.run is None else self.run.state,
            header=self._header(),
            on_save=partial(self.save_generator, "last"),
            announce=self.announce,
            silent_alarms=self._silent_alarms,
            quiet=self.quiet,
        )
        if not loop.resume():
            torch.manual_seed(derive_seed(self.settings.seed, "dropout"))
        loop.tracker.log_settings(flatten(to_settings(self.settings)))
        return loop

    @property
    def _silent_alarms(self) -> list[str]:
        """Return the alarms that would ring in good runs of this kind."""
        silent = [] if self._reward_is_fixed else [REWARD_HACKING]  # the discriminator's reward moves
        return [*silent, DUPLICATES] if self.corpus.has_prompts else silent  # a prompt may have one answer

    @property
    def _reward_is_fixed(self) -> bool:
        """Whether the reward is the same function throughout, so that its values can be compared."""
        return "discriminator" not in self.settings.reward_kinds

    def _units(self) -> dict[str, str]:
        """Return the unit of rewards, where their settings have a transform."""
        unit = "" if self.settings.rewards else getattr(self.settings.reward, "transform", "")
        names = ("evaluation/reward", "reward/mean", "reward/return", "reward/discriminator")
        return dict.fromkeys(names, unit)

    def pretrain(self) -> None:
        """Run all phases but the last: the generator by maximum likelihood, then the discriminator.

        Raises:
            Interrupted: A signal asked to stop; everything is saved.
        """
        self.loop.run(len(self.loop.phases) - 1)

    def train(self) -> None:
        """Run everything that is left, to the end of the last phase.

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

    @property
    def _files(self) -> GeneratorFiles:
        assert self.run is not None
        return GeneratorFiles(self.run, self._header())

    def save_generator(self, which: str, phase: str) -> None:
        """Save the policy as it is now as ``PHASE-which``."""
        if self.run is not None:
            self._files.save(f"{phase}-{which}", self.policy)

    def load_generator(self, name: str | None = None) -> Generator:
        """Load the generator of that name, or the furthest that there is: adversarial-last, then mle-best.

        ``ngram`` is the baseline :attr:`ngram`, which every run has.

        Raises:
            ValueError: There is none of that name; names those that there are.
        """
        if name == "ngram":
            return self.ngram
        if self.run is None:
            return self.policy
        chosen = self._files.choose(name)
        if chosen == "oracle" and self.oracle is not None:
            return self.oracle
        generator = self.materials.fresh().policy
        self._files.load(chosen, generator)
        return generator

    # Using a generator.

    @cached_property
    def _furthest(self) -> Generator:
        return self.load_generator()

    @property
    def generator(self) -> Generator:
        """The policy where it is trained here, else the furthest generator of the run."""
        is_trained_here = "loop" in self.__dict__ or self.run is None
        return self.policy if is_trained_here else self._furthest

    def sample(self, num_sentences: int, **options: Any) -> list[str]:
        """Draw sentences as running text; ``options`` are those of :meth:`sample_tokens`."""
        detokenize = self.language.tokenizer.detokenize
        return [detokenize(tokens) for tokens in self.sample_tokens(num_sentences, **options)]

    def complete(self, prompts: Sequence[str], **options: Any) -> list[str]:
        """Draw a completion of each prompt as running text; ``options`` are those of :meth:`sample`."""
        return self.sample(len(prompts), prompts=prompts, **options)

    def sample_tokens(
        self,
        num_sentences: int,
        *,
        generator: Generator | None = None,
        seed: int = 0,
        prefix: str = "",
        prompts: Sequence[str] | TokenBatch | None = None,
        temperature: Temperature | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> list[list[str]]:
        """Draw sentences as lists of tokens, each of which begins with the words of ``prefix``.

        Where the corpus has prompts, each completes one of ``prompts`` (texts or ids) instead. By default the
        temperature is that of ``evaluation.temperature``.

        Raises:
            ValueError: There are prompts where sentences complete none, or none where they do.
        """
        chosen = generator or self.generator
        start = self.language.encode_prefix(prefix)
        if start and prompts is not None:
            raise ValueError("prefix: stands beside prompts; give one of them")
        prompt = self._prompts(prompts)
        if start:
            prompt = pad(Sequences.from_lists([start] * num_sentences), self.vocabulary.pad_id)
        trajectories = sample(
            chosen,
            num_sentences,
            self.corpus.max_length - len(start),
            prompt=None if prompt is None else prompt.to(chosen.device),
            eos_id=self.vocabulary.eos_id,
            pad_id=self.vocabulary.pad_id,
            precision=self.settings.sampling.precision,
            rng=make_rng(chosen.device, seed, "generate"),
            temperature=temperature_value(self.decoding(temperature=temperature).temperature),
            top_k=top_k,
            top_p=top_p,
        )
        rows = zip(trajectories.tokens.cpu(), trajectories.mask.cpu(), strict=True)
        return [self.vocabulary.decode([*start, *tokens[mask].tolist()]) for tokens, mask in rows]

    def score(
        self,
        sentences: Sequence[str],
        *,
        prompts: Sequence[str] | None = None,
        generator: Generator | None = None,
    ) -> list[float]:
        """Return the log-likelihood of each sentence in nats per token, EOS included.

        Where the corpus has prompts, it is that of the sentence as the completion of its prompt.

        Raises:
            ValueError: There are prompts where sentences complete none, or none where they do.
        """
        encoded = Sequences.from_lists(map(self.language.encode, sentences))
        batch = dataclasses.replace(pad(encoded, self.vocabulary.pad_id), prompt=self._prompts(prompts))
        sums = sequence_nll(generator or self.generator, batch)
        return [float(total) for total in -sums / batch.lengths]

    def _prompts(self, prompts: Sequence[str] | TokenBatch | None) -> TokenBatch | None:
        """Return the prompts as ids.

        Raises:
            ValueError: There are some where sentences complete none, or none where they do.
        """
        if isinstance(prompts, str):
            raise ValueError("prompts: must be a list of texts, not one text")
        if (prompts is not None) != self.corpus.has_prompts:
            raise ValueError(
                "sentences of this run complete prompts: give one for each, as in complete([...])"
                if prompts is None
                else "sentences of this run complete no prompts: give a prefix"
            )
        if prompts is None or isinstance(prompts, TokenBatch):
            return prompts
        return self.language.encode_prompts(prompts)

    def decoding(self, *, temperature: Temperature | None = None, **truncation: Any) -> Decoding:
        """Return how to sample; by default at the settings' temperature. ``truncation``: top_k, top_p."""
        chosen = self.settings.evaluation.temperature if temperature is None else temperature
        return Decoding(temperature=chosen, **truncation)

    def evaluate(self, generator: Generator | None = None, **options: Any) -> EvaluationResult:
        """Measure quality, diversity and likelihood on the test text; ``options`` as of :meth:`decoding`."""
        return self.test_evaluator(generator or self.generator, self.decoding(**options))

    @cached_property
    def test_evaluator(self) -> Evaluator:
        """The evaluator of generators after training."""
        return self.evaluator("test", self.settings.evaluation.num_samples)

    def evaluator(self, part: str, num_samples: int) -> Evaluator:
        """Build an evaluator of generators against a part of the corpus."""
        return Evaluator(
            self.materials.split(part),
            split=part,
            settings=self.settings.evaluation,
            num_samples=num_samples,
            decode=self.language.decode,
            signature=Signature(
                tokenizer=self.corpus.tokenizer, case="lower" if self.corpus.lower_case else "kept"
            ),
            eos_id=self.vocabulary.eos_id,
            unk_id=self.vocabulary.unk_id,
            oracle=self.oracle,
            seed=self.settings.seed,
            training=self.corpus.train,
            precision=self.settings.sampling.precision,
            metrics=self.metrics,
        )

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The metrics of evaluations by name: the built-in ones, and those that the settings name.

        Raises:
            ValueError: One of the settings' metrics cannot be imported, or is none.
        """
        return load_metrics(self.settings.evaluation.metrics, "--evaluation.metrics")


def _no_material(name: str) -> NoReturn:
    raise KeyError("a corpus is built before all materials")


def changeable_settings(run: RunFolder) -> tuple[str, ...]:
    """Return what may still change in a run: all but the corpus before training, less with each phase."""
    if not run.state.exists():
        names = (field.name for field in dataclasses.fields(ExperimentSettings))
        return tuple(name for name in names if name != "corpus")
    if not run.generator("adversarial-best").exists():  # written when the last phase begins
        return CHANGEABLE + AFTER_PRETRAINING
    return CHANGEABLE


def kept_settings(settings: Settings) -> Settings:
    """Return, by their dotted names, the settings on which results depend."""
    flat = flatten(settings)
    return {name: value for name, value in flat.items() if not name.startswith(CHANGEABLE)}


def open_run(run: Path | str, *, device: str | None = None) -> Experiment:
    """Open a run folder for sampling, scoring and measuring; see :meth:`Experiment.open`."""
    return Experiment.open(Path(run), device=device)
