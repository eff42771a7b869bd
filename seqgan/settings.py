"""All settings of an experiment: the kinds that there are, presets, layers over each other.

Built-in kinds stand in plain tables; any other is an import path ``package.module:name`` of a
:class:`seqgan.config.Component`.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, cast

import torch

import seqgan
from seqgan.algorithms.reinforce import Reinforce, ReinforceConfig
from seqgan.config import (
    Component,
    ComponentConfig,
    Range,
    Settings,
    find_component,
    flag_name,
    flatten,
    from_settings,
    merge,
    read_toml,
    to_settings,
    to_toml,
    validate,
)
from seqgan.evaluation.evaluator import EvaluationConfig
from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorConfig
from seqgan.models.cnn_and_pairs import CNNAndPairsDiscriminator, CNNAndPairsDiscriminatorConfig
from seqgan.models.lstm import LSTMConfig, LSTMGenerator
from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorConfig
from seqgan.models.transformer import TransformerConfig, TransformerGenerator
from seqgan.oracle_corpus import OracleCorpusConfig, draw_oracle_corpus
from seqgan.rewards.reward import DiscriminatorReward, DiscriminatorRewardConfig
from seqgan.rewards.rollout import RolloutConfig
from seqgan.text import corpora
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.sources import DocstringsCorpusConfig
from seqgan.tracking import TrackingConfig
from seqgan.training.adversarial import AdversarialConfig
from seqgan.training.discriminator import (
    DiscriminatorTrainingConfig,
)
from seqgan.training.mle import MLEConfig

CORPORA = {**corpora.CORPORA, "oracle": Component(OracleCorpusConfig, draw_oracle_corpus)}
GENERATORS = {
    "lstm": Component(LSTMConfig, LSTMGenerator),
    "transformer": Component(TransformerConfig, TransformerGenerator),
}
DISCRIMINATORS = {
    "cnn": Component(CNNDiscriminatorConfig, CNNDiscriminator),
    "pairs": Component(PairsDiscriminatorConfig, PairsDiscriminator),
    "cnn+pairs": Component(CNNAndPairsDiscriminatorConfig, CNNAndPairsDiscriminator),
}
REWARDS = {"discriminator": Component(DiscriminatorRewardConfig, DiscriminatorReward)}
ALGORITHMS = {"reinforce": Component(ReinforceConfig, Reinforce)}
TABLES: Mapping[str, Mapping[str, Component]] = {
    "corpus": CORPORA,
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
    "reward": REWARDS,
    "algorithm": ALGORITHMS,
}
PRESETS = resources.files(seqgan) / "presets"
ORACLE_METRICS = ("jeffreys", "kl_p_q", "kl_q_p", "nll_oracle")
CHANGEABLE = ("device", "tracking.")  # settings that may differ when a run is resumed


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """All settings of an experiment."""

    seed: Annotated[int, Range(minimum=0, maximum=2**62)] = 0
    """Seed of everything random: models, order of the data, samples, rollouts."""
    device: str = "auto"
    """Where to work: cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    num_threads: Annotated[int, Range(minimum=0)] = 1
    """CPU threads; small models gain little from more, and last digits depend on it. 0 takes all cores."""
    corpus: ComponentConfig = field(default_factory=DocstringsCorpusConfig)
    generator: ComponentConfig = field(default_factory=LSTMConfig)
    mle: MLEConfig = field(default_factory=MLEConfig)
    discriminator: ComponentConfig = field(default_factory=CNNDiscriminatorConfig)
    discriminator_training: DiscriminatorTrainingConfig = field(default_factory=DiscriminatorTrainingConfig)
    reward: ComponentConfig = field(default_factory=DiscriminatorRewardConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    algorithm: ComponentConfig = field(default_factory=ReinforceConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


def preset_names() -> list[str]:
    """The built-in presets."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in PRESETS.iterdir() if entry.name.endswith(".toml")
    )


def preset_settings(name: str) -> Settings:
    """The settings of a preset, over those of the preset that it extends.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in preset_names():
        raise ValueError(f"--preset: no {name!r}; choose {', '.join(preset_names())}")
    settings = read_toml(Path(str(PRESETS / f"{name}.toml")))
    base = settings.pop("extends", None)
    return settings if base is None else merge(preset_settings(base), settings)


def load_config(*layers: Settings, source: str = "settings") -> ExperimentConfig:
    """Validated settings from nested dictionaries, later ones over earlier ones.

    Raises:
        ValueError: A name that does not exist, or a value of another type or out of range.
    """
    config = from_settings(ExperimentConfig, merge(*layers), TABLES, source)
    validate(config)
    return config


def load_preset(name: str, *layers: Settings) -> ExperimentConfig:
    """A preset, changed by nested dictionaries."""
    return load_config(preset_settings(name), *layers, source=f"preset {name}")


def find_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: It is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"--device: no {name!r}; choose cpu, cuda, cuda:N or auto")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"--device: {name} is not there ({torch.cuda.device_count()} CUDA devices); choose cpu"
        )
    return device


def prepare_corpus(config: ComponentConfig, cache: Path | None = None) -> PreparedCorpus:
    """The corpus that the settings describe, read from ``cache`` where it was prepared before.

    Raises:
        ValueError: Its text or its settings cannot be used; names the file or flag.
    """
    build = find_component(config.kind, CORPORA, "corpus.kind").build
    if cache is None or config.kind not in CORPORA:
        return cast(PreparedCorpus, build(config))
    folder = cache / f"{config.kind}-{_corpus_key(config)}"
    if (folder / "corpus.json").exists():
        return PreparedCorpus.load(folder)
    corpus = cast(PreparedCorpus, build(config))
    corpus.save(folder)
    return corpus


def _corpus_key(config: ComponentConfig) -> str:
    """Changes with the settings, the content of the files that they name, and what reads them."""
    settings = to_settings(config)
    digest = hashlib.sha256(f"{to_toml(settings)}{seqgan.__version__}{sys.version}".encode())
    for path in (value for value in settings.values() if isinstance(value, Path)):
        files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
        for file in (file for file in files if file.is_file()):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def refuse_other_settings(new: Settings, old: Settings, run: Path) -> None:
    """Say which settings differ from those of an existing run.

    Raises:
        ValueError: Some do; names the first, both values, and what to do.
    """
    from_new, from_old = flatten(new), flatten(old)
    names = from_new.keys() | from_old.keys()
    for name in sorted(names, key=lambda name: (not name.endswith("kind"), name)):
        before, now = from_old.get(name), from_new.get(name)
        if before != now and not name.startswith(CHANGEABLE):
            raise ValueError(
                f"{flag_name(name)}: {now} differs from {before}, with which {run} was made; "
                "leave it out to go on, or name another --run"
            )
