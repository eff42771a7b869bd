"""A run of seconds that goes through every phase."""

from pathlib import Path

from seqgan.experiment.experiment import Experiment
from seqgan.experiment.settings import SEQGAN, ExperimentSettings, Framework

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = {
    "corpus": {
        "kind": "file",
        "path": str(ROOT / "seqgan" / "text" / "tiny.txt"),
        "max_length": 16,
    },
    "mle": {"epochs": 2},
    "discriminator_training": {"refreshes": 2, "epochs": 1},
    "rollout": {"num_rollouts": 2},
    "adversarial": {"rounds": 3, "policy_steps": 2, "mle_steps": 1, "evaluation_interval": 2},
    "algorithm": {"lag": 0.5, "baseline": "ewma", "kl_weight": 0.1},
    "evaluation": {"num_samples": 40, "num_samples_in_training": 20},
    "tracking": {"log_interval": 3},
}


def tiny_config(*layers: dict, framework: Framework = SEQGAN) -> ExperimentSettings:
    return framework.load_preset("tiny", SETTINGS, *layers)


def tiny_experiment(
    run: Path | None = None, *layers: dict, experiment: type[Experiment] = Experiment
) -> Experiment:
    return experiment(tiny_config(*layers, framework=experiment.framework), run)


def flags(settings: dict = SETTINGS, path: str = "") -> list[str]:
    """The settings as command-line flags."""
    found = []
    for key, value in settings.items():
        name = f"{path}{key.replace('_', '-')}"
        found += flags(value, f"{name}.") if isinstance(value, dict) else [f"--{name}", str(value)]
    return found
