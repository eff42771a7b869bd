"""The command line of every framework: ``seqgan COMMAND [FLAGS]``, with the commands of ``COMMANDS``."""

import contextlib
import dataclasses
import difflib
import io
import logging
import os
import signal
import sys
import textwrap
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import tyro

import seqgan
from seqgan.commands.evaluate import EvaluateArguments, evaluate
from seqgan.commands.generate import GenerateArguments, generate
from seqgan.commands.report import ReportArguments, report
from seqgan.commands.sweep import SweepArguments, run_sweep
from seqgan.commands.train import ConfigArguments, ExperimentArguments, prepare, pretrain, show_config, train
from seqgan.config.schema import Settings, flag_name, flatten, merge, read_toml, to_settings
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import RunFolder
from seqgan.experiment.settings import Framework
from seqgan.runtime.signals import unwind_on_signals
from seqgan.runtime.terminal import open_closed_streams
from seqgan.training.loop import Interrupted


@dataclass(frozen=True)
class Command:
    """A subcommand: the class of its arguments, what runs it, and one line about it.

    What works with settings is run with the experiment's class too; the others find it in the run.
    """

    arguments: type[Any]
    run: Callable[..., None]
    summary: str

    @property
    def has_settings(self) -> bool:
        """Whether the settings of an experiment are among its flags."""
        return issubclass(self.arguments, ExperimentArguments)


COMMANDS = {
    "prepare": Command(ExperimentArguments, prepare, "Prepare the corpus and report what is in it."),
    "pretrain": Command(
        ExperimentArguments,
        pretrain,
        "Do all phases but the last: the generator, and the discriminator against it.",
    ),
    "train": Command(
        ExperimentArguments, train, "Do all that is left of a run, then evaluate before and after."
    ),
    "generate": Command(GenerateArguments, generate, "Sample sentences from a run."),
    "evaluate": Command(EvaluateArguments, evaluate, "Measure a run, or files against each other."),
    "sweep": Command(
        SweepArguments, run_sweep, "Draw quality against diversity over temperatures, for runs and baselines."
    ),
    "report": Command(ReportArguments, report, "Write a page about one or more runs, for a browser."),
    "config": Command(ConfigArguments, show_config, "Print the resolved settings as TOML."),
}


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def usage(framework: Framework) -> str:
    """What ``--help`` without a subcommand prints."""
    prog = framework.name
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
        f"{prog} COMMAND --help shows the flags of a command; {prog} --version the version.",
        f"Presets: {', '.join(framework.preset_names())}.",
    ]
    return "\n".join(lines)


def describe(command: Command, framework: Framework) -> str:
    """What ``--help`` prints above the flags of a subcommand."""
    if not command.has_settings:
        return command.summary
    presets = textwrap.wrap(", ".join(framework.preset_names()), 76, break_on_hyphens=False)
    lines = [
        command.summary,
        "",
        "Settings: the preset, then the TOML file, then flags; a run goes on with its own.",
        "",
        "Below are flags and defaults for the preset and the kinds on this command line.",
        "",
        "Presets:",
        *(f"  {line}" for line in presets),
        "",
        "Kinds, each of which may also be an import path package.module:name:",
        *(f"  --{section}.kind {', '.join(table)}" for section, table in framework.tables.items()),
    ]
    return "\n".join(lines)


def default_arguments(argv: Sequence[str], framework: Framework) -> ExperimentArguments:
    """Arguments before the flags of single settings: run, preset, file and kinds.

    The kinds come first because they decide which flags there are. An existing run is the default
    for what no preset or file is named for.
    """
    sections = list(framework.tables)
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=SUPPRESS)
    for name in ("run", "preset", "config", *(f"{section}.kind" for section in sections)):
        parser.add_argument(f"--{name}", dest=name)
    known = vars(parser.parse_known_args(list(argv))[0])
    kinds: Settings = {s: {"kind": known[f"{s}.kind"]} for s in sections if f"{s}.kind" in known}
    preset = known.get("preset", framework.default_preset)
    run = Path(known.get("run", framework.default_run(preset)))
    file = Path(known["config"]) if "config" in known else None
    if RunFolder(run).exists() and "preset" not in known and file is None:
        layers, source = [RunFolder(run).read_settings(framework.name)], str(RunFolder(run).config)
    else:
        layers = [framework.preset_settings(preset)] + ([read_toml(file)] if file else [])
        source = str(file) if file else f"preset {preset}"
    settings = framework.load_config(merge(*layers), kinds, source=source)
    return ExperimentArguments(run=run, preset=preset, config=file, settings=settings)


def parse(name: str, argv: Sequence[str], framework: Framework) -> Any:
    """The flags of a subcommand as an instance of the class of its arguments.

    Raises:
        ValueError: A flag does not exist or its value does not fit; one line.
    """
    command, prog = COMMANDS[name], f"{framework.name} {name}"
    options: dict[str, Any] = {"prog": prog, "description": describe(command, framework), "args": list(argv)}
    if command.has_settings:
        base = default_arguments(argv, framework)
        fields = {f.name: getattr(base, f.name) for f in dataclasses.fields(base)}
        options["default"] = command.arguments(**fields)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            parsed, unknown = tyro.cli(command.arguments, return_unknown_args=True, **options)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ValueError(f"{_explain(errors.getvalue())} (see {prog} --help)") from None
    if unknown:
        raise ValueError(f"{_explain_unknown(unknown[0], parsed, framework)} (see {prog} --help)")
    return parsed


def _explain(box: str) -> str:
    """What tyro says in a box of title, message and more: the message, and what the flag takes."""
    parts: list[list[str]] = [[]]
    for line in box.splitlines():
        text = line.strip("│╭╮╰╯─ ")
        if text.strip("-"):
            parts[-1].append(text)
        if not text.strip("-") or "╭" in line:
            parts.append([])
    _title, message, *rest = [part for part in parts if part]
    taken = [f"; expected {part[1]}" for part in rest if part[0] == "Argument helptext:"]
    return " ".join(message) + "".join(taken)


def _explain_unknown(argument: str, parsed: Any, framework: Framework) -> str:
    """Why an argument is not understood, and what may have been meant."""
    if not argument.startswith("-"):
        return f"{argument!r} belongs to no flag"
    name = argument.split("=")[0]
    for section, table in framework.tables.items():
        for kind, component in table.items():
            if name in (
                flag_name(f"{section}.{field.name}") for field in dataclasses.fields(component.config)
            ):
                return f"there is no {name} here: it belongs to --{section}.kind {kind}"
    own = to_settings(parsed)
    nested = own.pop("settings", {})
    names = [flag_name(path) for path in flatten({**own, **nested})]
    close = difflib.get_close_matches(name, names, 3, cutoff=0.75)
    return f"there is no flag {name}" + (f"; did you mean {' or '.join(close)}?" if close else "")


def main(argv: Sequence[str] | None = None, *, experiment: type[Experiment] = Experiment) -> int:
    """Run a subcommand of a framework; bad input is one line on standard error and exit status 2."""
    prog = experiment.framework.name
    arguments = list(sys.argv[1:] if argv is None else argv)
    open_closed_streams()
    logging.basicConfig(format=f"{prog}: %(levelname)s: %(message)s", level=logging.WARNING)
    try:
        with unwind_on_signals():
            status = run(arguments, experiment)
            sys.stdout.flush()
            return status
    except BrokenPipeError:  # the reader of standard output has gone: nothing more to say
        _drop_output()
        return 141
    except Interrupted as interrupted:
        return _fail(f"{prog}: {interrupted}", 128 + interrupted.number)
    except KeyboardInterrupt as stop:
        number = signal.Signals(stop.args[0] if stop.args else signal.SIGINT)
        return _fail(f"{prog}: stopped by {number.name}; what was finished is kept", 128 + number)
    except (ValueError, OSError) as error:
        return _fail(f"{prog}: error: {error}", 2)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        return _fail(f"{prog}: error: out of memory, choose smaller sizes or batches: {error}", 2)


def run(arguments: list[str], experiment: type[Experiment]) -> int:
    """Run a subcommand, or show what there is; gives the exit status."""
    framework = experiment.framework
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage(framework))  # noqa: T201
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"{framework.name} {seqgan.__version__}")  # noqa: T201
        return 0
    name, *flags = arguments
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]}?" if close else f"choose {', '.join(COMMANDS)}"
        raise ValueError(f"there is no command {name!r}; {hint}")
    command = COMMANDS[name]
    try:
        parsed = parse(name, flags, framework)
    except SystemExit:  # --help has been printed
        return 0
    command.run(*([parsed, experiment] if command.has_settings else [parsed]))
    return 0


def _fail(message: str, status: int) -> int:
    """Say what is wrong in one line; what standard output cannot take is dropped."""
    print(" ".join(message.split()), file=sys.stderr)  # noqa: T201
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
    return status


def _drop_output() -> None:
    """Send what is left in standard output nowhere, lest the interpreter complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
