"""Generators beside each other: what shares a column, what differs and how sure that is, seeds."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from seqgan.evaluation.metrics import EVALUATION
from seqgan.evaluation.signature import Estimate, Interval, Score, Signature
from seqgan.experiment.measurements import Measurement
from seqgan.reports.findings import Difference
from seqgan.sampling.decoding import Decoding
from seqgan.studies.comparison import Measured, columns_of, compare_runs, differences, seed_groups
from seqgan.studies.runs import Runs
from tests.tiny_run import tiny_experiment


def listed(runs, measured):
    """As they are measured: by run and generator, with titles."""
    return [Measured(*name, runs.title(name, with_run=False), found) for name, found in measured.items()]


def measurement(name="mle-best", **values):
    estimates = {
        key: Estimate.mean(value) if isinstance(value, np.ndarray) else Estimate(value)
        for key, value in values.items()
    }
    return Measurement(
        Path("run"), name, Decoding(), Score.from_estimates(estimates, Signature(hypotheses=9)), []
    )


@pytest.fixture(scope="module", name="runs")
def prepared_runs(tmp_path_factory):
    """Three that differ in their seed, and the device; one with another reward; none is trained."""
    folder = tmp_path_factory.mktemp("comparison")
    layers = {
        "one": {},
        "two": {"seed": 1, "device": "cpu"},
        "other": {"estimator": {"control": "constant"}, "seed": 1},
        "three": {"seed": 2, "tracking": {"log_interval": 7}},
    }
    return Runs([tiny_experiment(folder / name, layer) for name, layer in layers.items()])


def test_runs_go_by_their_names_or_by_their_paths_where_those_are_not_enough(runs, tmp_path):
    assert list(runs.experiments) == ["one", "two", "other", "three"]
    found = Runs([runs.first, tiny_experiment(tmp_path / "one")]).experiments
    assert list(found) == [str(experiment.run.path) for experiment in found.values()]


def test_equal_generators_of_one_phase_share_a_column(runs):
    measured = {
        ("one", "mle-best"): measurement(bleu_4=0.1),
        ("one", "adversarial-last"): measurement(bleu_4=0.2),
        ("one", "adversarial-best"): measurement(bleu_4=0.2),
        ("two", "mle-best"): measurement(bleu_4=0.1),
        ("two", "adversarial-last"): measurement(bleu_4=0.1),  # learned nothing: still another generator
        ("one", "ngram"): measurement(bleu_4=0.3),
        ("one", "training-text"): measurement(bleu_4=0.4),
    }
    columns = columns_of(listed(runs, measured))
    assert [(column.title, column.origin) for column in columns] == [
        ("MLE", "one, two"),
        ("adversarial: last = best", "one"),
        ("adversarial", "two"),
        ("5-grams", "baseline"),
        ("training text", "baseline"),
    ]


def test_pairs_cancel_what_is_hard_for_both(runs):
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 5, 400)
    first = measurement(nll_test=hard + 0.1 + rng.normal(0, 0.1, 400), bleu_4=hard + 0.1)
    second = measurement(nll_test=hard, bleu_4=rng.permutation(hard))
    paired, unpaired = differences(first, second)
    assert (paired.metric.name, unpaired.metric.name) == ("nll_test", "bleu_4")
    assert paired.interval.value == pytest.approx(0.1, abs=0.02) and paired.verdict == "worse"
    assert paired.interval.high - paired.interval.low < 0.05
    assert unpaired.interval.value == pytest.approx(0.1, abs=1e-5) and unpaired.verdict == ""
    width = 2 * 1.96 * np.hypot(*[hard.std() / 20] * 2)
    assert unpaired.interval.high - unpaired.interval.low == pytest.approx(width, rel=0.1)
    assert differences(first, second) == [paired, unpaired]


def test_a_measurement_read_from_disk_gives_the_same_interval():
    values = np.random.default_rng(1).normal(size=50)
    kept = values.astype(np.float32).astype(np.float64)
    other = measurement(bleu_4=np.zeros(50))
    fresh, read = (differences(measurement(bleu_4=v), other) for v in (values, kept))
    assert fresh[0].interval == read[0].interval


def test_samples_of_different_numbers_are_not_compared():
    """Self-BLEU of 900 equal draws is higher than that of 90: no interval, no verdict."""
    rng = np.random.default_rng(2)
    many, few = (measurement(self_bleu_4=rng.normal(m, 0.1, n)) for m, n in ((0.5, 900), (0.2, 90)))
    few = dataclasses.replace(few, score=dataclasses.replace(few.score, signature=Signature(hypotheses=90)))
    (difference,) = differences(many, few)
    assert difference.interval is None and difference.verdict == ""
    assert difference.values == (many.score.values["self_bleu_4"], few.score.values["self_bleu_4"])
    assert differences(few, few)[0].interval is not None


@pytest.mark.parametrize(
    ("metric", "low", "high", "verdict"),
    [
        ("nll_test", -0.3, -0.1, "better"),
        ("nll_test", 0.1, 0.3, "worse"),
        ("backward_bleu_4", 0.1, 0.3, "better"),
        ("self_bleu_4", 0.1, 0.3, "worse"),
        ("bleu_4", -0.1, 0.3, ""),
        ("bleu_4", 0.0, 0.0, ""),
        ("entropy", 0.1, 0.3, "different"),
    ],
)
def test_a_verdict_needs_an_interval_without_0(metric, low, high, verdict):
    assert (
        Difference(EVALUATION[metric], (1.0, 1.0), Interval((low + high) / 2, low, high)).verdict == verdict
    )


def test_each_run_is_compared_with_its_own_start_and_with_the_first(runs):
    names = ["mle-best", "adversarial-last", "adversarial-best"]
    value = measurement(bleu_4=np.ones(3))
    measured = {(run, name): value for run in ("one", "two") for name in names}
    measured |= {("other", "mle-best"): value, ("one", "ngram"): value}
    found = compare_runs(listed(runs, measured), quiet=True)
    assert [(c.first, c.second, c.of_one_run) for c in found] == [
        ("one: adversarial", "MLE", True),
        ("two: adversarial", "MLE", True),
        ("two: adversarial", "one: adversarial", False),
        ("other: MLE", "one: adversarial", False),
    ]
    assert compare_runs(listed(runs, {("one", "mle-best"): value}), quiet=True) == []


def test_seeds_are_what_runs_may_differ_in(runs):
    measured = {
        ("one", "mle-best"): measurement(bleu_4=1.0, unique=0.5),
        ("two", "mle-best"): measurement(bleu_4=2.0),
        ("three", "mle-best"): measurement(bleu_4=3.0),
        ("one", "adversarial-last"): measurement(bleu_4=1.0),
        ("one", "ngram"): measurement(bleu_4=1.0),
    }
    (group,) = seed_groups(listed(runs, measured), runs.by_seed())
    assert group.labels == ["one", "two", "three"]
    assert list(group.spreads) == ["MLE"] and list(group.spreads["MLE"]) == ["bleu_4"]
    assert (group.spreads["MLE"]["bleu_4"].mean, group.spreads["MLE"]["bleu_4"].deviation) == (2.0, 1.0)
    assert runs.by_seed() == [{0: "one", 1: "two", 2: "three"}, {1: "other"}]
