"""Runs apart from their measurements: settings, the command that makes them, and what they have logged."""

from seqgan.config.schema import Settings, to_settings
from seqgan.experiment.experiment import Experiment
from seqgan.reports.findings import History, RunRecord
from seqgan.reports.reproduction import original_config, training_command
from seqgan.runtime.tracking import read_rows

ESTIMATORS = {
    "rollouts": "Monte-Carlo rollouts, {num_rollouts} for each prefix",
    "candidates": "{num_candidates} candidates at each step, unfinished prefixes judged as if they "
    "were whole (not SeqGAN's estimator)",
    "returns": "returns of whole sequences",
}


def record_of(label: str, experiment: Experiment) -> RunRecord:
    """Return what a report says of a run.

    Raises:
        ValueError: The run folder is damaged.
    """
    settings = {"framework": experiment.framework.name, **to_settings(original_config(experiment))}
    command = training_command(experiment)
    return RunRecord(label, settings, command, describe_estimator(settings), read_history(experiment))


def describe_estimator(settings: Settings) -> str:
    """Return in words how actions were judged in the adversarial phase."""
    section = settings.get("estimator", {})
    kind = str(section.get("kind", ""))
    return ESTIMATORS.get(kind.removeprefix("leakgan-"), kind).format(**section)


def read_history(experiment: Experiment) -> History:
    """Return what a run has logged; nothing where it has not been trained.

    Raises:
        ValueError: The file is damaged.
    """
    assert experiment.run is not None
    path = experiment.run.path / "metrics.jsonl"
    try:
        rows = read_rows(path) if path.exists() else []
    except ValueError as error:
        raise ValueError(f"{path}: is damaged: {error}") from error
    return History(rows, experiment.settings.mle.keep_best)
