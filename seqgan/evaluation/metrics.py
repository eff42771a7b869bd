"""Every metric in one table: its name, meaning, better side, what it shows, and how it is measured of text.

Training rows, tables, reports, figures and criteria read it. A user's own metrics are put behind it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from seqgan.config.kinds import load_object
from seqgan.evaluation.bleu import bleu_f1
from seqgan.evaluation.copying import longest_copied, novelty
from seqgan.evaluation.diversity import unique_share
from seqgan.evaluation.likelihood import per_token
from seqgan.evaluation.metric import Metric, Sizes, as_metric, labelled, own_metric
from seqgan.evaluation.overlap import length_deviation, length_distance, ms_jaccard
from seqgan.evaluation.signature import Estimate, Score
from seqgan.evaluation.texts import ORDERS, TextPair

CHOICE = "choose nll, bleu_f1_5 or another"
REWARD = "reward"  # as a criterion: the mean reward of fresh samples


# Metrics of text. Each takes the texts, and an order n where there is one metric for each of ORDERS.


def _mean(values: str, texts: TextPair, n: int) -> Estimate:
    """Average BLEU scores of order n over sentences."""
    return Estimate.mean(getattr(texts.ngrams, values)[:, ORDERS.index(n)])


def _bleu_f1(texts: TextPair, n: int) -> Estimate:
    sides = (texts.ngrams.bleu, texts.ngrams.backward_bleu)
    return Estimate(bleu_f1(*(float(scores[:, ORDERS.index(n)].mean()) for scores in sides)))


def _ms_jaccard(texts: TextPair, n: int) -> Estimate:
    return ms_jaccard(texts.ngrams.similarities, n)


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
BOTH_SIZES: Sizes = ("hypotheses", "references")


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
            order=n,
            measure=partial(measure, n=n),
            **about,
        )
        for n in ORDERS
    ]


def _likelihood(name: str, meaning: str, **about: Any) -> Metric:
    return Metric(name=name, meaning=meaning, heading=LIKELIHOODS, **{"unit": NATS} | about)


_OF_EVALUATION: Sequence[Metric] = (
    _likelihood(
        "nll_oracle",
        "NLL-oracle",
        better="lower",
        side="quality",
        over="samples",
        needs="an oracle",
        in_summary=True,
    ),
    _likelihood("nll_validation", "NLL-validation", better="lower", side="diversity", over="references"),
    _likelihood("nll_test", "NLL-test", better="lower", side="diversity", over="references", in_summary=True),
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
    _likelihood(
        "jeffreys",
        "Jeffreys divergence",
        better="lower",
        side="both sides",
        needs="an oracle",
        in_summary=True,
    ),
    _likelihood(
        "jensen_shannon",
        "Jensen-Shannon of sequences",
        unit="nats",
        better="lower",
        side="both sides",
        needs="an oracle",
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
        summary=(5,),
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
        summary=(5,),
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
        summary=(5,),
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
        lambda texts, n: Estimate(texts.ngrams.distinct[n - 1]),
        better="higher",
        side="diversity",
        sizes=("hypotheses",),
        heading="{n}-grams",
    ),
    *_of_orders(
        "ms_jaccard",
        "MS-Jaccard-{n}",
        _ms_jaccard,
        better="higher",
        side="both sides",
        over="samples",
        sizes=BOTH_SIZES,
        bounds=(0.0, 1.0),
        heading="{n}-grams",
    ),
    *_of_orders(
        "ngram_js",
        "{n}-gram Jensen-Shannon",
        lambda texts, n: Estimate(texts.ngrams.divergences[n - 1]),
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
        measure=_longest_copied,
    ),
    Metric(
        name="reverse_perplexity",
        meaning="reverse perplexity by 5-grams",
        better="lower",
        side="diversity",
        heading="Perplexity",
        bounds=(1.0, math.inf),
        over="references",
        sizes=("hypotheses",),
        in_summary=True,
        measure=_reverse_perplexity,
    ),
    Metric(  # behind the reverse one, since its model stays in memory
        name="forward_perplexity",
        meaning="forward perplexity by 5-grams",
        better="lower",
        side="quality",
        heading="Perplexity",
        bounds=(1.0, math.inf),
        over="samples",
        sizes=("references",),
        measure=_forward_perplexity,
    ),
    Metric(
        name="mean_length",
        meaning="mean length",
        unit="tokens",
        side="lengths",
        heading=LENGTH,
        over="samples",
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
        name="ngram_share",
        meaning="share of n-grams in the mixture",
        heading=LIKELIHOODS,
        needs="a mixture",
    ),
    Metric(
        name="language_model_perplexity",
        meaning="perplexity by the language model",
        better="lower",
        side="quality",
        heading=FEATURES,
        bounds=(1.0, math.inf),
        over="samples",
        needs="a language model",
    ),
    Metric(
        name="language_model_perplexity_real",
        meaning="the real text's perplexity by it",
        heading=FEATURES,
        bounds=(1.0, math.inf),
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
    "policy/clip_fraction": "share of actions whose ratio is clipped",
    "policy/old_kl": "KL(policy that sampled to policy), nats per token",
    "policy/gradient_norm": "norm of the gradient before clipping",
    "policy/advantage_std": "standard deviation of the advantages",
    "policy/length": "mean length of the sampled sequences, tokens",
    f"evaluation/{REWARD}": "mean reward of fresh samples",
    "reward/mean": "mean reward at the last token",
    "preference/loss": "preference loss of the batch, nats per pair (lower)",
    "preference/margin": "mean margin of chosen over rejected sequences, in units of the loss",
    "preference/accuracy": "share of the batch's pairs whose margin is positive (higher)",
    "preference/chosen": "mean change of the chosen sequences' log-probability, nats",
    "preference/rejected": "mean change of the rejected sequences' log-probability, nats",
    "critic/loss": "mean squared error of the value function",
    "critic/explained_variance": "share of the returns' variance that the value function explains (higher)",
    "reward/return": "mean discounted return of whole sequences",
}


def describe(labels: Mapping[str, str]) -> dict[str, Metric]:
    """Return metrics that training logs as ``group/name``, from their labels."""
    return {name: labelled(name.rpartition("/")[2], label) for name, label in labels.items()}


METRICS: Mapping[str, Metric] = {
    **describe(_OF_TRAINING),
    **{f"evaluation/{m.name}": m for m in _OF_EVALUATION if m.needs in ("", "an oracle")},
}
"""The metrics in the rows of a run as ``group/name``: the names of metrics.jsonl and TensorBoard."""


def find_metric(name: str, labels: Mapping[str, str] = MappingProxyType({})) -> Metric:
    """Return an evaluation's metric; one that is the user's own is known by its label, if there is one."""
    return EVALUATION.get(name) or own_metric(name, labels.get(name, name.replace("_", " ")))


def measured_metrics(scores: Iterable[Score], *, short: bool = False) -> list[Metric]:
    """Return the metrics of these scores in the order of the table, with ``short`` those of short tables."""
    scores = list(scores)
    labels = {name: label for score in scores for name, label in score.labels.items()}
    names = dict.fromkeys(name for score in scores for name in score.values)
    ordered = [name for name in EVALUATION if name in names] + [
        name for name in names if name not in EVALUATION
    ]
    metrics = [find_metric(name, labels) for name in ordered]
    return [metric for metric in metrics if metric.in_summary or not short]


def lower_is_better(name: str, table: Mapping[str, Metric] = EVALUATION) -> bool:
    """Return whether lower values of an evaluation's metric, named without its group, are better.

    Raises:
        ValueError: There is no such metric, or neither side is better.
    """
    if name not in table or not table[name].better:
        raise ValueError(
            f"no metric {name!r} with a better side; choose nll, jeffreys, bleu_f1_5, ms_jaccard_4 or "
            "another that tables mark (lower) or (higher)"
        )
    return table[name].lower_is_better


def check_criterion(
    name: str,
    table: Mapping[str, Metric] = EVALUATION,
    *,
    with_oracle: bool,
    with_fixed_reward: bool = False,
) -> None:
    """Refuse a criterion that training could not follow; ``nll`` is that of the held-out text.

    ``reward`` is the mean reward of samples, for rewards that are the same function before and after.

    Raises:
        ValueError: There is no such metric, it has no better side, or needs what there is not.
    """
    if name == "nll":
        return
    if name in ("nll_validation", "nll_test"):
        raise ValueError(f"{name} is called nll here")
    if name == REWARD:
        if not with_fixed_reward:
            raise ValueError(f"the discriminator's reward changes as it learns; {CHOICE}")
        return
    lower_is_better(name, table)
    needs = table[name].needs
    if needs == "an oracle" and not with_oracle:
        raise ValueError(f"{name} needs an oracle, which --corpus.kind oracle alone has; {CHOICE}")
    if needs and needs != "an oracle":
        raise ValueError(f"{name} needs {needs}, which training has not; {CHOICE}")


def measure_texts(texts: TextPair, table: Mapping[str, Metric] = EVALUATION) -> dict[str, Estimate]:
    """Measure every metric of text that the table has and these texts allow.

    Raises:
        ValueError: There are fewer than two generated sentences or no references, or a user's metric fails.
    """
    if len(texts.words) < 2:
        raise ValueError(f"self-BLEU: {len(texts.words)} sentence(s); it needs at least two")
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
            raise ValueError(
                f"{flag}: {path}: there is a metric {metric.name!r} already; choose another name"
            )
        table[metric.name] = metric
    return table
