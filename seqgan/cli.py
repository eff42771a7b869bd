"""The command line: ``seqgan COMMAND [FLAGS]``. From flags to the arguments of a command, and nothing more.

A command is a module of :mod:`seqgan.commands` with a dataclass ``Arguments`` and a function ``run``. Where
its arguments hold the settings of an experiment, these come from a preset, then a TOML file, then flags; the
kinds that the flags name decide which flags there are. Only what is asked for is imported.
"""

import argparse
import contextlib
import dataclasses
import difflib
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_origin, get_type_hints

import seqgan
from seqgan.config.kinds import find_kind, foreign_place
from seqgan.config.ranges import Repeated
from seqgan.config.schema import UnknownSettings, field_meanings, flag_name, parse_text
from seqgan.config.toml import Settings, nest, read_toml
from seqgan.runtime.signals import unwind_on_signals
from seqgan.runtime.terminal import open_closed_streams

if TYPE_CHECKING:
    from seqgan.experiment.catalogue import Catalogue

COMMANDS = {
    "prepare": "Prepare the corpus and report what is in it.",
    "pretrain": "Do all phases but the last: the generator, and the discriminator against it.",
    "train": "Do all that is left of a run, then evaluate before and after.",
    "generate": "Sample sentences from a run.",
    "evaluate": "Measure a run, or files against each other.",
    "sweep": "Draw quality against diversity over temperatures, for runs and baselines.",
    "report": "Write a page about one or more runs, for a browser.",
    "text": "Write a part of a run's corpus as text.",
    "config": "Print the resolved settings as TOML, or list the presets.",
}
SHORT_HELP = (  # the settings that --help shows; --help-all shows the others too
    *("seed", "device", "corpus.path", "corpus.tokenizer", "corpus.min_count", "corpus.max_length"),
    *("mle.epochs", "estimator.num_rollouts", "estimator.num_candidates"),
    *("algorithm.learning_rate", "algorithm.kl_weight", "algorithm.whiten"),
    *("adversarial.rounds", "adversarial.policy_steps", "evaluation.num_samples"),
)


class Parser(argparse.ArgumentParser):
    """A parser without abbreviations, for which what is wrong is a ValueError."""

    def __init__(self, prog: str, description: str = "") -> None:
        super().__init__(
            prog,
            description=description,
            add_help=False,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong."""
        raise ValueError(message.removeprefix("argument "))


def add_flag(
    group: Any, path: str, hint: Any, *, meaning: str = "", default: Any = dataclasses.MISSING
) -> None:
    """Add the flag of one setting; a truth value has one for each side."""
    flag, dest = flag_name(path), path
    required = default is dataclasses.MISSING
    text = meaning.replace("%", "%%") + ("" if required else f" (default: {_show(default)})")
    if meaning is argparse.SUPPRESS:
        text = meaning
    while get_origin(hint) is not None and hasattr(hint, "__metadata__"):
        if Repeated in hint.__metadata__:
            item = get_args(get_args(hint)[0])[0]
            group.add_argument(
                flag, dest=dest, action="append", type=_parser_of(item), help=text, metavar="X"
            )
            return
        hint = get_args(hint)[0]
    if hint is bool:
        section, _, name = path.rpartition(".")
        off = flag_name(f"{section}.no_{name}" if section else f"no_{name}")
        shown, hidden = (off, flag) if default is True else (flag, off)
        if text != argparse.SUPPRESS:
            text = meaning.replace("%", "%%") if shown == flag else f"Turn this off: {text}"
        group.add_argument(shown, dest=dest, action="store_const", const=shown == flag, help=text)
        group.add_argument(
            hidden, dest=dest, action="store_const", const=hidden == flag, help=argparse.SUPPRESS
        )
        return
    is_list = get_origin(hint) is tuple
    item = get_args(hint)[0] if is_list else hint
    nargs = "*" if is_list else None
    group.add_argument(flag, dest=dest, type=_parser_of(item), nargs=nargs, help=text, metavar="X")


def _parser_of(hint: Any) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return parse_text(text, hint)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error).replace("%", "%%")) from error

    return parse


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return str(value).replace("%", "%%") if value is not None and value != "" else "none"


def own_fields(cls: Any) -> Iterator[tuple[str, Any, str, Any]]:
    """Yield name, type, meaning and default of a command's flags, its settings aside."""
    hints, meanings = get_type_hints(cls, include_extras=True), field_meanings(cls)
    for field in dataclasses.fields(cls):
        if field.name in ("settings", "catalogue"):
            continue
        yield field.name, hints[field.name], meanings.get(field.name, ""), field.default


def setting_fields(settings: Any, path: str = "") -> Iterator[tuple[str, Any, str, Any]]:
    """Yield dotted name, type, meaning and value of every setting in a tree."""
    cls: Any = type(settings)
    hints, meanings = get_type_hints(cls, include_extras=True), field_meanings(cls)
    for field in dataclasses.fields(settings):
        value, name = getattr(settings, field.name), f"{path}{field.name}"
        if isinstance(value, Mapping):
            for part, section in value.items():
                yield from setting_fields(section, f"{name}.{part}.")
        elif dataclasses.is_dataclass(value) and not isinstance(value, UnknownSettings):
            yield from setting_fields(value, f"{name}.")
        elif not name.endswith("kind") and not isinstance(value, UnknownSettings):
            yield name, hints[field.name], meanings.get(field.name, ""), value


def parse(name: str, argv: Sequence[str], catalogue: "Catalogue") -> Any:
    """Return the arguments of a command.

    Raises:
        ValueError: A flag does not exist or its value does not fit; one line.
        SystemExit: Help was asked for and has been printed.
    """
    cls: Any = import_module(f"seqgan.commands.{name}").Arguments
    prog = f"{catalogue.name} {name}"
    parser = Parser(prog, COMMANDS[name])
    group = parser.add_argument_group("flags")
    group.add_argument("--help", "-h", action="store_const", const="short", help="show this")
    for field, hint, meaning, default in own_fields(cls):
        add_flag(group, field, hint, meaning=meaning, default=default)
    if "settings" not in {field.name for field in dataclasses.fields(cls)}:
        given = _parse(parser, argv, prog)
        _print_help(parser, given)
        return _arguments(cls, given, prog)
    group.add_argument("--help-all", dest="help", action="store_const", const="all", help="show all settings")
    _add_kinds(parser, catalogue, argv)
    early = vars(parser.parse_known_args(list(argv))[0])
    layers, source, preset = base_layers(early, catalogue)
    kinds = {key: value for key, value in early.items() if key.endswith(".kind")}
    base = catalogue.load(*layers, nest(kinds), source=source)
    section = ""
    for path, hint, meaning, value in setting_fields(base):
        if path.partition(".")[0] != section and "." in path:
            section = path.partition(".")[0]
            group = parser.add_argument_group(section)
        is_shown = early.get("help") != "short" or path in SHORT_HELP
        add_flag(group, path, hint, meaning=meaning if is_shown else argparse.SUPPRESS, default=value)
    given = _parse(parser, argv, prog, catalogue)
    _print_help(parser, given)
    own = {field.name for field in dataclasses.fields(cls)}
    flags = {path: value for path, value in given.items() if path not in own}
    settings = catalogue.load(*layers, nest(_as_toml(flags)), source=source)
    own_values = {path: value for path, value in given.items() if path in own}
    run = own_values.pop("run", None) or catalogue.default_run(preset)
    return _arguments(cls, {**own_values, "run": run, "settings": settings, "catalogue": catalogue}, prog)


def _as_toml(flags: Settings) -> Settings:
    """Return values of flags as a TOML file would hold them."""
    plain = {None: "none"}
    return {
        path: list(value)
        if isinstance(value, list | tuple)
        else plain.get(value, value)
        if not isinstance(value, Path)
        else str(value)
        for path, value in flags.items()
    }


def _add_kinds(parser: Parser, catalogue: "Catalogue", argv: Sequence[str]) -> None:
    """Add the flags of all kinds, also those of several rewards, whose names the arguments bring."""
    group = parser.add_argument_group("kinds", "each may also be package.module:name or file.py:name")
    for section, table in catalogue.kinds.items():
        default = catalogue.defaults.get(section, "")
        add_flag(group, f"{section}.kind", str, meaning=", ".join(table), default=default)
    found = (re.match(r"--rewards\.([^.=]+)\.", argument) for argument in argv)
    for name in dict.fromkeys(match[1] for match in found if match) or ["0"]:
        meaning = "of several rewards: --rewards.0.kind, --rewards.0.weight, --rewards.1.kind, ..."
        add_flag(group, f"rewards.{name}.kind", str, meaning=meaning, default="none")


def base_layers(given: Mapping[str, Any], catalogue: "Catalogue") -> tuple[list[Settings], str, str]:
    """Return the layers of settings below the flags, where they come from, and the preset.

    They are those of an existing run, or of the run whose pre-training is taken over, or of a preset with a
    TOML file over it.
    """
    run_folder = import_module("seqgan.experiment.run_folder").RunFolder
    preset = given.get("preset") or catalogue.default_preset
    named = "preset" in given or "config" in given
    run = run_folder(given.get("run") or catalogue.default_run(preset))
    for folder in (run, run_folder(given["pretrained"]) if "pretrained" in given else run):
        if not named and (folder.exists() or folder is not run):
            return [folder.read_settings(catalogue.name)], str(folder.config), preset
    layers, source = [catalogue.preset_settings(preset)], f"preset {preset}"
    if given.get("config") is not None:
        file = read_toml(given["config"])
        file = {key: value for key, value in file.items() if key not in ("format", "package")}
        layers, source = [*layers, file], str(given["config"])
    return layers, source, preset


def _parse(
    parser: Parser, argv: Sequence[str], prog: str, catalogue: "Catalogue | None" = None
) -> dict[str, Any]:
    try:
        given, unknown = parser.parse_known_args(list(argv))
    except ValueError as error:
        raise ValueError(f"{error} (see {prog} --help)") from None
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        raise ValueError(f"{_explain_unknown(unknown[0], flags, catalogue)} (see {prog} --help)")
    return vars(given)


def _explain_unknown(argument: str, flags: Sequence[str], catalogue: "Catalogue | None") -> str:
    """Return why an argument is not understood, and what may have been meant."""
    if not argument.startswith("-"):
        return f"{argument!r} belongs to no flag"
    name = argument.split("=")[0]
    section = name.removeprefix("--").partition(".")[0]
    for kind in catalogue.kinds.get(section, {}) if catalogue is not None else {}:
        assert catalogue is not None
        settings = find_kind(kind, catalogue.kinds[section], name).settings
        if name in (flag_name(f"{section}.{field.name}") for field in dataclasses.fields(settings)):
            return f"there is no {name} here: it belongs to --{section}.kind {kind}"
    close = difflib.get_close_matches(name, flags, 3, cutoff=0.75)
    return f"there is no flag {name}" + (f"; did you mean {' or '.join(close)}?" if close else "")


def _print_help(parser: Parser, given: dict[str, Any]) -> None:
    if given.pop("help", None) is not None:
        parser.print_help()
        raise SystemExit(0)


def _arguments(cls: Any, given: Mapping[str, Any], prog: str) -> Any:
    missing = [
        flag_name(field.name)
        for field in dataclasses.fields(cls)
        if field.name not in given
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"{missing[0]} is missing (see {prog} --help)")
    return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})


def main(argv: Sequence[str] | None = None, *, package: str = "seqgan") -> int:
    """Run a command with the kinds and presets of a package; return the exit status.

    Bad input is one line on standard error and exit status 2.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    open_closed_streams()
    logging.basicConfig(format=f"{package}: %(levelname)s: %(message)s", level=logging.WARNING)
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))  # where users keep their own kinds, also for the console script
    try:
        with unwind_on_signals():
            status = run(arguments, package)
            sys.stdout.flush()
            return status
    except BrokenPipeError:  # the reader of standard output has gone: nothing more to say
        _drop_output()
        return 141
    except KeyboardInterrupt as stop:  # training that was interrupted says more
        number = signal.Signals(getattr(stop, "number", 0) or (stop.args[0] if stop.args else signal.SIGINT))
        said = (
            str(stop) if hasattr(stop, "number") else f"stopped by {number.name}; what was finished is kept"
        )
        return _fail(f"{package}: {said}", 128 + number)
    except (ValueError, OSError) as error:
        place = foreign_place(error, innermost=True)
        return _fail(f"{package}: error: {f'{place}: ' if place else ''}{error}", 2)
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error)):
            return _fail(f"{package}: error: out of memory, choose smaller sizes or batches: {error}", 2)
        if (place := foreign_place(error)) is None:
            raise
        return _fail(f"{package}: error: {place}: {type(error).__name__}: {error}", 2)


def run(arguments: list[str], package: str) -> int:
    """Run a command, or show what there is; return the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage(package))  # noqa: T201
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"{package} {seqgan.__version__}")  # noqa: T201
        return 0
    name, *flags = arguments
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]}?" if close else f"choose {', '.join(COMMANDS)}"
        raise ValueError(f"there is no command {name!r}; {hint}")
    catalogue = import_module("seqgan.experiment.catalogue").find_catalogue(package)
    try:
        parsed = parse(name, flags, catalogue)
    except SystemExit:  # --help has been printed
        return 0
    import_module(f"seqgan.commands.{name}").run(parsed)
    return 0


def usage(package: str) -> str:
    """Return what ``--help`` without a command prints."""
    lines = [f"  {name:<10}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {package} COMMAND [FLAGS]",
            "",
            "Adversarial generation of discrete sequences.",
            "",
            "commands:",
            *lines,
            "",
            f"{package} COMMAND --help shows the flags of a command, {package} config --list the presets.",
        ]
    )


def _fail(message: str, status: int) -> int:
    """Say what is wrong in one line; what standard output cannot take is dropped."""
    with contextlib.suppress(OSError):
        print(" ".join(message.split()), file=sys.stderr)  # noqa: T201
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()
    return status


def _drop_output() -> None:
    """Send what is left in standard output nowhere, so that the interpreter can flush it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
