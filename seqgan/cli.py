"""The command line: ``seqgan {prepare,pretrain,train,generate,evaluate,config}``."""

import contextlib
import dataclasses
import io
import logging
import os
import sys
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro

from seqgan.commands.evaluate import EvaluateArguments, evaluate
from seqgan.commands.generate import GenerateArguments, generate
from seqgan.commands.train import ConfigArguments, ExperimentArguments, prepare, pretrain, show_config, train
from seqgan.config import Settings, merge, read_toml
from seqgan.experiment import (
    TABLES,
    load_config,
    preset_names,
    preset_settings,
)
from seqgan.run_folder import RunFolder
from seqgan.training.loop import Interrupted

Arguments = TypeVar("Arguments")


@dataclass(frozen=True)
class Command:
    """A subcommand: the class of its arguments, what runs it, and one line about it."""

    arguments: type[Any]
    run: Callable[[Any], None]
    summary: str


COMMANDS = {
    "prepare": Command(ExperimentArguments, prepare, "Prepare the corpus and report what is in it."),
    "pretrain": Command(
        ExperimentArguments, pretrain, "Train the generator by maximum likelihood, then the discriminator."
    ),
    "train": Command(
        ExperimentArguments, train, "Do all that is left of a run, then evaluate before and after."
    ),
    "generate": Command(GenerateArguments, generate, "Sample sentences from a run."),
    "evaluate": Command(EvaluateArguments, evaluate, "Measure a run, or two text files against each other."),
    "config": Command(ConfigArguments, show_config, "Print the resolved settings as TOML."),
}


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def usage(prog: str) -> str:
    """What ``--help`` without a subcommand prints."""
    lines = [
        f"usage: {prog} COMMAND [FLAGS]",
        "",
        "Adversarial generation of discrete sequences.",
        "",
        "commands:",
    ]
    lines += [f"  {name:<10}{command.summary}" for name, command in COMMANDS.items()]
    lines += [
        "",
        f"{prog} COMMAND --help shows the flags of a command. Presets: {', '.join(preset_names())}.",
    ]
    return "\n".join(lines)


def default_settings(argv: Sequence[str]) -> tuple[ExperimentArguments, bool]:
    """Arguments before the flags of single settings: run, preset, file and kinds.

    The kinds come first because they decide which flags there are. An existing run is the default
    for what no preset or file is named for.
    """
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=SUPPRESS)
    for name in ("run", "preset", "config", *(f"{section}.kind" for section in TABLES)):
        parser.add_argument(f"--{name}", dest=name)
    known = vars(parser.parse_known_args(list(argv))[0])
    kinds: Settings = {s: {"kind": known[f"{s}.kind"]} for s in TABLES if f"{s}.kind" in known}
    preset = known.get("preset", "docstrings")
    run = Path(known.get("run", Path("runs") / preset))
    file = Path(known["config"]) if "config" in known else None
    goes_on = RunFolder(run).exists() and "preset" not in known and file is None
    if goes_on:
        layers, source = [RunFolder(run).read_settings()], str(RunFolder(run).config)
    else:
        layers = [preset_settings(preset)] + ([read_toml(file)] if file else [])
        source = str(file) if file else f"preset {preset}"
    settings = load_config(merge(*layers), kinds, source=source)
    return ExperimentArguments(run=run, preset=preset, config=file, settings=settings), goes_on


def parse(arguments: type[Arguments], prog: str, summary: str, argv: Sequence[str]) -> Arguments:
    """Flags as an instance of ``arguments``.

    Raises:
        ValueError: A flag does not exist or its value does not fit; one line.
    """
    default: Any = None
    if issubclass(arguments, ExperimentArguments):
        base, _ = default_settings(argv)
        default = arguments(**{f.name: getattr(base, f.name) for f in dataclasses.fields(base)})
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            options = {} if default is None else {"default": default}
            parsed: Arguments = tyro.cli(
                arguments, prog=prog, description=summary, args=list(argv), **options
            )
            return parsed
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ValueError(f"{_first_sentence(errors.getvalue())} (see {prog} --help)") from None


def _first_sentence(box: str) -> str:
    """The message in the box that tyro draws around an error."""
    lines = [line.strip("│ ") for line in box.splitlines()[1:]]
    message = []
    for line in lines:
        if not line or set(line) <= set("─╰╯"):
            break
        message.append(line)
    return " ".join(message) or " ".join(box.split())


def main(argv: Sequence[str] | None = None, prog: str = "seqgan") -> int:
    """Run a subcommand; bad input is one line on standard error and exit status 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format=f"{prog}: %(levelname)s: %(message)s", level=logging.WARNING)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage(prog))  # noqa: T201
        return 0 if arguments else 2
    try:
        name, *flags = arguments
        if name not in COMMANDS:
            raise ValueError(f"no command {name!r}; choose {', '.join(COMMANDS)}")
        command = COMMANDS[name]
        command.run(parse(command.arguments, f"{prog} {name}", command.summary, flags))
    except SystemExit as stop:
        return int(stop.code or 0)
    except BrokenPipeError:  # the reader of standard output has gone: nothing more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Interrupted as interrupted:
        print(f"{prog}: {interrupted}", file=sys.stderr)  # noqa: T201
        return 128 + interrupted.number
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        print(f"{prog}: error: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        return 2
    return 0
