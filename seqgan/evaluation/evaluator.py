"""One evaluation for every generator: fresh samples against a split of the corpus, both sides, signed."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Annotated

import numpy as np

from seqgan.config.kinds import absolute
from seqgan.config.ranges import Range, Repeated
from seqgan.evaluation.likelihood import nll
from seqgan.evaluation.metric import Metric
from seqgan.evaluation.metrics import EVALUATION, REWARD, lower_is_better, measure_texts
from seqgan.evaluation.oracle import OracleTask
from seqgan.evaluation.signature import Estimate, Score, Signature
from seqgan.evaluation.texts import RealText, TextPair
from seqgan.models.generator import Generator
from seqgan.models.kernels.fast_linear import Precision
from seqgan.runtime.devices import without_subnormals
from seqgan.runtime.seeding import make_rng
from seqgan.runtime.tracking import Projection
from seqgan.sampling.decoding import Decoding, describe_temperature, temperature_value
from seqgan.sampling.sample import sample
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.language import with_prompts
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch

NUM_SHOWN = 100  # samples whose text is kept


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
    better side, such as jeffreys (with an oracle), bleu_f1_5, reverse_perplexity, ms_jaccard_4, or one of
    --evaluation.metrics. reward, where that is not the discriminator's, is the mean reward of samples."""
    metrics: Annotated[tuple[str, ...], Repeated] = ()
    """A metric of your own: package.module:name or file.py:name of a function of two lists of sentences, the
    generated and the real ones, that returns a number, or one for each generated sentence. The first line of
    its docstring says what it means, and may end with (lower) or (higher). May be given several times."""

    def __post_init__(self) -> None:
        """Make paths of files absolute, so that the working directory may change."""
        object.__setattr__(self, "metrics", tuple(map(absolute, self.metrics)))


@dataclass(frozen=True)
class EvaluationResult:
    """A score, the metrics as ``evaluation/name``, and the sentences behind them."""

    score: Score
    metrics: dict[str, float]
    sentences: Sequence[str]
    loss: float
    projections: Mapping[str, Projection] = field(default_factory=dict)
    prompts: Sequence[str] = ()
    """What the sentences complete, where there are prompts."""
    ranked: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Further samples by name, sorted by their reward."""

    @property
    def texts(self) -> Mapping[str, Sequence[str]]:
        """The sentences for people, behind their prompts where they complete any, and the ranked ones."""
        return {"samples": with_prompts(self.sentences, self.prompts), **self.ranked}


class Evaluator:
    """The measurement of generators against one split; every call uses the same random numbers.

    A generated unknown word matches no word of the real text, so that BLEU is that of the words themselves.
    Between samples (self-BLEU) and for the perplexities it is a word like any other, on both sides. Where the
    ``training`` sequences are given (EOS included), copies of them are looked for. Samples complete the
    prompts of the split, where it has any: evenly spread ones, or all of them again and again. ``metrics``
    are those of evaluations, by name: those of text are measured, and the settings' criterion is one of them.
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
        eos_id: int | None,
        unk_id: int | None,
        oracle: Generator | None,
        seed: int,
        training: Sequences | None = None,
        precision: Precision = "float32",
        metrics: Mapping[str, Metric] = EVALUATION,
    ) -> None:
        self.real = real
        self.split = split
        self.settings = settings
        self.num_samples = num_samples
        self.decode = decode
        self.signature = signature
        self.eos_id = eos_id
        self.unk_id = unk_id
        self.oracle = oracle
        self.seed = seed
        self.training = training
        self.precision: Precision = precision
        self.metrics = metrics

    @cached_property
    def real_text(self) -> RealText:
        """The split's words, and those of the training text, prepared once."""
        training = self.training and self.training.without(self.eos_id)
        references = self._words(self.real)
        return RealText(references, training, self.unk_id, partial(self._decode, references))

    @cached_property
    def oracle_task(self) -> OracleTask | None:
        """The split scored once by the oracle, where there is one."""
        if self.oracle is None:
            return None
        return OracleTask(self.oracle, self.real, batch_size=self.settings.batch_size)

    @without_subnormals()
    def __call__(
        self, generator: Generator, decoding: Decoding | None = None, *, num_samples: int | None = None
    ) -> EvaluationResult:
        """Sample, and measure quality, diversity and likelihood; by default at the settings' temperature.

        By default ``num_samples`` is the evaluator's own.

        Where decoding rules tokens out, real text may be impossible: nothing is said then of the
        generator's own likelihoods, and of an oracle's task there is NLL-oracle alone.
        """
        decoding = decoding or Decoding(temperature=self.settings.temperature)
        num_samples = num_samples or self.num_samples
        samples = sample(
            generator,
            num_samples,
            self.real.tokens.shape[1],
            eos_id=self.eos_id,
            rng=make_rng(generator.device, self.seed, "evaluation", self.split),
            temperature=temperature_value(decoding.temperature),
            top_k=decoding.top_k,
            top_p=decoding.top_p,
            prompt=None if self.real.prompt is None else self.real.prompt.spread(num_samples),
            precision=self.precision,
        )
        words = self._words(samples)
        score = Score.from_estimates(
            {
                **self._measure(words, self.real_text),
                **self._likelihoods(generator, samples, decoding),
            },
            dataclasses.replace(
                self._signature(num_samples),
                temperature=describe_temperature(decoding.temperature),
                top_k=decoding.top_k,
                top_p=decoding.top_p,
            ),
            self._labels,
        )
        # with prompts the first samples would be those of the first prompts alone
        few = samples.select(slice(NUM_SHOWN))
        shown = few if samples.prompt is None else samples.spread(len(few))
        prompts = () if shown.prompt is None else self._texts(shown.prompt)
        metrics = score.scalars("evaluation")
        return EvaluationResult(score, metrics, self._texts(shown), self._loss(score), prompts=prompts)

    def score_text(self, sequences: Sequences) -> EvaluationResult:
        """Measure other text, EOS included, in the place of samples; without likelihoods.

        That is the level of real text. Copies are not looked for: it may be the training text itself.
        """
        words = sequences.without(self.eos_id)
        real = dataclasses.replace(self.real_text, training=None)
        estimates = self._measure(words, real)
        score = Score.from_estimates(estimates, self._signature(len(words)), self._labels)
        sentences = self._decode(sequences.select(np.arange(min(NUM_SHOWN, len(sequences)))))
        return EvaluationResult(score, score.scalars("evaluation"), sentences, math.nan)

    def _measure(self, words: Sequences, real: RealText) -> dict[str, Estimate]:
        return measure_texts(TextPair(words, real, partial(self._decode, words)), self.metrics)

    @property
    def _labels(self) -> dict[str, str]:
        """The labels of the metrics that are the user's own."""
        return {name: metric.label for name, metric in self.metrics.items() if name not in EVALUATION}

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
        """Return what generators are kept by, lower for the better; NaN where it was not measured."""
        name = f"nll_{self.split}" if self.settings.criterion == "nll" else self.settings.criterion
        if name == REWARD:  # whoever has the reward fills it in
            return math.nan
        value = score.values.get(name, math.nan)
        return value if lower_is_better(name, self.metrics) else -value

    def _decode(self, sequences: Sequences) -> list[str]:
        return [self.decode(sequences[i].tolist()) for i in range(len(sequences))]

    def _texts(self, batch: TokenBatch) -> list[str]:
        rows = zip(batch.tokens.cpu(), batch.mask.cpu(), strict=True)
        return [self.decode(ids[real].tolist()) for ids, real in rows]

    def _words(self, batch: TokenBatch) -> Sequences:
        """Return the ids without EOS, one sequence behind the other."""
        mask = batch.mask if self.eos_id is None else batch.mask & (batch.tokens != self.eos_id)
        return Sequences.from_padded(batch.tokens.cpu().numpy(), mask.cpu().numpy())
