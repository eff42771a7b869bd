"""Findings of a study of runs: all that a report shows, measured already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seqgan.config.toml import Settings
from seqgan.evaluation.bootstrap import Spread
from seqgan.evaluation.metric import Metric
from seqgan.evaluation.signature import Interval
from seqgan.experiment.measurements import Measurement
from seqgan.reports.blocks import Cell, Sample


@dataclass(frozen=True)
class History:
    """The rows that a run has logged."""

    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class RunRecord:
    """A run apart from its measurements."""

    label: str
    settings: Settings
    """All settings that it was made with, nested."""
    command: str
    """The command that trains it again."""
    estimator: str
    """The advantage estimator, in words."""
    history: History


@dataclass(frozen=True)
class Column:
    """One generator and its measurement; runs that share the generator share the column."""

    title: str
    origin: str
    """The runs that have it, or ``baseline``."""
    measurement: Measurement


@dataclass(frozen=True)
class Difference:
    """The difference of a metric between two generators."""

    metric: Metric
    values: tuple[float, float]
    """Of the first and of the second generator."""
    interval: Interval | None
    """Of first less second, 95 %; None where the two must not be compared."""
    incomparable: str = ""
    """Why they must not be: circumstances or numbers of sentences that differ, in words."""

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``different`` where the interval excludes 0; else empty."""
        if self.interval is None or not self.interval.excludes(0):
            return ""
        if not self.metric.better:
            return "different"
        return "better" if (self.interval.value < 0) == self.metric.lower_is_better else "worse"


@dataclass(frozen=True)
class Comparison:
    """One generator less another, in every metric that is a mean over sentences."""

    first: str
    second: str
    differences: Sequence[Difference]
    of_one_run: bool = False
    """Whether the second is what the first was trained from."""


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ in their seed only."""

    labels: Sequence[str]
    spreads: Mapping[str, Mapping[str, Spread]]
    """For each generator that all of them have, mean and deviation of each metric."""


@dataclass(frozen=True)
class Curve:
    """One generator, sampled in several ways of one sort, or the one point of a fixed source."""

    label: str
    """Of the generator; one that is sampled in several sorts of ways has as many curves of that label."""
    measurements: Sequence[Measurement]
    knob: str | None
    """What is varied: temperature, top_k or top_p; None of real text and of the oracle, which are fixed."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that a report shows of one or more runs of one corpus."""

    corpus: str
    """The corpus in words."""
    runs: Sequence[RunRecord]
    columns: Sequence[Column]
    comparisons: Sequence[Comparison] = ()
    seeds: Sequence[SeedGroup] = ()
    curves: Sequence[Curve] = ()
    known: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """Published curves of NLL-oracle over NLL-test, where they belong to the corpus."""
    samples: Sequence[tuple[Cell, Sequence[Sample]]] = ()
