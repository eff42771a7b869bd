"""The generators of several runs beside each other: columns, differences with their intervals, seeds."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from seqgan.config.schema import flatten
from seqgan.evaluation.bootstrap import Spread, difference_interval, over_seeds, paired_interval
from seqgan.evaluation.signature import Interval
from seqgan.experiment.measurements import Measurement
from seqgan.experiment.settings import CHANGEABLE
from seqgan.reports.findings import Column, Comparison, Difference, RunRecord, SeedGroup
from seqgan.runtime.seeding import derive_seed
from seqgan.studies.runs import BASELINES, Name, Runs, path_of

PAIRED = ("nll_test", "kl_p_q", "backward_bleu_4", "backward_bleu_5")
"""Means over the references, each of which all generators are measured with."""
UNPAIRED = ("nll_oracle", "kl_q_p", "entropy", "bleu_4", "self_bleu_4", "bleu_5", "self_bleu_5")
"""Means over each generator's own samples."""
BY_TRAINING = ("adversarial-last", "adversarial-best", "mle-best", "mle-last")  # the longest first
Measured = Mapping[Name, Measurement]


def measure_runs(
    runs: Runs, *, checkpoints: Sequence[str] = (), quiet: bool = False
) -> dict[Name, Measurement]:
    """Measure each run's MLE model and furthest generator, the best one beside the last, and the baselines.

    ``checkpoints`` are taken in the place of each run's own choice. A generator that several runs share is
    measured once.

    Raises:
        ValueError: A run has no generator, or not that checkpoint.
    """
    wanted = runs.generators(checkpoints)
    if not checkpoints:
        wanted = [name for found in wanted for name in _with_best(runs, found)]
    different: dict[str, Measurement] = {}
    measured: dict[Name, Measurement] = {}
    bar = tqdm([*wanted, *runs.baselines()], desc="measure", disable=quiet or None, leave=False)
    for name in bar:
        key, run = runs.fingerprint(name), path_of(runs.experiments[name[0]])
        different[key] = different.get(key) or runs.measure(name)
        measured[name] = dataclasses.replace(different[key], run=run, generator=name[1])
    return measured


def _with_best(runs: Runs, name: Name) -> list[Name]:
    """Return the generator and, beside the last adversarial one, the best by its criterion."""
    best = (name[0], "adversarial-best")
    folder = runs.experiments[name[0]].run
    assert folder is not None
    has_best = name[1] == "adversarial-last" and best[1] in folder.find_generators()
    return [name, best] if has_best else [name]


def columns_of(runs: Runs, measured: Measured) -> list[Column]:
    """Return one column for each generator, shared by those of one phase that have the very same values."""
    shared: dict[str, list[Name]] = {}
    for name, measurement in measured.items():
        shared.setdefault(f"{_phase(name)} {measurement.score.as_json()}", []).append(name)
    return [Column(_title(runs, names), _origin(names), measured[names[0]]) for names in shared.values()]


def _title(runs: Runs, names: Sequence[Name]) -> str:
    """Return what the generator is; where it goes by two names, both: ``adversarial: last = best``."""
    own = list(dict.fromkeys(name for _, name in names))
    if len(own) == 1:
        return runs.title(names[0], with_run=False)
    phase = _phase(names[0])
    return f"{phase}: {' = '.join(name.removeprefix(f'{phase}-') for name in own)}"


def _origin(names: Sequence[Name]) -> str:
    if any(name in BASELINES for _, name in names):
        return "baseline"
    return ", ".join(dict.fromkeys(run for run, _ in names))


def _phase(name: Name) -> str:
    return name[1].partition("-")[0]


def compare_runs(runs: Runs, measured: Measured, *, quiet: bool = False) -> list[Comparison]:
    """Compare each run's furthest generator with its own MLE model, and with the first run's furthest."""
    pairs: list[tuple[Name, Name]] = []
    furthest: list[Name] = []
    for label in runs.experiments:
        own = [(label, name) for name in BY_TRAINING if (label, name) in measured]
        furthest += own[:1]
        pairs += [(own[0], start) for start in own[1:] if start[1] == "mle-best"]
    pairs += [(other, furthest[0]) for other in furthest[1:]]
    bar = tqdm(pairs, desc="compare", disable=quiet or None, leave=False)
    return [
        Comparison(
            runs.title(first, with_run=True),
            runs.title(second, with_run=first[0] != second[0]),
            differences(measured[first], measured[second]),
            of_one_run=first[0] == second[0],
        )
        for first, second in bar
    ]


def differences(first: Measurement, second: Measurement) -> list[Difference]:
    """Return ``first - second`` by the bootstrap: paired over references, unpaired over samples.

    Most metrics of text depend on the number of samples: where it differs there are no intervals, hence no
    verdicts.
    """
    found = []
    sizes = [measurement.score.signature.hypotheses for measurement in (first, second)]
    for names, method in ((PAIRED, paired_interval), (UNPAIRED, difference_interval)):
        for name in names:
            values = [_sentence_values(measurement, name) for measurement in (first, second)]
            if values[0] is not None and values[1] is not None:
                interval = _interval(method, name, *values) if sizes[0] == sizes[1] else None
                means = (first.score.values[name], second.score.values[name])
                found.append(Difference(name, means, interval))
    return found


def _interval(method: Callable[..., Interval], name: str, *values: np.ndarray | None) -> Interval:
    return method(*values, rng=np.random.default_rng(derive_seed(0, "report", name)))


def _sentence_values(measurement: Measurement, name: str) -> np.ndarray | None:
    """Return them as they are kept on disk, so that fresh measurements and old ones say the same."""
    values = measurement.score.sentence_values.get(name)
    return None if values is None else values.astype(np.float32).astype(np.float64)


def seed_groups(runs: Runs, measured: Measured, records: Sequence[RunRecord]) -> list[SeedGroup]:
    """Return the groups of runs that differ in their seed only, where there are several."""
    groups: dict[str, list[str]] = {}
    for record in records:
        settings = flatten(record.settings)
        kept = {name: value for name, value in settings.items() if not name.startswith((*CHANGEABLE, "seed"))}
        groups.setdefault(str(kept), []).append(record.label)
    return [
        SeedGroup(labels, _spreads(runs, measured, labels)) for labels in groups.values() if len(labels) > 1
    ]


def _spreads(runs: Runs, measured: Measured, labels: Sequence[str]) -> dict[str, dict[str, Spread]]:
    """Return mean and deviation of every trained generator that all of these runs have."""
    names = [name for run, name in measured if run == labels[0] and name not in BASELINES]
    complete = [name for name in names if all((label, name) in measured for label in labels)]
    return {
        runs.title((labels[0], name), with_run=False): over_seeds(
            [measured[label, name].score.values for label in labels]
        )
        for name in complete
    }
