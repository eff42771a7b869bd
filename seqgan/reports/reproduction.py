"""The command that makes a run again: the preset nearest to its settings, and flags for the rest."""

import shlex
from typing import Any

from seqgan.config.schema import flag_name, to_settings
from seqgan.config.toml import flatten
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.settings import ExperimentSettings, Framework


def original_config(experiment: Experiment) -> ExperimentSettings:
    """The settings that a run was made with, whatever device it has been opened on.

    Raises:
        ValueError: The run folder is damaged.
    """
    assert experiment.run is not None
    framework = experiment.framework
    settings = experiment.run.read_settings(framework.name)
    return framework.load_config(settings, source=str(experiment.run.config))


def training_command(experiment: Experiment) -> str:
    """What to type to train the run again; quoted for a POSIX shell.

    What it took over from another run's pre-training, the same settings make too.
    """
    assert experiment.run is not None
    framework, config = experiment.framework, original_config(experiment)
    flags = {preset: flags_from(preset, framework, config) for preset in framework.preset_names()}
    preset = min(flags, key=lambda name: len(flags[name]))
    words = [framework.name, "train", "--preset", preset, *flags[preset]]
    return shlex.join([*words, *_flag("run", experiment.run.path)])


def flags_from(preset: str, framework: Framework, config: ExperimentSettings) -> list[str]:
    """The words of a command line that turn a preset into ``config``, those that change kinds first."""
    wanted, plain = flatten(to_settings(config)), flatten(to_settings(framework.load_preset(preset)))
    changed = [f"{section}.kind" for section in framework.tables]
    changed = [name for name in changed if plain[name] != wanted[name]]
    kinds = {name.removesuffix(".kind"): {"kind": wanted[name]} for name in changed}
    base = flatten(to_settings(framework.load_preset(preset, kinds)))
    changed += [name for name, value in wanted.items() if base[name] != value]
    return [word for name in changed for word in _flag(name, wanted[name])]


def _flag(name: str, value: Any) -> list[str]:
    """A setting as words: ``--seed 1``, ``--widths 1 2``, ``--mle.no-keep-best``."""
    flag = flag_name(name)
    if isinstance(value, bool):
        section, _, last = flag.rpartition(".") if "." in flag else ("", "", flag)
        return [flag] if value else [f"{section}.no-{last}" if section else f"--no-{last.removeprefix('--')}"]
    if isinstance(value, tuple | list):
        return [flag, *map(str, value)]
    text = str(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]
