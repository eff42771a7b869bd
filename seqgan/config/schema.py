"""Settings: frozen dataclasses beside their components, ranges in their annotations, one validator.

A component's settings are a frozen keyword-only dataclass whose fields carry their range as
``Annotated[int, Range(minimum=1)]`` and their meaning as the string below them. Values come from a preset,
then the user's TOML file, then flags.
"""

import ast
import dataclasses
import difflib
import inspect
import math
import textwrap
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from seqgan.config.kinds import KindSettings, absolute, find_kind
from seqgan.config.ranges import Range
from seqgan.config.toml import NONE, Settings

SettingsT = TypeVar("SettingsT")
Tables = Mapping[str, Mapping[str, str]]  # dotted path of a section to its kinds: name to import path


@dataclass(frozen=True, kw_only=True)
class UnknownSettings(KindSettings):
    """Settings of a kind that cannot be imported here, as they were read."""

    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reason: str = ""
    """Why it cannot be imported."""


def flag_name(path: str) -> str:
    """Return the command-line flag of the setting at the dotted ``path``."""
    return "--" + path.replace("_", "-")


def validate(settings: Any, path: str = "") -> None:
    """Check every annotated range in a tree of settings.

    Raises:
        ValueError: A value is outside its range; names the flag, the value and the range.
    """
    if isinstance(settings, UnknownSettings):
        return
    hints = get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        name = f"{path}{field.name}"
        if dataclasses.is_dataclass(value):
            validate(value, f"{name}.")
            continue
        for number in _numbers(value):
            if isinstance(number, int) and number.bit_length() >= 64:
                raise ValueError(
                    f"{flag_name(name)}: {str(number)[:20]}… is too large; it must fit in 64 bits"
                )
            if not math.isfinite(number):
                raise ValueError(f"{flag_name(name)}: {number} is no finite number")
            for constraint in _constraints(hints[field.name]):
                if not constraint.contains(number):
                    raise ValueError(f"{flag_name(name)}: {number} is out of range; it must be {constraint}")


def _numbers(value: Any) -> list[float]:
    values = value if isinstance(value, tuple) else (value,)
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]


def _constraints(hint: Any) -> list[Range]:
    found = [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, Range)]
    for argument in get_args(hint):
        found += _constraints(argument) if not isinstance(argument, Range) else []
    return found


def from_settings(
    cls: type[SettingsT],
    settings: Settings,
    tables: Tables,
    source: str,
    path: str = "",
    *,
    lenient: bool = False,
) -> SettingsT:
    """Build a tree of settings of class ``cls`` from nested dictionaries.

    ``tables`` maps a dotted path to the kinds that the section may be; its ``kind`` picks the class. With
    ``lenient`` a section whose kind cannot be imported becomes :class:`UnknownSettings`.

    Raises:
        ValueError: A name that does not exist or a value of another type; names ``source`` and path.
    """
    fields = {field.name: field for field in dataclasses.fields(cast(Any, cls))}
    hints = get_type_hints(cls)
    values: Settings = {}
    for key in settings:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, 1)
            hint = f"did you mean {path}{close[0]}?" if close else f"there are {', '.join(sorted(fields))}"
            raise ValueError(f"{source}: unknown setting {path}{key}; {hint}")
    for key, field in fields.items():
        name, type_of = f"{path}{key}", hints[key]
        section = settings.get(key, {})
        if name in tables:
            chosen = _chosen_kind(section, field, source, name)
            section = {**section, "kind": chosen}
            try:
                type_of = find_kind(chosen, tables[name], flag_name(f"{name}.kind")).settings
            except ValueError as error:
                if not lenient or ":" not in chosen:  # a short name is a mistake
                    raise
                values[key] = UnknownSettings(kind=chosen, values=section, reason=str(error))
                continue
        if dataclasses.is_dataclass(type_of):
            if not isinstance(section, dict):
                raise ValueError(f"{source}: {name} is a section, not {section!r}")
            values[key] = from_settings(
                cast(type, type_of), section, tables, source, f"{name}.", lenient=lenient
            )
        elif key in settings:
            values[key] = _convert(settings[key], type_of, source, name)
    return cls(**values)


def _chosen_kind(section: Any, field: "dataclasses.Field[Any]", source: str, name: str) -> str:
    if not isinstance(section, dict):
        raise ValueError(f"{source}: {name} is a section, not {section!r}")
    default = field.default_factory() if callable(field.default_factory) else field.default
    kind = section.get("kind", getattr(default, "kind", None))
    if not isinstance(kind, str):
        raise ValueError(f"{source}: {name}.kind must be a name, not {kind!r}")
    return absolute(kind)


def _convert(value: Any, hint: Any, source: str, name: str) -> Any:
    """Return ``value`` as read from TOML as the type that ``hint`` asks for."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _convert(value, arguments[0], source, name)
    if origin in (Union, types.UnionType):
        if value == NONE and type(None) in arguments:
            return None
        return _convert(value, next(a for a in arguments if a is not type(None)), source, name)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(item, arguments[0], source, name) for item in value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise ValueError(f"{source}: {name} must be {describe_type(hint)}, not {value!r}")


def parse_text(text: str, hint: Any) -> Any:
    """Return the value that the text of a flag stands for.

    Raises:
        ValueError: It is none of that type; says what would be.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Annotated, tuple):
        return parse_text(text, arguments[0])
    if origin in (Union, types.UnionType):
        if text.lower() == NONE and type(None) in arguments:
            return None
        for argument in arguments:
            try:
                return parse_text(text, argument)
            except ValueError:
                continue
    elif origin is Literal:
        if text in arguments:
            return text
    elif hint in (str, Path):
        return hint(text)
    elif hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            pass
    raise ValueError(f"{text!r} is not {describe_type(hint)}")


def describe_type(hint: Any) -> str:
    """Return what a value of this type is, in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return describe_type(arguments[0])
    if origin is Literal:
        names = ", ".join(map(str, arguments))
        return f"one of {names}" if len(arguments) > 1 else names
    if origin in (Union, types.UnionType):
        return " or ".join(NONE if a is type(None) else describe_type(a) for a in arguments)
    if origin is tuple:
        return f"a list, each {describe_type(arguments[0])}"
    words = {int: "a whole number", float: "a number", str: "text", Path: "a path", bool: "true or false"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def to_settings(settings: Any) -> Settings:
    """Return the tree as nested dictionaries."""
    if isinstance(settings, UnknownSettings):
        return dict(settings.values)
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {
        name: to_settings(value) if dataclasses.is_dataclass(value) else value
        for name, value in values.items()
    }


@cache
def field_meanings(cls: Any) -> Mapping[str, str]:
    """Return the meaning of each field of a dataclass: the string below it, in the class or in a base."""
    meanings: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not hasattr(base, "__dataclass_fields__"):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                meanings[field.target.id] = " ".join(str(below.value.value).split())
    return meanings
