"""The beginning of a report: sentences that follow from the findings, and no verdict where there is none."""

from pathlib import Path

import pytest

from seqgan.evaluation.bootstrap import Spread
from seqgan.evaluation.metrics import EVALUATION
from seqgan.evaluation.signature import Interval, Score, Signature
from seqgan.experiment.measurements import Measurement
from seqgan.reports.findings import Column, Comparison, Difference, Findings, SeedGroup
from seqgan.reports.overview import overview
from seqgan.sampling.decoding import Decoding


def difference(metric, first, second, width=0.01):
    value = first - second
    return Difference(EVALUATION[metric], (first, second), Interval(value, value - width, value + width))


def sentences(*comparisons, seeds=(), columns=()):
    findings = Findings(corpus="", runs=[], columns=columns, comparisons=comparisons, seeds=seeds)
    return [block.text for block in overview(findings, None)]


def test_verdicts_name_metrics_and_both_values():
    found = [
        difference("nll_test", 4.5, 4.7),
        difference("bleu_5", 0.300, 0.305),
        difference("entropy", 3.0, 4.0),  # different, but neither direction is better
    ]
    text, caveat = sentences(Comparison("one: adversarial", "MLE", found, of_one_run=True))
    assert text == (
        "one: adversarial, against the MLE model of the same run: better in NLL-test (4.5000 against "
        "4.7000); in 1 of 3 metrics they are not told apart."
    )
    assert caveat.startswith("Verdicts rest on 95 % intervals over sentences")


def test_quality_that_was_bought_with_diversity_is_said():
    cooled = [difference("bleu_5", 0.4, 0.3), difference("self_bleu_5", 0.6, 0.4)]
    text, _ = sentences(Comparison("one: adversarial", "MLE", cooled, of_one_run=True))
    assert text.endswith("Quality was bought with diversity: judge by the metrics of both sides.")
    both = [difference("bleu_5", 0.4, 0.3), difference("backward_bleu_5", 0.4, 0.3)]
    text, _ = sentences(Comparison("one: adversarial", "MLE", both, of_one_run=True))
    assert "bought" not in text


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([difference("bleu_5", 0.300, 0.305)], "no difference; every interval holds 0"),
        (
            [Difference(EVALUATION["bleu_5"], (0.5, 0.3), None)],
            "different circumstances, so nothing is compared",
        ),
    ],
)
def test_without_a_verdict_nothing_is_called_better(found, words):
    text, _ = sentences(Comparison("one: adversarial", "MLE", found, of_one_run=True))
    assert words in text and "better in" not in text and "worse in" not in text


def test_seeds_come_first_with_what_their_deviation_means():
    spreads = {
        "MLE": {"nll_test": Spread(4.7, 0.01, 3)},
        "adversarial": {"nll_test": Spread(4.6, 0.02, 3)},
    }
    text, *_ = sentences(
        Comparison("a: adversarial", "MLE", [difference("nll_test", 4.5, 4.7)], of_one_run=True),
        seeds=[SeedGroup(["a", "b", "c"], spreads)],
    )
    assert text.startswith(
        "a, b, c (3 seeds): adversarial training moved NLL-test from 4.7000 ± 0.0100 to 4.6000 ± 0.0200."
    )
    assert "training seeds on one draw of data" in text


def test_many_runs_are_cut_short_and_other_comparisons_left_to_the_tables():
    own = Comparison("x: adversarial", "MLE", [difference("nll_test", 4.5, 4.7)], of_one_run=True)
    other = Comparison("y: adversarial", "x: adversarial", [difference("nll_test", 4.5, 4.7)])
    found = sentences(*[own] * 6, other)
    assert len(found) == 4 + 1 + 1 and "2 more runs stand in the tables below." in found


def test_what_was_not_trained_further_is_described():
    score = Score({"nll_test": 4.7, "bleu_5": 0.3}, Signature())
    column = Column("MLE", "one", Measurement(Path("one"), "mle-best", Decoding(), score, []))
    assert sentences(columns=[column]) == [
        "Nothing was trained beyond these generators, which reach: "
        "MLE (one) NLL-test 4.7000 and BLEU-5 0.3000."
    ]


@pytest.mark.parametrize(
    ("ngrams", "said"),
    [
        ({"nll_test": 4.65, "bleu_f1_5": 0.25}, "in NLL-test (4.6500 against 4.6600): there is more"),
        ({"nll_test": 4.65, "bleu_f1_5": 0.35}, "in NLL-test (4.6500 against 4.6600) and BLEU-5 F1"),
        ({"nll_test": 4.66, "bleu_f1_5": 0.3}, None),  # as good is not better
        ({"nll_test": 4.68, "bleu_f1_5": 0.28, "bleu_5": 0.9}, None),
        ({"bleu_5": 0.9}, None),
    ],
)
def test_n_grams_that_are_better_than_every_generator_are_named(ngrams, said):
    values = {
        "mle-best": {"nll_test": 4.7, "bleu_f1_5": 0.3, "bleu_5": 0.3},
        "adversarial-last": {"nll_test": 4.66, "bleu_f1_5": 0.27, "bleu_5": 0.3},
        "ngram": ngrams,
    }
    columns = [
        Column(
            "5-grams" if name == "ngram" else name,
            "baseline" if name == "ngram" else "one",
            Measurement(Path("one"), name, Decoding(), Score(found, Signature()), []),
        )
        for name, found in values.items()
    ]
    comparison = Comparison("one: adversarial", "MLE", [difference("nll_test", 4.66, 4.7)], of_one_run=True)
    text = sentences(comparison, columns=columns)[-1]
    if said is None:
        assert "5-grams" not in text
    else:
        assert text.startswith("5-grams of the training text") and said in text
