"""The generators of several runs beside each other: columns, differences with their intervals, seeds."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from seqgan.evaluation.bootstrap import Spread, difference_interval, over_seeds, paired_interval
from seqgan.evaluation.metrics import measured_metrics
from seqgan.evaluation.signature import Interval
from seqgan.experiment.measurements import Measurement
from seqgan.reports.findings import Column, Comparison, Difference, SeedGroup
from seqgan.runtime.seeding import derive_seed
from seqgan.studies.runs import BASELINES, Runs

MIN_ORDER = 4  # of the n-grams whose metrics are compared: the lower orders say the same, less clearly
BY_TRAINING = ("adversarial-last", "adversarial-best", "mle-best", "mle-last")  # the longest first


@dataclass(frozen=True)
class Measured:
    """A generator of a run, or a baseline under the label of the first run, with its measurement."""

    run: str
    generator: str
    title: str
    """What people call the generator, without the run."""
    measurement: Measurement

    @property
    def phase(self) -> str:
        """The phase that trained it; of a baseline its name."""
        return self.generator.partition("-")[0]


def measure_runs(runs: Runs, *, checkpoints: Sequence[str] = (), quiet: bool = False) -> list[Measured]:
    """Measure each run's MLE model and furthest generator, the best one beside the last, and the baselines.

    ``checkpoints`` are taken in the place of each run's own choice. A generator that several runs share is
    measured once.

    Raises:
        ValueError: A run has no generator, or not that checkpoint.
    """
    names = [*runs.generators(checkpoints, with_best=True), *runs.baselines()]
    different: dict[str, Measurement] = {}
    measured = []
    for name in tqdm(names, desc="measure", disable=quiet or None, leave=False):
        key = runs.fingerprint(name)
        different[key] = different.get(key) or runs.measure(name)
        own = dataclasses.replace(different[key], run=runs.folders[name[0]].path, generator=name[1])
        measured.append(Measured(*name, runs.title(name, with_run=False), own))
    return measured


def columns_of(measured: Sequence[Measured]) -> list[Column]:
    """Return one column for each generator, shared by those of one phase that have the very same values."""
    shared: dict[str, list[Measured]] = {}
    for one in measured:
        shared.setdefault(f"{one.phase} {one.measurement.score.as_json()}", []).append(one)
    return [Column(_title(same), _origin(same), same[0].measurement) for same in shared.values()]


def _title(same: Sequence[Measured]) -> str:
    """Return the generator's title; where it goes by two names, both: ``adversarial: last = best``."""
    names = list(dict.fromkeys(one.generator for one in same))
    if len(names) == 1:
        return same[0].title
    phase = same[0].phase
    return f"{phase}: {' = '.join(name.removeprefix(f'{phase}-') for name in names)}"


def _origin(same: Sequence[Measured]) -> str:
    is_baseline = any(one.generator in BASELINES for one in same)
    return "baseline" if is_baseline else ", ".join(dict.fromkeys(one.run for one in same))


def compare_runs(measured: Sequence[Measured], *, quiet: bool = False) -> list[Comparison]:
    """Compare each run's furthest generator with its own MLE model, and with the first run's furthest."""
    pairs: list[tuple[Measured, Measured]] = []
    furthest: list[Measured] = []
    for run in dict.fromkeys(one.run for one in measured):
        own = {one.generator: one for one in measured if one.run == run}
        trained = [own[name] for name in BY_TRAINING if name in own]
        furthest += trained[:1]
        pairs += [(trained[0], start) for start in trained[1:] if start.generator == "mle-best"]
    pairs += [(other, furthest[0]) for other in furthest[1:]]
    bar = tqdm(pairs, desc="compare", disable=quiet or None, leave=False)
    return [_compare(first, second) for first, second in bar]


def _compare(first: Measured, second: Measured) -> Comparison:
    of_one_run = first.run == second.run
    other = second.title if of_one_run else f"{second.run}: {second.title}"
    found = differences(first.measurement, second.measurement)
    return Comparison(f"{first.run}: {first.title}", other, found, of_one_run)


def differences(first: Measurement, second: Measurement) -> list[Difference]:
    """Return ``first - second`` by the bootstrap: paired over references, unpaired over samples.

    Where two values must not be compared (:meth:`Metric.why_incomparable`) there is no interval, hence no
    verdict.
    """
    scores = (first.score, second.score)
    found = []
    for metric in measured_metrics(scores):
        values = [_sentence_values(measurement, metric.name) for measurement in (first, second)]
        if values[0] is None or values[1] is None or (metric.order or MIN_ORDER) < MIN_ORDER:
            continue
        reason = metric.why_incomparable(*(score.signature for score in scores))
        method = paired_interval if metric.over == "references" else difference_interval
        interval = None if reason else _interval(method, metric.name, *values)
        means = (first.score.values[metric.name], second.score.values[metric.name])
        found.append(Difference(metric, means, interval, reason))
    return found


def _interval(method: Callable[..., Interval], name: str, *values: np.ndarray | None) -> Interval:
    return method(*values, rng=np.random.default_rng(derive_seed(0, "report", name)))


def _sentence_values(measurement: Measurement, name: str) -> np.ndarray | None:
    """Return them as they are kept on disk, so that fresh measurements and old ones say the same."""
    values = measurement.score.sentence_values.get(name)
    return None if values is None else values.astype(np.float32).astype(np.float64)


def seed_groups(measured: Sequence[Measured], groups: Sequence[Mapping[int, str]]) -> list[SeedGroup]:
    """Return what groups of runs that differ in their seed only reach, where they are several."""
    labels = [list(group.values()) for group in groups if len(group) > 1]
    return [SeedGroup(found, _spreads(measured, found)) for found in labels]


def _spreads(measured: Sequence[Measured], labels: Sequence[str]) -> dict[str, dict[str, Spread]]:
    """Return mean and deviation of every trained generator that all of these runs have."""
    values: dict[str, list[Mapping[str, float]]] = {}
    for one in measured:
        if one.run in labels and one.generator not in BASELINES:
            values.setdefault(one.title, []).append(one.measurement.score.values)
    return {title: over_seeds(found) for title, found in values.items() if len(found) == len(labels)}
