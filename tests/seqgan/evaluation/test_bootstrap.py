import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqgan
from seqgan.evaluation import bootstrap
from seqgan.evaluation.bootstrap import (
    difference_interval,
    gain_over_controls,
    mean_interval,
    over_seeds,
    paired_interval,
    with_intervals,
)
from seqgan.evaluation.metrics import measure_texts
from seqgan.evaluation.signature import Estimate, Score, Signature
from seqgan.evaluation.texts import RealText, TextPair
from seqgan.text.sequences import Sequences


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_interval_of_many_values_is_that_of_the_normal_distribution():
    values = rng(1).standard_normal(2000) * 3 + 5
    error = values.std() / math.sqrt(2000)
    for confidence, quantile in ((0.95, 1.960), (0.68, 0.994)):
        interval = mean_interval(values, rng=rng(), confidence=confidence, resamples=4000)
        assert interval.value == pytest.approx(values.mean())
        assert interval.low == pytest.approx(values.mean() - quantile * error, abs=0.12 * error)
        assert interval.high == pytest.approx(values.mean() + quantile * error, abs=0.12 * error)


def test_few_values_have_the_exact_bootstrap_distribution():
    """Of 0 and 1, drawn twice: mean 0, 1/2, 1 with probability 1/4, 1/2, 1/4."""
    for confidence, bounds in ((0.4, (0.5, 0.5)), (0.6, (0, 1))):  # quantiles .3 and .7, .2 and .8
        interval = mean_interval(np.array([0.0, 1.0]), rng=rng(), confidence=confidence, resamples=40_000)
        assert (interval.low, interval.high) == bounds


def test_intervals_cover_the_truth_as_often_as_they_say():
    draws = rng(3)
    covered = [
        not mean_interval(draws.exponential(size=60), rng=draws, confidence=0.9, resamples=300).excludes(1)
        for _ in range(300)
    ]
    assert 0.82 < np.mean(covered) < 0.94  # a skewed distribution, 60 values


def test_pairs_stay_together():
    hard = rng(4).standard_normal(500) * 10
    first, second = hard + 1, hard + 0.9 + rng(5).standard_normal(500) * 0.1
    paired = paired_interval(first, second, rng=rng())
    assert paired.value == pytest.approx((first - second).mean())
    assert paired.low > 0.05
    assert paired.high < 0.15
    apart = difference_interval(first, second, rng=rng())
    assert apart.value == pytest.approx(paired.value)
    assert apart.low < -0.5
    assert not apart.excludes(0)
    assert paired.excludes(0)


@pytest.mark.parametrize(("confidence", "quantile"), [(0.95, 1.960), (0.68, 0.994)])
def test_the_width_for_two_independent_sets_adds_their_variances(confidence, quantile):
    first, second = rng(6).standard_normal(400) * 3, rng(7).standard_normal(900) * 6
    options = {"rng": rng(), "confidence": confidence, "resamples": 4000}
    interval = difference_interval(first, second, **options)
    error = math.sqrt(first.var() / 400 + second.var() / 900)
    assert interval.high - interval.low == pytest.approx(2 * quantile * error, rel=0.06)
    pairs = paired_interval(first, second[:400], **options)
    error = math.sqrt((first - second[:400]).var() / 400)
    assert pairs.high - pairs.low == pytest.approx(2 * quantile * error, rel=0.06)


def test_equal_values_have_no_width_and_the_same_rng_gives_the_same_interval():
    interval = mean_interval(np.full(9, 0.3), rng=rng())
    assert (interval.low, interval.high) == pytest.approx((0.3, 0.3), abs=1e-12)
    values = rng(8).random(50)
    assert mean_interval(values, rng=rng(1)) == mean_interval(values, rng=rng(1))
    assert mean_interval(values, rng=rng(1)) != mean_interval(values, rng=rng(2))


@pytest.mark.parametrize("chunk", [120, 20])
def test_sets_larger_than_a_chunk(monkeypatch, chunk):
    values = rng(9).random(50)
    whole = mean_interval(values, rng=rng())
    monkeypatch.setattr(bootstrap, "CHUNK", chunk)
    parts = mean_interval(values, rng=rng())
    assert (parts.low, parts.high) == pytest.approx(
        (whole.low, whole.high), abs=0.2 * (whole.high - whole.low)
    )


def test_what_is_no_mean_has_intervals_by_its_linear_approximation():
    """MS-Jaccard and perplexities: about 1.96 standard errors on either side."""
    random = rng(10)
    hypotheses, references = (
        Sequences.from_lists(random.integers(0, 9, (200, 6)).tolist()) for _ in range(2)
    )
    score = Score.from_estimates(measure_texts(TextPair(hypotheses, RealText(references))), Signature())
    found = with_intervals(score, rng=rng(), resamples=4000).intervals
    for name in ("ms_jaccard_2", "ms_jaccard_4", "forward_perplexity", "reverse_perplexity", "bleu_2"):
        interval, error = found[name], score.standard_errors[name]
        assert interval.value == pytest.approx(score.values[name])
        assert interval.low == pytest.approx(interval.value - 1.96 * error, abs=0.15 * error)
        assert interval.high == pytest.approx(interval.value + 1.96 * error, abs=0.15 * error)


def test_intervals_end_where_the_metric_does():
    """The linear approximation alone goes from -.18 to .47 here, about a Jaccard similarity of 1/7."""
    hypotheses, references = [[1, 2, 3, 4], [9] * 4, [8] * 4, [7] * 4], [[1, 2, 3, 4], [5] * 4]
    texts = TextPair(Sequences.from_lists(hypotheses), RealText(Sequences.from_lists(references)))
    score = Score.from_estimates(measure_texts(texts), Signature())
    unbounded = mean_interval(score.sentence_values["ms_jaccard_4"], rng=rng())
    found = with_intervals(score, rng=rng()).intervals["ms_jaccard_4"]
    assert unbounded.low < 0
    assert (found.low, found.high) == (0, unbounded.high)


def test_over_seeds():
    spreads = over_seeds([{"a": 1.0, "b": 2.0}, {"a": 2.0}, {"a": 6.0, "b": 1.0}])
    assert spreads.keys() == {"a"}
    assert spreads["a"].mean == 3
    assert spreads["a"].deviation == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert str(spreads["a"]) == "3.0000 ± 2.6458 (3 runs)"
    assert math.isnan(over_seeds([{"a": 1.0}])["a"].deviation)


CONTROLS = {"spread": [2.0, 4.0, 6.0], "steady": [5.0, 5.0, 5.0]}


def test_the_gain_is_over_the_control_that_is_best_on_that_side():
    """Worked by hand: means 2, 4 and 5; deviations 1, 2 and 0."""
    lower = gain_over_controls([1.0, 2.0, 3.0], CONTROLS, lower_is_better=True)
    assert (lower.control, lower.value) == ("spread", 2)
    assert lower.pooled_deviation == pytest.approx(1.5811388)  # of 1 and 2: sqrt(5 / 2)
    assert lower.in_deviations == pytest.approx(1.2649111)
    assert (lower.paired.mean, lower.paired.deviation, lower.paired.runs) == (2, 1, 3)  # 1, 2, 3
    higher = gain_over_controls([1.0, 2.0, 3.0], CONTROLS, lower_is_better=False)
    assert (higher.control, higher.value) == ("steady", -3)
    assert higher.pooled_deviation == pytest.approx(0.70710678)
    assert higher.in_deviations == pytest.approx(-4.2426407)
    assert (higher.paired.mean, higher.paired.deviation) == (-3, 1)


def test_what_the_runs_of_a_seed_share_cancels_in_pairs_only():
    gain = gain_over_controls([11.0, 52.0, 93.0], {"control": [10.0, 50.0, 90.0]}, lower_is_better=False)
    assert (gain.paired.mean, gain.paired.deviation) == (2, 1)
    assert gain.pooled_deviation > 40
    assert gain.in_deviations < 0.05


@given(
    st.lists(st.tuples(*[st.floats(-9, 9)] * 3), min_size=2, max_size=6),
    st.booleans(),
)
def test_the_other_side_of_the_opposite_values_is_the_same_gain(rows, lower):
    system, first, second = ([row[i] for row in rows] for i in range(3))
    gain = gain_over_controls(system, {"a": first, "b": second}, lower_is_better=lower)
    opposite = gain_over_controls(
        [-v for v in system], {"a": [-v for v in first], "b": [-v for v in second]}, lower_is_better=not lower
    )
    assert gain == opposite
    smallest = min(
        gain_over_controls(system, {"c": values}, lower_is_better=lower).value for values in (first, second)
    )
    assert gain.value == pytest.approx(smallest, abs=1e-12)


def test_one_seed_or_no_deviation():
    one = gain_over_controls([1.0], {"a": [2.0], "b": [1.5]}, lower_is_better=True)
    assert (one.control, one.value) == ("b", 0.5)
    assert all(math.isnan(v) for v in (one.pooled_deviation, one.in_deviations, one.paired.deviation))
    for value, expected in ((2.0, math.inf), (0.5, -math.inf), (1.0, math.nan)):
        gain = gain_over_controls([value] * 2, {"a": [1.0, 1.0]}, lower_is_better=False)
        assert gain.in_deviations == pytest.approx(expected, nan_ok=True)


def test_wrong_use_is_named():
    good = np.ones(3)
    for values in (np.zeros(0), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="values: "):
            mean_interval(values, rng=rng())
    with pytest.raises(ValueError, match="confidence: 1"):
        mean_interval(good, rng=rng(), confidence=1.0)
    with pytest.raises(ValueError, match="resamples: 0"):
        difference_interval(good, good, rng=rng(), resamples=0)
    with pytest.raises(ValueError, match="paired values: 3 and 2"):
        paired_interval(good, np.ones(2), rng=rng())
    with pytest.raises(ValueError, match="runs: there are none"):
        over_seeds([])
    for system, controls in (([], {"a": []}), ([1.0], {}), ([1.0, 2.0], {"a": [1.0]})):
        with pytest.raises(ValueError, match="gain: .* one value of each for each seed"):
            gain_over_controls(system, controls, lower_is_better=True)
    with pytest.raises(ValueError, match="gain: a value is not finite"):
        gain_over_controls([1.0], {"a": [math.nan]}, lower_is_better=True)


def test_the_intervals_of_a_score_are_signed():
    """Those of means over sentences alone; the score itself stays as it is."""
    values = rng(3).standard_normal(80)
    estimates = {"bleu_2": Estimate.mean(values), "unique": Estimate(0.5)}
    score = Score.from_estimates(estimates, Signature(hypotheses=80))
    found = with_intervals(score, rng=rng(), confidence=0.9, resamples=500)
    assert found.intervals == {"bleu_2": mean_interval(values, rng=rng(), confidence=0.9, resamples=500)}
    assert str(found.signature) == f"hypotheses:80|confidence:0.9|resamples:500|version:{seqgan.__version__}"
    assert Signature.parse(str(found.signature)) == found.signature
    assert found.as_json() == score.as_json() | {
        "bleu_2_low": found.intervals["bleu_2"].low,
        "bleu_2_high": found.intervals["bleu_2"].high,
        "signature": str(found.signature),
    }
    assert score.intervals == {}
