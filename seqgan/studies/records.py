"""Runs apart from their measurements: settings, the command that makes them again, and logged rows."""

import shlex

from seqgan.config.toml import Settings
from seqgan.experiment.run_folder import RunFolder
from seqgan.reports.findings import History, RunRecord
from seqgan.runtime.tracking import read_rows

ESTIMATORS = {
    "rollouts": "Monte-Carlo rollouts, {num_rollouts} for each prefix",
    "candidates": "{num_candidates} candidates at each step, unfinished prefixes judged as if they were "
    "whole (not SeqGAN's estimator)",
    "returns": "returns of whole sequences",
    "group": "rewards of whole sequences beside others of their group",
    "gae": "a critic, with generalised advantage estimation (lambda {gae_lambda})",
}


def record_of(label: str, run: RunFolder) -> RunRecord:
    """Return what a report says of a run.

    Raises:
        ValueError: The run folder is damaged.
    """
    package, settings = run.read_package(), run.read_settings()
    path = run.path / "metrics.jsonl"
    return RunRecord(
        label,
        settings={"package": package, **settings},
        command=shlex.join([package, "train", "--config", str(run.config), "--run", f"{run.path}-again"]),
        estimator=describe_estimator(settings),
        history=History(read_rows(path) if path.exists() else []),
    )


def describe_estimator(settings: Settings) -> str:
    """Return in words how actions were judged in the adversarial phase."""
    section = settings["estimator"]
    kind = str(section["kind"])
    words = ESTIMATORS.get(kind.removeprefix("leakgan-"), kind)
    return words.format(**section)
