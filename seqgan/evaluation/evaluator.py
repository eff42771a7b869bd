"""One evaluation for every generator: fresh samples against a split of the corpus, both sides, signed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from jaxtyping import Bool, Int
from torch import Tensor

from seqgan.config import Range
from seqgan.evaluation.likelihood import nll
from seqgan.evaluation.oracle import OracleTask
from seqgan.evaluation.signature import Estimate, Score, Signature
from seqgan.evaluation.text_metrics import RealText, text_metrics
from seqgan.metrics import ORDERS
from seqgan.models.generator import Generator
from seqgan.sampling import sample
from seqgan.seeding import make_rng
from seqgan.temperature import Temperature, describe_temperature, temperature_value
from seqgan.text.sequences import Sequences
from seqgan.tracking import Projection

Criterion = Literal["nll", "jeffreys", "kl_p_q", "kl_q_p", "nll_oracle", "bleu_4", "bleu_5"]


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Evaluation during training (on the validation text) and after it (on the test text)."""

    num_samples: Annotated[int, Range(minimum=2)] = 10_000
    """Sentences sampled for the evaluation after training."""
    num_samples_in_training: Annotated[int, Range(minimum=2)] = 1_000
    """Sentences sampled for each evaluation during training."""
    batch_size: Annotated[int, Range(minimum=1)] = 512
    """Sequences sampled and scored at once."""
    temperature: Annotated[float, Range(minimum=0, open=True)] = 1.0
    """Softmax temperature at which generators are sampled and scored, in training too; more than 0."""
    criterion: Criterion = "nll"
    """The metric, on validation text, by which the best adversarial generator is kept."""


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
        tokens: Int[Tensor, "N T"],
        mask: Bool[Tensor, "N T"],
        *,
        split: str,
        config: EvaluationConfig,
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
        self.tokens = tokens
        self.mask = mask
        self.split = split
        self.config = config
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
        return RealText(self._words(self.tokens, self.mask), training, max(ORDERS))

    @cached_property
    def oracle_task(self) -> OracleTask | None:
        """The split scored once by the oracle, where there is one."""
        if self.oracle is None:
            return None
        return OracleTask(self.oracle, self.tokens, self.mask, batch_size=self.config.batch_size)

    def __call__(
        self,
        generator: Generator,
        *,
        temperature: Temperature | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> EvaluationResult:
        """Sample, and measure quality, diversity and likelihood; by default at the settings' temperature."""
        named = self.config.temperature if temperature is None else temperature
        value = temperature_value(named)
        samples = sample(
            generator,
            self.num_samples,
            self.tokens.shape[1],
            eos_id=self.eos_id,
            rng=make_rng(generator.device, self.seed, "evaluation", self.split),
            temperature=value,
            top_k=top_k,
            top_p=top_p,
        )
        hypotheses = self._words(self._mark_unknown(samples.tokens), samples.mask)
        values = text_metrics(hypotheses, self.real_text, ORDERS)
        estimates = self._likelihoods(generator, samples.tokens, samples.mask, value)
        signature = Signature(
            hypotheses=self.num_samples,
            references=len(self.tokens),
            tokenizer=self.signature.tokenizer,
            case=self.signature.case,
            smoothing="method1",
            temperature=describe_temperature(named),
            top_k=top_k,
            top_p=top_p,
        )
        likelihoods = Score.from_estimates(estimates, signature)
        score = Score({**values, **likelihoods.values}, signature, likelihoods.standard_errors)
        sentences = [self.decode(ids.tolist()) for ids in _rows(samples.tokens[:100], samples.mask[:100])]
        return EvaluationResult(score, score.scalars("evaluation"), sentences, self._loss(score))

    def _likelihoods(
        self, generator: Generator, samples: Tensor, mask: Tensor, temperature: float
    ) -> dict[str, Estimate]:
        if self.oracle_task is not None:
            estimates = self.oracle_task.score(generator, samples, mask, temperature=temperature)
            estimates[f"nll_{self.split}"] = estimates.pop("nll_test")
            return estimates
        size = self.config.batch_size
        return {
            f"nll_{self.split}": nll(
                generator, self.tokens, self.mask, batch_size=size, temperature=temperature
            ),
            "entropy": nll(generator, samples, mask, batch_size=size, temperature=temperature),
        }

    def _loss(self, score: Score) -> float:
        name = f"nll_{self.split}" if self.config.criterion == "nll" else self.config.criterion
        if name not in score.values:
            raise ValueError(f"--evaluation.criterion: {name} needs an oracle; choose nll or a BLEU")
        return -score.values[name] if name.startswith("bleu") else score.values[name]

    def _mark_unknown(self, tokens: Tensor) -> Tensor:
        """Tokens with UNK replaced by an id that no reference has: the vocabulary's size."""
        return (
            tokens if self.unk_id is None else tokens.masked_fill(tokens == self.unk_id, self.vocabulary_size)
        )

    def _words(self, tokens: Tensor, mask: Tensor) -> Sequences:
        """Ids without EOS."""
        if self.eos_id is not None:
            mask = mask & (tokens != self.eos_id)
        return Sequences.from_padded(tokens.cpu().numpy(), mask.cpu().numpy())


def _rows(tokens: Tensor, mask: Tensor) -> list[Tensor]:
    return [row[kept] for row, kept in zip(tokens.cpu(), mask.cpu(), strict=True)]
