"""All settings of an experiment: the kinds that there are, presets, layers over each other.

Built-in kinds stand in plain tables; any other is an import path ``package.module:name`` of a
:class:`seqgan.config.schema.Component`. A :class:`Framework` is a name with such tables and presets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import seqgan
from seqgan.advantages.candidates import Candidates, CandidatesSettings
from seqgan.advantages.returns import Returns, ReturnsSettings
from seqgan.advantages.rollouts import Rollouts, RolloutsSettings
from seqgan.algorithms.reinforce import Reinforce, ReinforceSettings
from seqgan.config.schema import (
    Component,
    KindSettings,
    Range,
    Settings,
    flag_name,
    flatten,
    from_settings,
    merge,
    read_toml,
    validate,
)
from seqgan.evaluation.evaluator import EvaluationSettings
from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorSettings
from seqgan.models.cnn_and_pairs import CNNAndPairsDiscriminator, CNNAndPairsDiscriminatorSettings
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings
from seqgan.models.transformer import TransformerGenerator, TransformerSettings
from seqgan.oracle.corpus import OracleCorpusSettings, draw_oracle_corpus
from seqgan.rewards.discriminator import DiscriminatorReward, DiscriminatorRewardSettings
from seqgan.runtime.tracking import TrackingSettings
from seqgan.sampling.settings import SamplingSettings
from seqgan.text import corpora
from seqgan.text.sources import DocstringsCorpusSettings
from seqgan.training.adversarial import AdversarialSettings
from seqgan.training.discriminator import (
    DiscriminatorTrainingSettings,
)
from seqgan.training.mle import MLESettings

CORPORA = {**corpora.CORPORA, "oracle": Component(OracleCorpusSettings, draw_oracle_corpus)}
GENERATORS = {
    "lstm": Component(LSTMSettings, LSTMGenerator),
    "transformer": Component(TransformerSettings, TransformerGenerator),
}
DISCRIMINATORS = {
    "cnn": Component(CNNDiscriminatorSettings, CNNDiscriminator),
    "pairs": Component(PairsDiscriminatorSettings, PairsDiscriminator),
    "cnn+pairs": Component(CNNAndPairsDiscriminatorSettings, CNNAndPairsDiscriminator),
}
REWARDS = {
    "discriminator": Component(DiscriminatorRewardSettings, DiscriminatorReward),
}
ESTIMATORS = {
    "rollouts": Component(RolloutsSettings, Rollouts),
    "candidates": Component(CandidatesSettings, Candidates),
    "returns": Component(ReturnsSettings, Returns),
}
ALGORITHMS = {"reinforce": Component(ReinforceSettings, Reinforce)}
TABLES: Mapping[str, Mapping[str, Component]] = {
    "corpus": CORPORA,
    "generator": GENERATORS,
    "discriminator": DISCRIMINATORS,
    "reward": REWARDS,
    "estimator": ESTIMATORS,
    "algorithm": ALGORITHMS,
}
ORACLE_METRICS = ("jeffreys", "kl_p_q", "kl_q_p", "nll_oracle", "jensen_shannon")
CHANGEABLE = ("device", "tracking.")  # settings that may differ when a run is resumed
AFTER_PRETRAINING = ("reward.", "estimator.", "algorithm.", "adversarial.", "evaluation.")


@dataclass(frozen=True, kw_only=True)
class ExperimentSettings:
    """All settings of an experiment."""

    seed: Annotated[int, Range(minimum=0, maximum=2**62)] = 0
    """Seed of everything random: models, order of the data, samples, rollouts."""
    device: str = "auto"
    """Where to work: cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    num_threads: Annotated[int, Range(minimum=0)] = 1
    """CPU threads; small models gain little from more, and last digits depend on it. 0 takes all cores."""
    corpus: KindSettings = field(default_factory=DocstringsCorpusSettings)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    generator: KindSettings = field(default_factory=LSTMSettings)
    mle: MLESettings = field(default_factory=MLESettings)
    discriminator: KindSettings = field(default_factory=CNNDiscriminatorSettings)
    discriminator_training: DiscriminatorTrainingSettings = field(
        default_factory=DiscriminatorTrainingSettings
    )
    reward: KindSettings = field(default_factory=DiscriminatorRewardSettings)
    estimator: KindSettings = field(default_factory=RolloutsSettings)
    algorithm: KindSettings = field(default_factory=ReinforceSettings)
    adversarial: AdversarialSettings = field(default_factory=AdversarialSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)


@dataclass(frozen=True, kw_only=True)
class Framework:
    """What a package adds to the others: its kinds, its presets and, where they differ, its settings."""

    name: str
    """The package; its ``experiment`` module tells how it is trained (:mod:`frameworks`)."""
    tables: Mapping[str, Mapping[str, Component]]
    """The kinds of every section that comes in several."""
    presets: Traversable
    """A folder of TOML files."""
    settings: type[ExperimentSettings] = ExperimentSettings
    """The settings, with this framework's defaults."""
    base: "Framework | None" = None
    """The framework whose presets its own may build on."""
    default_preset: str = "docstrings"
    """What is run where none is named."""

    def preset_names(self) -> list[str]:
        """The built-in presets."""
        names = (entry.name for entry in self.presets.iterdir())
        return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))

    def preset_settings(self, name: str) -> Settings:
        """The settings of a preset, over those of the preset that it extends.

        That is one of its own, as in ``extends = "tiny"``, or of the base, as in ``extends = "seqgan:tiny"``.

        Raises:
            ValueError: There is none of that name.
        """
        if name not in self.preset_names():
            raise ValueError(f"--preset: no {name!r}; choose {', '.join(self.preset_names())}")
        settings = read_toml(Path(str(self.presets / f"{name}.toml")))
        framework, _, extended = settings.pop("extends", "").rpartition(":")
        if not extended:
            return settings
        frameworks = {"": self} | ({} if self.base is None else {self.base.name: self.base})
        if framework not in frameworks:
            raise ValueError(
                f"preset {name}: extends {framework}:{extended}, and {framework!r} is not its base"
            )
        return merge(frameworks[framework].preset_settings(extended), settings)

    def load_config(self, *layers: Settings, source: str = "settings") -> ExperimentSettings:
        """Validated settings from nested dictionaries, later ones over earlier ones.

        Raises:
            ValueError: A name that does not exist, or a value of another type or out of range.
        """
        settings = from_settings(self.settings, merge(*layers), self.tables, source)
        validate(settings)
        return settings

    def load_preset(self, name: str, *layers: Settings) -> ExperimentSettings:
        """A preset, changed by nested dictionaries."""
        return self.load_config(self.preset_settings(name), *layers, source=f"preset {name}")

    def default_run(self, preset: str) -> Path:
        """Where a run of a preset goes unless told otherwise: runs/PRESET, or runs/NAME-PRESET on a base."""
        return Path("runs") / (preset if self.base is None else f"{self.name}-{preset}")


SEQGAN = Framework(name="seqgan", tables=TABLES, presets=resources.files(seqgan) / "experiment" / "presets")


def refuse_other_settings(
    new: Settings, old: Settings, run: Path, changeable: tuple[str, ...] = CHANGEABLE
) -> None:
    """Say which settings, apart from the ``changeable``, differ from those of an existing run.

    Raises:
        ValueError: Some do; names the first, both values, and what to do.
    """
    from_new, from_old = flatten(new), flatten(old)
    names = from_new.keys() | from_old.keys()
    for name in sorted(names, key=lambda name: (not name.endswith("kind"), name)):
        before, now = from_old.get(name), from_new.get(name)
        if before != now and not name.startswith(changeable):
            raise ValueError(
                f"{flag_name(name)}: {now} differs from {before}, with which {run} was made; "
                "leave it out to go on, or name another --run"
            )
