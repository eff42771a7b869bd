"""Show the settings that a run would have, or the presets."""

from dataclasses import dataclass

from seqgan.commands.arguments import ExperimentArguments
from seqgan.config.schema import to_settings
from seqgan.config.toml import to_toml


@dataclass(frozen=True, kw_only=True)
class Arguments(ExperimentArguments):
    """Which settings."""

    list: bool = False
    """Print the presets and what they are for instead."""


def run(arguments: Arguments) -> None:
    """Print the resolved settings as TOML, or the presets."""
    if not arguments.list:
        print(to_toml(to_settings(arguments.settings)), end="")
        return
    meanings = arguments.catalogue.preset_meanings()
    width = max(map(len, meanings))
    for name, meaning in meanings.items():
        print(f"{name:<{width}}  {meaning}".rstrip())
