"""Frameworks by name, and runs of whichever framework made them."""

import importlib
from pathlib import Path

from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import RunFolder
from seqgan.experiment.settings import SEQGAN


def find_experiment(name: str) -> type[Experiment]:
    """How the framework of that name is trained: another than this one has it as NAME.experiment:EXPERIMENT.

    Raises:
        ValueError: There is no such framework.
    """
    if name == SEQGAN.name:
        return Experiment
    try:
        found = getattr(importlib.import_module(f"{name}.experiment"), "EXPERIMENT", None)
    except Exception as error:  # somebody else's module may fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"framework {name!r}: cannot import {name}.experiment: {reason}") from error
    if not (isinstance(found, type) and issubclass(found, Experiment) and found.framework.name == name):
        raise ValueError(
            f"framework {name!r}: {name}.experiment:EXPERIMENT is no Experiment of that framework"
        )
    return found


def open_run(run: Path, *, device: str | None = None) -> Experiment:
    """The experiment of an existing run folder, by the framework and with the settings it was made with.

    Raises:
        ValueError: The folder is no run, or of another version or an unknown framework, or damaged.
    """
    folder = RunFolder(run)
    name = folder.read_framework()
    try:
        experiment = find_experiment(name)
    except ValueError as error:
        raise ValueError(f"{folder.config}: {error}") from error
    return experiment.open(run, device=device)
