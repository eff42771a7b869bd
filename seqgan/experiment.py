"""The composition root: from settings to corpus, models, trainers and phases."""

import dataclasses
import os
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from seqgan import checkpoint
from seqgan.config import (
    find_component,
    to_settings,
    to_toml,
    validate,
)
from seqgan.evaluation.evaluator import EvaluationResult, Evaluator
from seqgan.evaluation.likelihood import nll, sequence_nll
from seqgan.evaluation.signature import Signature
from seqgan.files import first_line
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator
from seqgan.models.oracle import restore_oracle
from seqgan.oracle_corpus import OracleCorpusConfig, build_oracle
from seqgan.rewards.reward import Reward
from seqgan.rewards.rollout import action_values
from seqgan.run_folder import RunFolder
from seqgan.sampling import Trajectories, inference, sample
from seqgan.seeding import derive_seed, make_rng
from seqgan.settings import (
    ALGORITHMS,
    DISCRIMINATORS,
    GENERATORS,
    ORACLE_METRICS,
    REWARDS,
    ExperimentConfig,
    find_device,
    load_config,
    prepare_corpus,
    refuse_other_settings,
)
from seqgan.text.batching import Batch, Batches, pad
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.sequences import Sequences
from seqgan.tracking import Tracker
from seqgan.training.adversarial import AdversarialPhase, Algorithm
from seqgan.training.discriminator import (
    DiscriminatorPhase,
    DiscriminatorTrainer,
)
from seqgan.training.loop import TrainingLoop
from seqgan.training.mle import MLEConfig, MLEPhase, MLETrainer
from seqgan.training.phase import Evaluate


class Experiment:
    """Corpus, models, trainers and phases of one run, built from its settings.

    Without ``run`` nothing is written. With it, the folder is created or, if it is there, gone on with.

    Raises:
        ValueError: Settings, corpus, device or run folder cannot be used; names what and why.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        run: Path | None = None,
        *,
        cache: Path | None = None,
        quiet: bool = True,
    ) -> None:
        validate(config)
        self.config = config
        self.device = find_device(config.device)
        torch.set_num_threads(config.num_threads or os.cpu_count() or 1)
        self.run = None if run is None else RunFolder(run)
        self.quiet = quiet
        self.corpus = self._load_corpus(cache)
        self.vocabulary = self.corpus.vocabulary
        self.tokenizer = self.corpus.build_tokenizer()
        self.rng = make_rng(self.device, config.seed, "training")
        self.policy = self.build_generator()
        self.discriminator = self.build_discriminator()
        self._refuse_contradictions()
        self._start_run()

    @classmethod
    def open(cls, run: Path, *, device: str | None = None) -> "Experiment":
        """The experiment of an existing run folder, with the settings it was made with.

        Raises:
            ValueError: The folder is no run, or of another version, or damaged.
        """
        settings = RunFolder(run).read_settings()
        config = load_config(settings, source=str(RunFolder(run).config))
        return cls(config if device is None else dataclasses.replace(config, device=device), run)

    # Building.

    def _load_corpus(self, cache: Path | None) -> PreparedCorpus:
        if self.run is None or not self.run.exists():
            return prepare_corpus(self.config.corpus, cache)
        old = to_settings(load_config(self.run.read_settings(), source=str(self.run.config)))
        refuse_other_settings(to_settings(self.config), old, self.run.path)
        return PreparedCorpus.load(self.run.corpus)

    def _refuse_contradictions(self) -> None:
        """What no setting shows by itself; asked before anything is written."""
        criterion = self.config.evaluation.criterion
        if criterion in ORACLE_METRICS and not isinstance(self.config.corpus, OracleCorpusConfig):
            raise ValueError(
                f"--evaluation.criterion: {criterion} needs an oracle, which --corpus.kind "
                f"{self.config.corpus.kind} has not; choose nll, bleu_4 or bleu_5"
            )
        with inference(self.policy):  # a generator may not reach as far as the corpus does
            self.policy(torch.zeros(1, self.corpus.max_length, dtype=torch.long, device=self.device))

    def _start_run(self) -> None:
        """Write corpus, oracle and, when all is there, the settings that make the folder a run."""
        if self.run is None or self.run.exists():
            return
        self.corpus.save(self.run.corpus)
        if isinstance(self.config.corpus, OracleCorpusConfig):
            oracle = build_oracle(self.config.corpus)
            checkpoint.save(self.run.generator("oracle"), {"generator": oracle.state_dict()})
        self.run.write_settings(to_settings(self.config))

    def build_generator(self) -> Generator:
        """A generator with fresh weights."""
        build = find_component(self.config.generator.kind, GENERATORS, "generator.kind").build
        rng = make_rng("cpu", self.config.seed, "generator")
        generator = build(
            self.config.generator,
            vocabulary_size=self.vocabulary.size,
            bos_id=self.vocabulary.bos_id,
            forbidden=self.vocabulary.forbidden,
            rng=rng,
        )
        return cast(Generator, generator.to(self.device))

    def build_discriminator(self) -> Discriminator:
        """A discriminator with fresh weights."""
        build = find_component(self.config.discriminator.kind, DISCRIMINATORS, "discriminator.kind").build
        rng = make_rng("cpu", self.config.seed, "discriminator")
        discriminator = build(self.config.discriminator, vocabulary_size=self.vocabulary.size, rng=rng)
        return cast(Discriminator, discriminator.to(self.device))

    @cached_property
    def oracle(self) -> Generator | None:
        """The oracle that drew the corpus, where one did."""
        if not isinstance(self.config.corpus, OracleCorpusConfig):
            return None
        if self.run is None:
            return build_oracle(self.config.corpus).to(self.device)
        path = self.run.generator("oracle")
        try:
            return restore_oracle(checkpoint.load(path)["generator"]).to(self.device)
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"{path}: holds no oracle: {first_line(error)}") from error

    def split(self, part: str) -> Batch:
        """All sequences of ``train``, ``validation`` or ``test``, padded, on the device."""
        padded = pad(self.corpus.sequences(part), self.vocabulary.pad_id, self.corpus.max_length)
        return padded.to(self.device)

    def evaluator(self, part: str, num_samples: int) -> Evaluator:
        """What measures generators against a part of the corpus."""
        text = self.split(part)
        return Evaluator(
            text.tokens,
            text.mask,
            split=part,
            config=self.config.evaluation,
            num_samples=num_samples,
            decode=self.decode,
            signature=Signature(
                tokenizer=self.corpus.tokenizer, case="lower" if self.corpus.lower_case else "kept"
            ),
            vocabulary_size=self.vocabulary.size,
            eos_id=self.vocabulary.eos_id,
            unk_id=self.vocabulary.unk_id,
            oracle=self.oracle,
            seed=self.config.seed,
        )

    @cached_property
    def reward(self) -> Reward:
        """The reward of finished sequences."""
        build = find_component(self.config.reward.kind, REWARDS, "reward.kind").build
        return cast(Reward, build(self.config.reward, self.discriminator.score))

    def action_values(self, policy: Generator, trajectories: Trajectories) -> Tensor:
        """Monte-Carlo action values (B, T) of sampled sequences, completed by ``policy``."""
        config = self.config.rollout
        return action_values(
            policy,
            trajectories.tokens,
            trajectories.mask,
            self.reward,
            num_rollouts=config.num_rollouts,
            interval=config.interval,
            temperature=config.temperature,
            max_rows=config.max_rows,
            precision=config.precision,
            eos_id=self.vocabulary.eos_id,
            pad_id=self.vocabulary.pad_id,
            rng=self.rng,
        )

    # Training.

    @cached_property
    def loop(self) -> TrainingLoop:
        """The three phases, and where they stand: resumed from the run folder if it holds a checkpoint."""
        config = self.config
        evaluate: Evaluate = self.evaluator("validation", config.evaluation.num_samples_in_training)
        validation, train = self.split("validation"), self.split("train")
        mle = MLEPhase(
            self._mle_trainer(config.mle),
            evaluate=evaluate,
            validation_nll=lambda g: nll(g, validation.tokens, validation.mask).value,
            on_best=partial(self.save_generator, "best"),
        )
        discriminator = DiscriminatorTrainer(
            self.discriminator,
            config.discriminator_training,
            real=train,
            held_out=validation,
            sample_negatives=partial(self._sample, self.policy, rng=self.rng),
            seed=config.seed,
        )
        algorithm = self._build_algorithm()
        adversarial = AdversarialPhase(
            config.adversarial,
            algorithm,
            policy=self.policy,
            mle=self._mle_trainer(
                dataclasses.replace(config.mle, learning_rate=config.adversarial.mle_learning_rate)
            ),
            discriminator=discriminator,
            evaluate=evaluate,
            on_best=partial(self.save_generator, "best"),
        )
        loop = TrainingLoop(
            [mle, DiscriminatorPhase(discriminator), adversarial],
            {
                "policy": self.policy,
                "discriminator_model": self.discriminator,
                "discriminator_trainer": discriminator,
                "algorithm": algorithm,
            },
            rng=self.rng,
            tracker=Tracker(None if self.run is None else self.run.path),
            config=config.tracking,
            checkpoint_path=None if self.run is None else self.run.state,
            header=self._header(),
            on_save=partial(self.save_generator, "last"),
            quiet=self.quiet,
        )
        if not loop.resume():
            torch.manual_seed(derive_seed(config.seed, "dropout"))
            settings = to_toml(to_settings(config))
            loop.tracker.log_text(0, "settings", settings.splitlines())
        return loop

    def _mle_trainer(self, config: MLEConfig) -> MLETrainer:
        batches = Batches(
            self.corpus.train,
            batch_size=config.batch_size,
            pad_id=self.vocabulary.pad_id,
            seed=self.config.seed,
            length=None if self.device.type == "cpu" else self.corpus.max_length,
        )
        return MLETrainer(self.policy, batches, config, len(self.corpus.train.ids))

    def _build_algorithm(self) -> Algorithm:
        build = find_component(self.config.algorithm.kind, ALGORITHMS, "algorithm.kind").build
        algorithm = build(
            self.config.algorithm,
            policy=self.policy,
            action_values=self.action_values,
            reward=self.reward,
            max_length=self.corpus.max_length,
            eos_id=self.vocabulary.eos_id,
            rng=self.rng,
        )
        return cast(Algorithm, algorithm)

    def pretrain(self) -> None:
        """Train the generator by maximum likelihood, then the discriminator against it.

        Raises:
            Interrupted: A signal asked to stop; everything is saved.
        """
        self.loop.run("discriminator")

    def train(self) -> None:
        """Everything that is left, to the end of the adversarial phase.

        Raises:
            Interrupted: A signal asked to stop; everything is saved.
        """
        self.loop.run("adversarial")

    # Generators on disk.

    def _header(self) -> dict[str, Any]:
        return {
            "settings": to_toml(to_settings(self.config)),
            "vocabulary": self.vocabulary.to_json(),
            "corpus": self.corpus.digest,
        }

    def save_generator(self, which: str, phase: str) -> None:
        """Save the generator as it is now as ``PHASE-which``; the discriminator's phase has none."""
        if self.run is not None and phase != "discriminator":
            payload = {**self._header(), "generator": self.policy.state_dict()}
            checkpoint.save(self.run.generator(f"{phase}-{which}"), payload)

    def load_generator(self, name: str | None = None) -> Generator:
        """The generator of that name, or the furthest that there is: adversarial-last, then mle-best.

        Raises:
            ValueError: There is none of that name; names those that there are.
        """
        if self.run is None:
            return self.policy
        names = self.run.find_generators()
        chosen = name or next((n for n in ("adversarial-last", "mle-best", "mle-last") if n in names), None)
        if chosen not in names:
            there = ", ".join(n for n in names if n != "oracle" or name) or "none yet; pretrain first"
            raise ValueError(
                f"--checkpoint: {self.run.path} has no {chosen or 'generator'}; there is {there}"
            )
        if chosen == "oracle" and self.oracle is not None:
            return self.oracle
        path = self.run.generator(chosen)
        payload = checkpoint.load(path)
        if payload.get("corpus") != self.corpus.digest:
            raise ValueError(f"{path}: made with another corpus than {self.run.corpus}")
        generator = self.build_generator()
        try:
            generator.load_state_dict(payload["generator"])
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"{path}: does not fit the run's settings: {first_line(error)}") from error
        return generator

    # Using a generator.

    def _sample(self, generator: Generator, num_sequences: int, **options: Any) -> Trajectories:
        return sample(
            generator,
            num_sequences,
            self.corpus.max_length,
            eos_id=self.vocabulary.eos_id,
            pad_id=self.vocabulary.pad_id,
            precision=self.config.rollout.precision,
            **options,
        )

    def sample(
        self,
        num_sentences: int,
        *,
        generator: Generator | None = None,
        seed: int = 0,
        prefix: str = "",
        **options: Any,
    ) -> list[list[str]]:
        """Sentences as lists of tokens; ``options`` are temperature, top_k and top_p."""
        start = self.encode(prefix)[:-1] if self.vocabulary.eos_id is not None else self.encode(prefix)
        rng = make_rng(self.device, seed, "generate")
        trajectories = self._sample(generator or self.policy, num_sentences, rng=rng, prefix=start, **options)
        rows = zip(trajectories.tokens.cpu(), trajectories.mask.cpu(), strict=True)
        return [self.vocabulary.decode(tokens[mask].tolist()) for tokens, mask in rows]

    def score(self, sentences: Sequence[str]) -> list[float]:
        """Log-likelihood of each sentence in nats per token, EOS included."""
        batch = pad(Sequences.from_lists(map(self.encode, sentences)), self.vocabulary.pad_id)
        sums = sequence_nll(self.policy, batch.tokens, batch.mask)
        return [float(total) for total in -sums / batch.mask.sum(1)]

    def evaluate(self, generator: Generator | None = None, **options: Any) -> EvaluationResult:
        """Quality, diversity and likelihood against the test text."""
        return self._test_evaluator(generator or self.policy, **options)

    @cached_property
    def _test_evaluator(self) -> Evaluator:
        return self.evaluator("test", self.config.evaluation.num_samples)

    def encode(self, sentence: str) -> list[int]:
        """Token ids of a sentence, with EOS where the vocabulary has one."""
        return self.vocabulary.encode(self.tokenizer.tokenize(sentence))

    def decode(self, ids: Sequence[int]) -> str:
        """A sentence for people."""
        return self.tokenizer.detokenize(self.vocabulary.decode(ids))
