"""A run of seconds that goes through every phase."""

from pathlib import Path

from seqgan.config.toml import Settings
from seqgan.experiment.catalogue import SEQGAN, Catalogue
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.settings import ExperimentSettings

ROOT = Path(__file__).resolve().parents[1]
SETTINGS: Settings = {
    "mle": {"epochs": 2},
    "discriminator_training": {"refreshes": 2, "epochs": 1},
    "estimator": {"num_rollouts": 2, "lag": 0.5, "baseline": "ewma"},
    "adversarial": {"rounds": 3, "policy_steps": 2, "mle_steps": 1, "evaluation_interval": 2},
    "algorithm": {"kl_weight": 0.1},
    "evaluation": {"num_samples": 40, "num_samples_in_training": 20},
    "tracking": {"log_interval": 3},
}


def tiny_settings(*layers: Settings, catalogue: Catalogue = SEQGAN) -> ExperimentSettings:
    return catalogue.load_preset("tiny", SETTINGS, *layers)


def tiny_experiment(run: Path | None = None, *layers: Settings, catalogue: Catalogue = SEQGAN) -> Experiment:
    return Experiment(tiny_settings(*layers, catalogue=catalogue), run, catalogue=catalogue)


def flags(settings: Settings = SETTINGS, path: str = "") -> list[str]:
    """The settings as command-line flags."""
    found = []
    for key, value in settings.items():
        name = f"{path}{key.replace('_', '-')}"
        found += flags(value, f"{name}.") if isinstance(value, dict) else [f"--{name}", str(value)]
    return found


TINY = ["--preset", "tiny", *flags()]
"""The same run on the command line."""
