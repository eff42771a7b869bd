"""The kinds and presets of a package: tables of names and import paths, and a folder of TOML files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import seqgan
from seqgan.config.schema import Tables, from_settings, validate
from seqgan.config.toml import Settings, merge, read_toml
from seqgan.experiment.settings import ExperimentSettings


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What a package adds: kinds, by name and import path, and presets."""

    name: str
    """The package, which is also the name of its command."""
    kinds: Tables
    """The kinds of every section that comes in several."""
    presets: Traversable
    """A folder of TOML files."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """The kind of a section where no preset, file or flag names one."""
    base: "Catalogue | None" = None
    """The catalogue whose presets its own may extend."""
    default_preset: str = "docstrings"

    def preset_names(self) -> list[str]:
        """Return the names of the presets."""
        names = (entry.name for entry in self.presets.iterdir())
        return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))

    def preset_meanings(self) -> dict[str, str]:
        """Return for each preset what it is for: the comment that its file begins with."""
        return {name: _first_comment(self._preset_path(name)) for name in self.preset_names()}

    def preset_settings(self, name: str) -> Settings:
        """Return the settings of a preset, over those of the preset that it extends.

        That is one of its own, as in ``extends = "tiny"``, or of the base, as in ``extends = "seqgan:tiny"``.

        Raises:
            ValueError: There is none of that name.
        """
        if name not in self.preset_names():
            raise ValueError(f"--preset: no {name!r}; choose {', '.join(self.preset_names())}")
        settings = read_toml(self._preset_path(name))
        package, _, extended = settings.pop("extends", "").rpartition(":")
        if not extended:
            return settings
        catalogues = {"": self} | ({} if self.base is None else {self.base.name: self.base})
        if package not in catalogues:
            raise ValueError(f"preset {name}: extends {package}:{extended}, and {package!r} is not its base")
        return merge(catalogues[package].preset_settings(extended), settings)

    def load(self, *layers: Settings, source: str = "settings", lenient: bool = False) -> ExperimentSettings:
        """Build validated settings from nested dictionaries, later ones over earlier ones.

        With ``lenient`` a kind that cannot be imported is no error before something asks for it.

        Raises:
            ValueError: A name that does not exist, or a value of another type or out of range.
        """
        kinds: Settings = {section: {"kind": kind} for section, kind in self.defaults.items()}
        merged = merge(kinds, *layers)
        tables = {**self.kinds, "rewards": self.kinds["reward"]}
        settings = from_settings(ExperimentSettings, merged, tables, source, lenient=lenient)
        validate(settings)
        return settings

    def load_preset(self, name: str, *layers: Settings) -> ExperimentSettings:
        """Build the settings of a preset, changed by nested dictionaries."""
        return self.load(self.preset_settings(name), *layers, source=f"preset {name}")

    def default_run(self, preset: str) -> Path:
        """Return where a run of a preset goes by default: runs/PRESET, or runs/NAME-PRESET on a base."""
        return Path("runs") / (preset if self.base is None else f"{self.name}-{preset}")

    def _preset_path(self, name: str) -> Path:
        return Path(str(self.presets / f"{name}.toml"))


def _first_comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


SEQGAN = Catalogue(
    name="seqgan",
    presets=resources.files(seqgan) / "experiment" / "presets",
    kinds={
        "corpus": {
            "file": "seqgan.text.files_corpus:prepare_files",
            "table": "seqgan.text.table_corpus:prepare_table",
            "docstrings": "seqgan.text.docstrings_corpus:prepare_docstrings",
            "coco": "seqgan.text.coco_corpus:prepare_coco",
            "tiny": "seqgan.text.tiny_corpus:prepare_tiny",
            "oracle": "seqgan.oracle.corpus:draw_oracle_corpus",
        },
        "generator": {
            "lstm": "seqgan.models.lstm:LSTMGenerator",
            "transformer": "seqgan.models.transformer:TransformerGenerator",
        },
        "mle": {"maximum-likelihood": "seqgan.training.mle:MLETrainer"},
        "discriminator": {
            "cnn": "seqgan.models.cnn:CNNDiscriminator",
            "pairs": "seqgan.models.pairs:PairsDiscriminator",
            "cnn+pairs": "seqgan.models.cnn_and_pairs:CNNAndPairsDiscriminator",
        },
        "reward": {
            "discriminator": "seqgan.rewards.discriminator:DiscriminatorReward",
            "bleu": "seqgan.rewards.bleu:BleuReward",
            "distinct": "seqgan.rewards.distinct:DistinctReward",
            "length": "seqgan.rewards.length:LengthReward",
            "oracle": "seqgan.rewards.oracle:OracleReward",
            "pattern": "seqgan.rewards.pattern:PatternReward",
        },
        "estimator": {
            "rollouts": "seqgan.advantages.rollouts:Rollouts",
            "candidates": "seqgan.advantages.candidates:Candidates",
            "returns": "seqgan.advantages.returns:Returns",
            "group": "seqgan.advantages.group:Group",
            "gae": "seqgan.advantages.gae:GAE",
        },
        "algorithm": {
            "reinforce": "seqgan.algorithms.reinforce:Reinforce",
            "ppo": "seqgan.algorithms.ppo:PPO",
            "dpo": "seqgan.algorithms.dpo:DPO",
        },
    },
    defaults={
        "corpus": "docstrings",
        "generator": "lstm",
        "mle": "maximum-likelihood",
        "discriminator": "cnn",
        "reward": "discriminator",
        "estimator": "rollouts",
        "algorithm": "reinforce",
    },
)


def find_catalogue(name: str) -> Catalogue:
    """Return the catalogue of the package of that name: its ``CATALOGUE``, in its module ``catalogue``.

    Raises:
        ValueError: There is no such package, or it has none.
    """
    if name == SEQGAN.name:
        return SEQGAN
    try:
        found: Any = import_module(f"{name}.catalogue").CATALOGUE
    except Exception as error:  # somebody else's module may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"package {name!r}: cannot import {name}.catalogue:CATALOGUE: {reason}") from error
    if not isinstance(found, Catalogue) or found.name != name:
        raise ValueError(f"package {name!r}: {name}.catalogue:CATALOGUE is no Catalogue of that name")
    return found
