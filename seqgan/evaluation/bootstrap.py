"""Errors of figures: over sentences by the bootstrap (Efron 1979), over seeds by their spread.

Sentence values are one for each sentence, and their mean is the figure, exactly or to first order
(:class:`seqgan.evaluation.signature.Estimate`); every resampling uses the generator of random numbers that is
handed in.
"""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from seqgan.evaluation.metrics import find_metric
from seqgan.evaluation.signature import Interval, Score

CHUNK = 2**22  # sentences drawn at once: 32 MB of places


@dataclass(frozen=True)
class Spread:
    """A metric over several runs that differ in their seed."""

    mean: float
    deviation: float
    """Sample standard deviation (divided by runs - 1); NaN for one run."""
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the mean and standard deviation of one value for each run."""
        deviation = statistics.stdev(values) if len(values) > 1 else math.nan
        return cls(statistics.fmean(values), deviation, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.deviation:.4f} ({self.runs} runs)"


@dataclass(frozen=True)
class Gain:
    """By how much a metric is better than that of the best control; more than 0 is better, less is worse."""

    control: str
    """The control whose mean is best."""
    pooled_deviation: float
    """sqrt((s_a^2 + s_c^2) / 2), of the standard deviations over seeds of both; NaN for one seed."""
    paired: Spread
    """The gains seed by seed: what the runs of one seed share, such as pre-training, cancels."""

    @property
    def value(self) -> float:
        """The difference of the means, which is the mean of the differences."""
        return self.paired.mean

    @property
    def in_deviations(self) -> float:
        """The gain divided by the pooled deviation; infinite without deviation, NaN for one seed or 0 / 0."""
        if self.pooled_deviation == 0 and self.value != 0:
            return math.copysign(math.inf, self.value)
        return self.value / self.pooled_deviation if self.pooled_deviation else math.nan


def with_intervals(
    score: Score, *, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 1000
) -> Score:
    """Return the score with a :func:`mean_interval` of every value that has sentence values; signed.

    Those of self-BLEU are too narrow: a sentence bears on the values of the others. Of MS-Jaccard and
    perplexities sentence values are linear approximations, which are coarse where a few n-grams decide; the
    reverse perplexity's are over references, and say nothing of another draw of the generated text.

    Raises:
        ValueError: As :func:`mean_interval`.
    """
    intervals = {
        name: mean_interval(values, rng=rng, confidence=confidence, resamples=resamples).within(
            *find_metric(name).bounds
        )
        for name, values in score.sentence_values.items()
    }
    signature = dataclasses.replace(score.signature, confidence=confidence, resamples=resamples)
    return dataclasses.replace(
        score, intervals=intervals, signature=signature if intervals else score.signature
    )


def mean_interval(
    values: Float[np.ndarray, "S"],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """Return the mean of sentence values, with the percentiles of its bootstrap distribution.

    All equal values give an interval of no width. It tells how another draw of *these* sentences
    would vary: neither another seed of the training nor other references are in it.

    Raises:
        ValueError: There are no values, one is not finite, or a setting is out of range.
    """
    _check(values, confidence, resamples)
    means = _resampled_means(values, rng, resamples)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def paired_interval(
    first: Float[np.ndarray, "S"],
    second: Float[np.ndarray, "U"],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """Return the mean of ``first - second``, two systems' values of the same sentences (Koehn 2004).

    Pairs stay together, so that what is hard for both cancels: for values that belong to a
    reference, such as backward BLEU and held-out log-likelihood. Generated sentences of two systems
    are no pairs; use :func:`difference_interval` for them.

    Raises:
        ValueError: The numbers of values differ; otherwise as :func:`mean_interval`.
    """
    if len(first) != len(second):
        raise ValueError(
            f"paired values: {len(first)} and {len(second)}; there must be one of each per sentence"
        )
    return mean_interval(first - second, rng=rng, confidence=confidence, resamples=resamples)


def difference_interval(
    first: Float[np.ndarray, "S"],
    second: Float[np.ndarray, "U"],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> Interval:
    """Return the difference of the means of two independent sets, such as two systems' own samples.

    Raises:
        ValueError: As :func:`mean_interval`.
    """
    for values in (first, second):
        _check(values, confidence, resamples)
    differences = _resampled_means(first, rng, resamples) - _resampled_means(second, rng, resamples)
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(first.mean() - second.mean()), float(low), float(high))


def over_seeds(runs: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return mean and standard deviation over the runs of each metric that all of them have.

    Raises:
        ValueError: There are no runs.
    """
    if not runs:
        raise ValueError("runs: there are none; a mean over seeds needs at least one")
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: Spread.of([run[name] for run in runs]) for name in names}


def gain_over_controls(
    system: Sequence[float], controls: Mapping[str, Sequence[float]], *, lower_is_better: bool
) -> Gain:
    """Return the gain in a metric over the control with the best mean, the first of equal ones.

    One value for each seed, all in the same order of seeds.

    Raises:
        ValueError: There are no controls or no seeds, their numbers differ, or a value is not finite.
    """
    if not controls or not system or any(len(values) != len(system) for values in controls.values()):
        numbers = ", ".join(f"{name} {len(values)}" for name, values in controls.items())
        raise ValueError(
            f"gain: {len(system)} values, of the controls {numbers or 'none'}; "
            "there must be a control, and one value of each for each seed"
        )
    if not all(math.isfinite(value) for values in (system, *controls.values()) for value in values):
        raise ValueError("gain: a value is not finite")
    sign = -1.0 if lower_is_better else 1.0
    best = max(controls, key=lambda name: sign * statistics.fmean(controls[name]))
    pairs = zip(system, controls[best], strict=True)
    paired = Spread.of([sign * (value - control) for value, control in pairs])
    deviations = Spread.of(system).deviation, Spread.of(controls[best]).deviation
    return Gain(best, math.hypot(*deviations) / math.sqrt(2), paired)


def _resampled_means(
    values: Float[np.ndarray, "S"], rng: np.random.Generator, resamples: int
) -> Float[np.ndarray, "R"]:
    """Draw resamples with replacement, each as large as the set, and return their means (R,)."""
    rows = max(1, CHUNK // len(values))  # resamples at once: places are (rows, S)
    means = []
    for start in range(0, resamples, rows):
        places = rng.integers(len(values), size=(min(rows, resamples - start), len(values)), dtype=np.int32)
        means.append(values[places].mean(1))
    return np.concatenate(means)


def _check(values: Float[np.ndarray, "S"], confidence: float, resamples: int) -> None:
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values: {len(values)}; there must be at least one, and all must be finite")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: {confidence} is out of range; it must be between 0 and 1")
    if resamples < 1:
        raise ValueError(f"resamples: {resamples} is out of range; it must be at least 1")
