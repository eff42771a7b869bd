"""The generators of several runs beside each other: columns, differences with their intervals, seeds."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from seqgan.config.schema import to_settings
from seqgan.config.toml import flatten
from seqgan.evaluation.bootstrap import Spread, difference_interval, over_seeds, paired_interval
from seqgan.evaluation.metrics import lower_is_better
from seqgan.evaluation.signature import Interval
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import REAL_TEXT
from seqgan.experiment.settings import CHANGEABLE
from seqgan.reports.measurements import Measurement, measure
from seqgan.reports.reproduction import original_config
from seqgan.reports.sweep import find_compared, fingerprint, title
from seqgan.runtime.seeding import derive_seed

PAIRED = ("nll_test", "kl_p_q", "backward_bleu_4", "backward_bleu_5")
"""Means over the references, each of which all generators are measured with."""
UNPAIRED = ("nll_oracle", "kl_q_p", "entropy", "bleu_4", "self_bleu_4", "bleu_5", "self_bleu_5")
"""Means over each generator's own samples."""
BY_TRAINING = ("adversarial-last", "adversarial-best", "mle-best", "mle-last")  # the longest first
BASELINES = ("ngram", REAL_TEXT, "oracle")
Name = tuple[str, str]  # of a run and of one of its generators


@dataclass(frozen=True)
class Column:
    """What one generator reaches; runs that share it, or names of one run for it, share the column."""

    title: str
    names: Sequence[Name]
    measurement: Measurement

    @property
    def origin(self) -> str:
        """The runs that have it, or what else it is."""
        if any(name in BASELINES for _, name in self.names):
            return "baseline"
        return ", ".join(dict.fromkeys(run for run, _ in self.names))


@dataclass(frozen=True)
class Difference:
    """How far a metric's mean lies from another generator's, with its 95 % interval."""

    metric: str
    interval: Interval

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``different`` where the interval excludes 0; else empty."""
        if not self.interval.excludes(0):
            return ""
        try:
            lower = lower_is_better(self.metric)
        except ValueError:
            return "different"
        return "better" if (self.interval.value < 0) == lower else "worse"


@dataclass(frozen=True)
class Comparison:
    """One generator less another, on every metric that is a mean over sentences."""

    title: str
    differences: Sequence[Difference]


def measure_runs(
    runs: Mapping[str, Experiment], *, checkpoints: Sequence[str] = (), quiet: bool = False
) -> dict[Name, Measurement]:
    """Each run's MLE model and furthest generator, the best one beside the last; then what needs no run.

    These are n-grams, the training text and, on its task, the oracle, of the first run. ``checkpoints``
    are taken in the place of each run's own choice. What was measured before is read, and what several
    runs share is measured once.

    Raises:
        ValueError: A run has no generator, or not that checkpoint.
    """
    wanted = [(label, name) for label, run in runs.items() for name in checkpoints or find_generators(run)]
    for label, name in wanted:
        runs[label].load_generator(name)  # all are there, before the first is measured
    first = next(iter(runs))
    wanted += [(first, "ngram"), (first, REAL_TEXT)]
    wanted += [(first, "oracle")] if runs[first].oracle else []
    different: dict[str, Measurement] = {}
    measured: dict[Name, Measurement] = {}
    for label, name in tqdm(dict.fromkeys(wanted), desc="measure", disable=quiet or None, leave=False):
        run, key = runs[label], fingerprint(runs[label], name)
        assert run.run is not None
        different[key] = different.get(key) or measure(run, name)
        measured[label, name] = dataclasses.replace(different[key], run=run.run.path, generator=name)
    return measured


def find_generators(experiment: Experiment) -> list[str]:
    """The MLE model, the furthest generator, and the one that its criterion kept of the last phase.

    Raises:
        ValueError: There is none yet.
    """
    assert experiment.run is not None
    names = find_compared(experiment)
    if names[-1] == "adversarial-last" and "adversarial-best" in experiment.run.find_generators():
        names.append("adversarial-best")
    return names


def columns_of(runs: Mapping[str, Experiment], measured: Mapping[Name, Measurement]) -> list[Column]:
    """One column for each generator, shared by those of one phase that have the very same values."""
    shared: dict[str, list[Name]] = {}
    for name, measurement in measured.items():
        shared.setdefault(f"{_phase(name[1])} {measurement.score.as_json()}", []).append(name)
    return [Column(_title(runs, names), names, measured[names[0]]) for names in shared.values()]


def _title(runs: Mapping[str, Experiment], names: Sequence[Name]) -> str:
    """What the generator is; where it goes by two names, both: ``adversarial: last = best``."""
    first, *others = dict.fromkeys(name for _, name in names)
    if not others:
        return title(runs[names[0][0]], first)
    whiches = (name.removeprefix(f"{_phase(first)}-") for name in (first, *others))
    return f"{_phase(first)}: {' = '.join(whiches)}"


def _phase(generator: str) -> str:
    return generator.partition("-")[0]


def compare_runs(
    runs: Mapping[str, Experiment], measured: Mapping[Name, Measurement], *, quiet: bool = False
) -> list[Comparison]:
    """Each run's furthest generator against its own MLE model, and against the first run's furthest."""
    pairs: list[tuple[Name, Name]] = []
    furthest: list[Name] = []
    for label in runs:
        own = [name for name in BY_TRAINING if (label, name) in measured]
        furthest += [(label, name) for name in own[:1]]
        if "mle-best" in own[1:]:
            pairs.append(((label, own[0]), (label, "mle-best")))
    pairs += [(other, furthest[0]) for other in furthest[1:]]
    bar = tqdm(pairs, desc="compare", disable=quiet or None, leave=False)
    return [Comparison(_minus(runs, a, b), differences(measured[a], measured[b])) for a, b in bar]


def _minus(runs: Mapping[str, Experiment], first: Name, second: Name) -> str:
    titles = [title(runs[label], name) for label, name in (first, second)]
    other_run = "" if first[0] == second[0] else f"{second[0]}: "
    return f"{first[0]}: {titles[0]} − {other_run}{titles[1]}"


def differences(first: Measurement, second: Measurement) -> list[Difference]:
    """``first - second`` by the bootstrap: paired over references, unpaired over samples."""
    found = []
    for names, interval in ((PAIRED, paired_interval), (UNPAIRED, difference_interval)):
        for name in names:
            values = [_sentence_values(measurement, name) for measurement in (first, second)]
            if values[0] is not None and values[1] is not None:
                found.append(Difference(name, _interval(interval, name, *values)))
    return found


def _interval(method: Callable[..., Interval], name: str, *values: np.ndarray | None) -> Interval:
    return method(*values, rng=np.random.default_rng(derive_seed(0, "report", name)))


def _sentence_values(measurement: Measurement, name: str) -> np.ndarray | None:
    """As they are kept on disk, so that a fresh measurement and one read again say the same."""
    values = measurement.score.sentence_values.get(name)
    return None if values is None else values.astype(np.float32).astype(np.float64)


def seed_groups(runs: Mapping[str, Experiment]) -> list[list[str]]:
    """Labels of runs that differ in their seed only, where there are several."""
    groups: dict[str, list[str]] = {}
    for label, experiment in runs.items():
        settings = flatten(to_settings(original_config(experiment)))
        kept = {name: value for name, value in settings.items() if not name.startswith((*CHANGEABLE, "seed"))}
        groups.setdefault(f"{experiment.framework.name} {kept}", []).append(label)
    return [labels for labels in groups.values() if len(labels) > 1]


def spreads(
    runs: Mapping[str, Experiment], measured: Mapping[Name, Measurement], labels: Sequence[str]
) -> dict[str, dict[str, Spread]]:
    """For each trained generator that all of these runs have, mean and standard deviation over them."""
    names = [name for run, name in measured if run == labels[0] and name not in BASELINES]
    complete = [name for name in names if all((label, name) in measured for label in labels)]
    values = {name: [measured[label, name].score.values for label in labels] for name in complete}
    return {title(runs[labels[0]], name): over_seeds(found) for name, found in values.items()}
