"""Adversarial generation of discrete sequences: SeqGAN and what grew out of it."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqgan.experiment.experiment import Experiment

__version__ = "0.2.0"


def load(run: str | Path, *, device: str | None = None) -> "Experiment":
    """Open a run folder for sampling, scoring and measuring: ``load("runs/mine").sample(10)``.

    Raises:
        ValueError: The folder is no run, of another version or an unknown package, or damaged.
    """
    # Imported here, so that the version and the command line's help cost no import of torch.
    experiment: Experiment = import_module("seqgan.experiment.experiment").open_run(run, device=device)
    return experiment
