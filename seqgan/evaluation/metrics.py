"""Every metric in one table: its name, meaning, better side, what it shows, and how it is measured of text.

Tables, reports, figures and criteria read it. A metric of text is a function of a
:class:`seqgan.evaluation.texts.TextPair`; a function of two lists of sentences becomes one by :func:`as_metric`.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from seqgan.config.kinds import load_object
from seqgan.evaluation.bleu import bleu_f1
from seqgan.evaluation.copying import longest_copied, novelty
from seqgan.evaluation.diversity import distinct, unique_share
from seqgan.evaluation.likelihood import per_token
from seqgan.evaluation.overlap import length_deviation, length_distance, ms_jaccard, ngram_jensen_shannon
from seqgan.evaluation.signature import Estimate, Signature
from seqgan.evaluation.texts import ORDERS, TextPair

Side = Literal["quality", "diversity", "both sides", "likelihood", "copies", "lengths", "words", ""]
Sentences = list[str]
TextFunction = Callable[[Sentences, Sentences], float | Sequence[float]]
CHOICE = "choose nll, bleu_f1_5 or another"
EQUAL = ("protocol", "tokenizer", "case", "smoothing", "language_model", "dimensions", "mauve")
"""Parts of a signature without which no metric is comparable."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: what it is called, what it says, and, where it is one of text, how it is measured."""

    name: str
    """Without its group."""
    meaning: str
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    """Which values are better; empty where neither are."""
    side: Side = ""
    """Whether it shows quality, which can be bought with diversity, diversity, or both; or something else."""
    heading: str = ""
    """Under which a report lists it."""
    over: Literal["samples", "references", ""] = ""
    """Whose mean it is: its sentence values belong to the generated sentences, or to the references."""
    sizes: tuple[Literal["hypotheses", "references"], ...] = ()
    """Numbers of sentences that its expected value depends on."""
    needs: Literal["an oracle", "features", "a language model", ""] = ""
    """Without which it is not measured."""
    in_summary: bool = False
    """Whether it stands in short tables."""
    measure: Callable[[TextPair], Estimate | None] | None = None
    """Measure it of generated beside real text; None where these texts lack what it takes."""

    @property
    def label(self) -> str:
        """Meaning, unit and better side in one line, such as ``NLL-test, nats per token (lower)``."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.meaning}{unit}" + (f" ({self.better})" if self.better else "")

    @property
    def lower_is_better(self) -> bool:
        """Whether lower values are better.

        Raises:
            ValueError: Neither are.
        """
        if not self.better:
            raise ValueError(f"the metric {self.name} has no better side")
        return self.better == "lower"

    def why_incomparable(self, first: Signature, second: Signature) -> str:
        """Return why two values of it must not be compared, in words; nothing where they may.

        A verdict such as "better" needs equal circumstances, and equal numbers of whatever sentences its
        expected value depends on: self-BLEU rises with the number of samples, BLEU with that of the references.
        """
        different = [
            f"{name.replace('_', ' ')} {getattr(first, name)} and {getattr(second, name)}"
            for name in (*EQUAL, *self.sizes)
            if getattr(first, name) != getattr(second, name)
        ]
        return ", ".join(different)


# Metrics of text. Each takes the texts, and an order n where there is one metric for each of ORDERS.


def _mean(values: str, texts: TextPair, n: int) -> Estimate:
    """Average BLEU scores of order n over sentences."""
    return Estimate.mean(getattr(texts, values)[:, ORDERS.index(n)])


def _bleu_f1(texts: TextPair, n: int) -> Estimate:
    sides = (texts.bleu[:, ORDERS.index(n)].mean(), texts.backward_bleu[:, ORDERS.index(n)].mean())
    return Estimate(bleu_f1(*map(float, sides)))


def _distinct(texts: TextPair, n: int) -> Estimate:
    return Estimate(distinct(texts.counts, n))


def _ms_jaccard(texts: TextPair, n: int) -> Estimate:
    return ms_jaccard(texts.similarities, n)


def _ngram_js(texts: TextPair, n: int) -> Estimate:
    return Estimate(ngram_jensen_shannon(texts.common[n - 1]))


def _unknown(texts: TextPair) -> Estimate | None:
    """Return the share of unknown words among all generated words; of none it is 0."""
    if texts.real.unknown is None:
        return None
    if not len(texts.words.ids):
        return Estimate(0.0)
    is_unknown = texts.words.ids == texts.real.unknown  # (L,): of all sentences, one behind the other
    holders = np.repeat(np.arange(len(texts.words)), texts.words.lengths)
    sums = np.bincount(holders, is_unknown, minlength=len(texts.words))
    return per_token(torch.from_numpy(sums), torch.from_numpy(texts.words.lengths))


def _novelty(texts: TextPair) -> Estimate | None:
    training = texts.real.training
    return None if training is None else Estimate(novelty(texts.hypotheses, training))


def _longest_copied(texts: TextPair) -> Estimate | None:
    training = texts.real.training
    if training is None:
        return None
    return Estimate.mean(longest_copied(texts.hypotheses, training).astype(np.float64))


def _forward_perplexity(texts: TextPair) -> Estimate:
    """Return the perplexity of the generated text under a model of the real text."""
    return texts.real.language_model.perplexity(texts.real.closed(texts.words))


def _reverse_perplexity(texts: TextPair) -> Estimate:
    """Return the perplexity of the real text under a model of the generated text."""
    return texts.real.fit(texts.words).perplexity(texts.real.closed(texts.real.references))


def _mean_length(texts: TextPair) -> Estimate:
    return Estimate.mean(texts.hypotheses.lengths.astype(np.float64))


LIKELIHOODS, LENGTH = "Likelihoods and divergences", "Length"
FEATURES = "Features and language model"
NATS = "nats per token"
BOTH_SIZES = ("hypotheses", "references")


def _of_orders(
    name: str,
    meaning: str,
    measure: Callable[..., Estimate],
    *,
    heading: str,
    summary: Sequence[int] = (),
    **about: Any,
) -> list[Metric]:
    """Return one metric for each of ``ORDERS``; those of the orders in ``summary`` stand in short tables."""
    return [
        Metric(
            name=f"{name}_{n}",
            meaning=meaning.format(n=n),
            heading=heading.format(n=n),
            in_summary=n in summary,
            measure=partial(measure, n=n),
            **about,
        )
        for n in ORDERS
    ]


def _likelihood(name: str, meaning: str, **about: Any) -> Metric:
    return Metric(name=name, meaning=meaning, heading=LIKELIHOODS, **{"unit": NATS, "in_summary": True} | about)


_OF_EVALUATION: Sequence[Metric] = (
    _likelihood(
        "nll_oracle", "NLL-oracle", better="lower", side="quality", over="samples", needs="an oracle"
    ),
    _likelihood("nll_validation", "NLL-validation", better="lower", side="diversity", over="references"),
    _likelihood("nll_test", "NLL-test", better="lower", side="diversity", over="references"),
    _likelihood("entropy", "entropy of own samples", side="likelihood", over="samples"),
    _likelihood(
        "kl_q_p",
        "KL(generator to data)",
        better="lower",
        side="quality",
        over="samples",
        needs="an oracle",
    ),
    _likelihood(
        "kl_p_q",
        "KL(data to generator)",
        better="lower",
        side="diversity",
        over="references",
        needs="an oracle",
    ),
    _likelihood("jeffreys", "Jeffreys divergence", better="lower", side="both sides", needs="an oracle"),
    _likelihood(
        "jensen_shannon",
        "Jensen-Shannon of sequences",
        unit="nats",
        better="lower",
        side="both sides",
        needs="an oracle",
        in_summary=False,
    ),
    *_of_orders(
        "bleu",
        "BLEU-{n}",
        partial(_mean, "bleu"),
        better="higher",
        side="quality",
        over="samples",
        sizes=("references",),
        heading="BLEU-{n}",
        summary=(4, 5),
    ),
    *_of_orders(
        "self_bleu",
        "self-BLEU-{n}",
        partial(_mean, "self_bleu"),
        better="lower",
        side="diversity",
        over="samples",
        sizes=("hypotheses",),
        heading="BLEU-{n}",
        summary=(4, 5),
    ),
    *_of_orders(
        "backward_bleu",
        "backward BLEU-{n}",
        partial(_mean, "backward_bleu"),
        better="higher",
        side="diversity",
        over="references",
        sizes=("hypotheses",),
        heading="BLEU-{n}",
        summary=(4, 5),
    ),
    *_of_orders(
        "bleu_f1",
        "BLEU-{n} F1 with backward BLEU",
        _bleu_f1,
        better="higher",
        side="both sides",
        sizes=BOTH_SIZES,
        heading="BLEU-{n}",
    ),
    *_of_orders(
        "distinct",
        "distinct-{n}",
        _distinct,
        better="higher",
        side="diversity",
        sizes=("hypotheses",),
        heading="{n}-grams",
        summary=(2,),
    ),
    *_of_orders(
        "ms_jaccard",
        "MS-Jaccard-{n}",
        _ms_jaccard,
        better="higher",
        side="both sides",
        over="samples",
        sizes=BOTH_SIZES,
        heading="{n}-grams",
        summary=(4,),
    ),
    *_of_orders(
        "ngram_js",
        "{n}-gram Jensen-Shannon",
        _ngram_js,
        unit="nats",
        better="lower",
        side="both sides",
        sizes=BOTH_SIZES,
        heading="{n}-grams",
    ),
    Metric(
        name="unique",
        meaning="unique sentences",
        unit="share",
        better="higher",
        side="diversity",
        heading="Sentences",
        sizes=("hypotheses",),
        in_summary=True,
        measure=lambda texts: Estimate(unique_share(texts.hypotheses)),
    ),
    Metric(
        name="unknown",
        meaning="unknown words",
        unit="share",
        side="words",
        heading="Sentences",
        over="samples",
        in_summary=True,
        measure=_unknown,
    ),
    Metric(
        name="novelty",
        meaning="sentences not in the training text",
        unit="share",
        side="copies",
        heading="Sentences",
        in_summary=True,
        measure=_novelty,
    ),
    Metric(
        name="longest_copied",
        meaning="longest copied n-gram",
        unit="mean, tokens",
        side="copies",
        heading="Sentences",
        over="samples",
        in_summary=True,
        measure=_longest_copied,
    ),
    Metric(
        name="forward_perplexity",
        meaning="forward perplexity by 5-grams",
        better="lower",
        side="quality",
        heading="Perplexity",
        over="samples",
        sizes=("references",),
        in_summary=True,
        measure=_forward_perplexity,
    ),
    Metric(
        name="reverse_perplexity",
        meaning="reverse perplexity by 5-grams",
        better="lower",
        side="diversity",
        heading="Perplexity",
        over="references",
        sizes=("hypotheses",),
        in_summary=True,
        measure=_reverse_perplexity,
    ),
    Metric(
        name="mean_length",
        meaning="mean length",
        unit="tokens",
        side="lengths",
        heading=LENGTH,
        over="samples",
        in_summary=True,
        measure=_mean_length,
    ),
    Metric(
        name="length_deviation",
        meaning="standard deviation of length",
        unit="tokens",
        side="lengths",
        heading=LENGTH,
        measure=lambda texts: Estimate(length_deviation(texts.hypotheses)),
    ),
    Metric(
        name="length_distance",
        meaning="Wasserstein distance of lengths",
        better="lower",
        side="lengths",
        heading=LENGTH,
        sizes=BOTH_SIZES,
        measure=lambda texts: Estimate(length_distance(texts.hypotheses, texts.real.references)),
    ),
    Metric(
        name="language_model_perplexity",
        meaning="perplexity by the language model",
        better="lower",
        side="quality",
        heading=FEATURES,
        over="samples",
        needs="a language model",
    ),
    Metric(
        name="language_model_perplexity_real",
        meaning="the real text's perplexity by it",
        heading=FEATURES,
        over="references",
        needs="a language model",
    ),
    Metric(
        name="frechet_distance",
        meaning="Fréchet distance of features",
        better="lower",
        side="both sides",
        heading=FEATURES,
        sizes=BOTH_SIZES,
        needs="features",
    ),
    Metric(
        name="mauve",
        meaning="MAUVE of features",
        better="higher",
        side="both sides",
        heading=FEATURES,
        sizes=BOTH_SIZES,
        needs="features",
    ),
)

EVALUATION: Mapping[str, Metric] = {metric.name: metric for metric in _OF_EVALUATION}
"""What evaluations measure, by the names that scores use."""


def _labelled(name: str, label: str, **about: Any) -> Metric:
    """Build a metric from its label, which may end with its better side: ``(lower)`` or ``(higher)``."""
    meaning, _, better = label.partition(" (")
    if better not in ("lower)", "higher)"):
        return Metric(name=name, meaning=label, **about)
    return Metric(name=name, meaning=meaning, better="lower" if better == "lower)" else "higher", **about)


_OF_TRAINING = {
    "mle/loss": "negative log-likelihood of the training batch, nats per token (lower)",
    "mle/gradient_norm": "norm of its gradient, penalty included, before clipping",
    "mle/learning_rate": "step size",
    "discriminator/loss": "cross-entropy of the training batch, nats (lower)",
    "discriminator/penalty": "what regularisation adds to the loss",
    "discriminator/accuracy": "share of the training batch that is told apart (higher)",
    "discriminator/gradient_norm": "norm of the gradient before clipping",
    "discriminator/auc_train": "AUC of training text against fresh samples (higher)",
    "discriminator/auc_held_out": "AUC of validation text against fresh samples (higher)",
    "discriminator/loss_train": "cross-entropy on training text and fresh samples, nats (lower)",
    "discriminator/loss_held_out": "cross-entropy on validation text and fresh samples, nats (lower)",
    "discriminator/accuracy_train": "accuracy on training text and fresh samples (higher)",
    "discriminator/accuracy_held_out": "accuracy on validation text and fresh samples (higher)",
    "policy/loss": "policy-gradient loss",
    "policy/entropy": "entropy of the policy, nats per token",
    "policy/kl": "KL(policy to MLE policy), nats per token",
    "policy/gradient_norm": "norm of the gradient before clipping",
    "policy/advantage_std": "standard deviation of the advantages",
    "policy/length": "mean length of the sampled sequences, tokens",
    "reward/mean": "mean reward at the last token",
    "reward/return": "mean discounted return of whole sequences",
}


def describe(labels: Mapping[str, str]) -> dict[str, Metric]:
    """Return metrics that training logs as ``group/name``, from their labels."""
    return {name: _labelled(name.rpartition("/")[2], label) for name, label in labels.items()}


METRICS: Mapping[str, Metric] = {
    **describe(_OF_TRAINING),
    **{f"evaluation/{name}": metric for name, metric in EVALUATION.items()},
}
"""All metrics as ``group/name``: the names of metrics.jsonl and TensorBoard."""


def find_metric(name: str, table: Mapping[str, Metric] = EVALUATION) -> Metric:
    """Return the metric of that name; one that the table lacks, such as a stranger's, is known by its name alone."""
    return table.get(name) or Metric(name=name, meaning=name.replace("_", " "), sizes=BOTH_SIZES)


def lower_is_better(name: str, table: Mapping[str, Metric] = EVALUATION) -> bool:
    """Return whether lower values of an evaluation's metric, named without its group, are better.

    Raises:
        ValueError: There is no such metric, or neither side is better.
    """
    if name not in table or not table[name].better:
        raise ValueError(
            f"no metric {name!r} with a better side; choose nll, jeffreys, bleu_f1_5, ms_jaccard_4 or another "
            "that tables mark (lower) or (higher)"
        )
    return table[name].lower_is_better


def check_criterion(name: str, table: Mapping[str, Metric] = EVALUATION, *, with_oracle: bool) -> None:
    """Refuse a criterion that training could not follow; ``nll`` is the negative log-likelihood of held-out text.

    Raises:
        ValueError: There is no such metric, it has no better side, or needs what there is not.
    """
    if name == "nll":
        return
    if name in ("nll_validation", "nll_test"):
        raise ValueError(f"{name} is called nll here")
    lower_is_better(name, table)
    needs = table[name].needs
    if needs == "an oracle" and not with_oracle:
        raise ValueError(f"{name} needs an oracle, which --corpus.kind oracle alone has; {CHOICE}")
    if needs and needs != "an oracle":
        raise ValueError(f"{name} needs {needs}, which training has not; {CHOICE}")


def measure_texts(texts: TextPair, table: Mapping[str, Metric] = EVALUATION) -> dict[str, Estimate]:
    """Measure every metric of text that the table has and these texts allow.

    Raises:
        ValueError: There are fewer than two generated sentences, or no references; or a stranger's metric fails.
    """
    found = {metric.name: metric.measure(texts) for metric in table.values() if metric.measure is not None}
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def load_metrics(paths: Iterable[str], flag: str) -> dict[str, Metric]:
    """Return the table of evaluations with the metrics at these import paths behind the built-in ones.

    Raises:
        ValueError: One cannot be imported, is no metric, or has a name that is taken; names the ``flag``.
    """
    table = dict(EVALUATION)
    for path in paths:
        found = load_object(path, flag)
        try:
            metric = as_metric(found)
        except ValueError as error:
            raise ValueError(f"{flag}: {path}: {error}") from error
        if metric.name in table:
            raise ValueError(f"{flag}: {path}: there is a metric {metric.name!r} already; choose another name")
        table[metric.name] = metric
    return table


def as_metric(value: object) -> Metric:
    """Return the metric that an object stands for: a :class:`Metric`, or a function of two lists of sentences.

    The function takes the generated and the real sentences, and returns one number, or one for each generated
    sentence, whose mean it then is. Its name is the metric's; the first line of its docstring says what it
    means, and may end with ``(lower)`` or ``(higher)``, the better side.

    Raises:
        ValueError: It is neither, or has no name that a column can have.
    """
    if isinstance(value, Metric):
        metric = value
    elif callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        label = (inspect.getdoc(value) or name.replace("_", " ")).splitlines()[0].rstrip(".")
        measure = partial(_measure_function, value, name)
        metric = _labelled(name, label, heading="Others", sizes=BOTH_SIZES, in_summary=True, measure=measure)
    else:
        raise ValueError(f"{value!r} is no metric: it must be a function of two lists of sentences, or a Metric")
    if not metric.name.isidentifier() or metric.name.endswith(("_error", "_low", "_high")):
        raise ValueError(
            f"{metric.name!r} cannot be the name of a metric: it must be letters, digits and _, and not end with "
            "_error, _low or _high"
        )
    return metric


def _measure_function(function: TextFunction, name: str, texts: TextPair) -> Estimate:
    """Call a stranger's function and check what it returns."""
    hypotheses, references = texts.sentences, texts.real.sentences
    try:
        found = np.asarray(function(list(hypotheses), list(references)), np.float64)
    except Exception as error:  # somebody else's function may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"metric {name}: fails on {len(hypotheses)} sentences: {reason}") from error
    if found.shape not in ((), (len(hypotheses),)):
        raise ValueError(
            f"metric {name}: gives an array {found.shape}; it must give one number, or one for each of the "
            f"{len(hypotheses)} generated sentences"
        )
    if not np.isfinite(found).all():
        raise ValueError(f"metric {name}: gives {found[~np.isfinite(found)][0]}; numbers must be finite")
    return Estimate.mean(found) if found.ndim else Estimate(float(found))
