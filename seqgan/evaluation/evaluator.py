"""One evaluation for every generator: fresh samples against a split of the corpus, both sides, signed."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

import numpy as np
from torch import Tensor

from seqgan.config.ranges import Range
from seqgan.evaluation.likelihood import nll
from seqgan.evaluation.metrics import ORDERS, lower_is_better
from seqgan.evaluation.oracle import OracleTask
from seqgan.evaluation.signature import Estimate, Score, Signature
from seqgan.evaluation.text_metrics import RealText, text_metrics
from seqgan.models.generator import Generator
from seqgan.runtime.seeding import make_rng
from seqgan.runtime.tracking import Projection
from seqgan.sampling.decoding import Decoding, describe_temperature, temperature_value
from seqgan.sampling.sample import sample
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Evaluation during training (on the validation text) and after it (on the test text)."""

    num_samples: Annotated[int, Range(minimum=2)] = 10_000
    """Sentences sampled for the evaluation after training."""
    num_samples_in_training: Annotated[int, Range(minimum=2)] = 1_000
    """Sentences sampled for each evaluation during training."""
    batch_size: Annotated[int, Range(minimum=1)] = 512
    """Sequences sampled and scored at once."""
    temperature: Annotated[float, Range(minimum=0, open=True)] = 1.0
    """Softmax temperature at which generators are sampled and scored, in training too; more than 0."""
    criterion: str = "nll"
    """The metric, on validation text, by which the best adversarial generator is kept: nll, or any that has a
    better side, such as jeffreys (with an oracle), bleu_f1_5, reverse_perplexity, ms_jaccard_4."""


@dataclass(frozen=True)
class EvaluationResult:
    """A score, the metrics as ``evaluation/name``, and the sentences behind them."""

    score: Score
    metrics: dict[str, float]
    sentences: Sequence[str]
    loss: float
    projections: Mapping[str, Projection] = field(default_factory=dict)


class Evaluator:
    """Measures generators against one split; every call uses the same random numbers.

    An unknown word matches nothing: a generated UNK is given an id that no reference has, so that
    BLEU is that of the words themselves. Between samples (self-BLEU) it is a word like any other.
    Where the ``training`` sequences are given (EOS included), copies of them are looked for.
    """

    def __init__(
        self,
        real: TokenBatch,
        *,
        split: str,
        settings: EvaluationSettings,
        num_samples: int,
        decode: Callable[[Sequence[int]], str],
        signature: Signature,
        vocabulary_size: int,
        eos_id: int | None,
        unk_id: int | None,
        oracle: Generator | None,
        seed: int,
        training: Sequences | None = None,
    ) -> None:
        self.real = real
        self.split = split
        self.settings = settings
        self.num_samples = num_samples
        self.decode = decode
        self.signature = signature
        self.vocabulary_size = vocabulary_size
        self.eos_id = eos_id
        self.unk_id = unk_id
        self.oracle = oracle
        self.seed = seed
        self.training = training

    @cached_property
    def real_text(self) -> RealText:
        """The split's words, and those of the training text, prepared once."""
        training = self.training and self.training.without(self.eos_id)
        return RealText(self._words(self.real), training, max(ORDERS))

    @cached_property
    def oracle_task(self) -> OracleTask | None:
        """The split scored once by the oracle, where there is one."""
        if self.oracle is None:
            return None
        return OracleTask(self.oracle, self.real, batch_size=self.settings.batch_size)

    def __call__(self, generator: Generator, decoding: Decoding | None = None) -> EvaluationResult:
        """Sample, and measure quality, diversity and likelihood; by default at the settings' temperature.

        Where decoding rules tokens out, real text may be impossible: nothing is said then of the
        generator's own likelihoods, and of an oracle's task there is NLL-oracle alone.
        """
        decoding = decoding or Decoding(temperature=self.settings.temperature)
        samples = sample(
            generator,
            self.num_samples,
            self.real.tokens.shape[1],
            eos_id=self.eos_id,
            rng=make_rng(generator.device, self.seed, "evaluation", self.split),
            temperature=temperature_value(decoding.temperature),
            top_k=decoding.top_k,
            top_p=decoding.top_p,
        )
        hypotheses = self._mark_unknown(self._words(samples))
        score = Score.from_estimates(
            {
                **text_metrics(hypotheses, self.real_text, ORDERS),
                **self._likelihoods(generator, samples, decoding),
            },
            dataclasses.replace(
                self._signature(self.num_samples),
                temperature=describe_temperature(decoding.temperature),
                top_k=decoding.top_k,
                top_p=decoding.top_p,
            ),
        )
        sentences = [self.decode(ids.tolist()) for ids in _rows(samples.select(slice(100)))]
        return EvaluationResult(score, score.scalars("evaluation"), sentences, self._loss(score))

    def score_text(self, sequences: Sequences) -> EvaluationResult:
        """Other text, EOS included, in the place of samples: what real text reaches; no likelihoods.

        Copies are not looked for: it may be the training text itself.
        """
        words = self._mark_unknown(sequences.without(self.eos_id))
        real = dataclasses.replace(self.real_text, training=None)
        score = Score.from_estimates(text_metrics(words, real, ORDERS), self._signature(len(words)))
        sentences = [self.decode(sequences[i].tolist()) for i in range(min(100, len(sequences)))]
        return EvaluationResult(score, score.scalars("evaluation"), sentences, math.nan)

    def _signature(self, hypotheses: int) -> Signature:
        return dataclasses.replace(
            self.signature, hypotheses=hypotheses, references=len(self.real), smoothing="method1"
        )

    def _likelihoods(
        self, generator: Generator, samples: Trajectories, decoding: Decoding
    ) -> dict[str, Estimate]:
        temperature = temperature_value(decoding.temperature)
        size = self.settings.batch_size
        if decoding.truncated:
            if self.oracle is None:
                return {}
            return {"nll_oracle": nll(self.oracle, samples, batch_size=size)}
        if self.oracle_task is not None:
            estimates = self.oracle_task.score(generator, samples, temperature=temperature)
            estimates[f"nll_{self.split}"] = estimates.pop("nll_test")
            return estimates
        return {
            f"nll_{self.split}": nll(generator, self.real, batch_size=size, temperature=temperature),
            "entropy": nll(generator, samples, batch_size=size, temperature=temperature),
        }

    def _loss(self, score: Score) -> float:
        """By which generators are kept, lower for the better; NaN where it was not measured."""
        name = f"nll_{self.split}" if self.settings.criterion == "nll" else self.settings.criterion
        value = score.values.get(name, math.nan)
        return value if lower_is_better(name) else -value

    def _mark_unknown(self, words: Sequences) -> Sequences:
        """UNK replaced by an id that no reference has: the vocabulary's size."""
        if self.unk_id is None:
            return words
        ids = np.where(words.ids == self.unk_id, np.int32(self.vocabulary_size), words.ids)
        return Sequences(ids, words.offsets)

    def _words(self, batch: TokenBatch) -> Sequences:
        """Ids without EOS."""
        mask = batch.mask if self.eos_id is None else batch.mask & (batch.tokens != self.eos_id)
        return Sequences.from_padded(batch.tokens.cpu().numpy(), mask.cpu().numpy())


def _rows(batch: TokenBatch) -> list[Tensor]:
    return [row[kept] for row, kept in zip(batch.tokens.cpu(), batch.mask.cpu(), strict=True)]
