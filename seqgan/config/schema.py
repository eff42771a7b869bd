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
        for section, part in _sections(name, value):
            validate(part, f"{section}.")
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


def _sections(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the sections that a setting holds, by dotted name: itself, or those of a mapping."""
    if isinstance(value, Mapping):
        return [(f"{name}.{key}", part) for key, part in value.items()]
    return [(name, value)] if dataclasses.is_dataclass(value) else []


def _numbers(value: Any) -> list[float]:
    values = value if isinstance(value, tuple) else (value,)
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]


def _constraints(hint: Any) -> list[Range]:
    found = [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, Range)]
    for argument in get_args(hint):
        found += _constraints(argument) if not isinstance(argument, Range) else []
    return found


def from_settings(
    cls: type[SettingsT], settings: Settings, tables: Tables, source: str, *, lenient: bool = False
) -> SettingsT:
    """Build a tree of settings of class ``cls`` from nested dictionaries.

    ``tables`` maps a dotted path to the kinds that the section may be; its ``kind`` picks the class. A field
    ``Mapping[str, Part]`` holds any number of such sections by name; each has the fields of ``Part`` beside
    those of its kind. With ``lenient`` a section whose kind cannot be imported becomes
    :class:`UnknownSettings`.

    Raises:
        ValueError: A name that does not exist or a value of another type; names ``source`` and path.
    """
    return _Reader(tables, source, lenient).read(cls, settings)


@dataclass(frozen=True)
class _Reader:
    """What all sections of a tree of settings are built with."""

    tables: Tables
    source: str
    lenient: bool

    def read(self, cls: type[SettingsT], settings: Settings, path: str = "") -> SettingsT:
        """Build the settings of a section and of those below it."""
        fields = {field.name: field for field in dataclasses.fields(cast(Any, cls))}
        hints = get_type_hints(cls)
        for key in settings:
            if key not in fields:
                close = difflib.get_close_matches(key, fields, 1)
                hint = (
                    f"did you mean {path}{close[0]}?" if close else f"there are {', '.join(sorted(fields))}"
                )
                raise ValueError(f"{self.source}: unknown setting {path}{key}; {hint}")
        values: Settings = {}
        for key, field in fields.items():
            name, hint, section = f"{path}{key}", hints[key], settings.get(key, {})
            if get_origin(hint) is Mapping:
                values[key] = {
                    part: self._read_kind(entry, None, name, part, get_args(hint)[1])
                    for part, entry in _named_sections(section, self.source, name).items()
                }
            elif name in self.tables:
                default = field.default_factory() if callable(field.default_factory) else field.default
                values[key] = self._read_kind(section, getattr(default, "kind", None), name)
            elif dataclasses.is_dataclass(hint):
                values[key] = self.read(cast(type, hint), self._section(section, name), f"{name}.")
            elif key in settings:
                values[key] = _convert(settings[key], hint, self.source, name)
        return cls(**values)

    def _read_kind(
        self, section: Any, default: str | None, path: str, part: str = "", added: Any = None
    ) -> KindSettings:
        """Build the settings of the kind that a section names; of one part of several, with more fields."""
        name = f"{path}.{part}" if part else path
        kind = self._section(section, name).get("kind", default)
        if not isinstance(kind, str):
            raise ValueError(f"{self.source}: {name}.kind must be a name, not {kind!r}")
        section = {**section, "kind": absolute(kind)}
        try:
            found: Any = find_kind(section["kind"], self.tables[path], flag_name(f"{name}.kind")).settings
        except ValueError as error:
            if not self.lenient or ":" not in kind:  # a short name is a mistake
                raise
            return UnknownSettings(kind=section["kind"], values=section, reason=str(error))
        chosen: type[KindSettings] = found
        if added is not None:
            chosen = with_fields_of(added, found, flag_name(name))
        return self.read(chosen, section, f"{name}.")

    def _section(self, value: Any, name: str) -> Settings:
        if not isinstance(value, dict):
            raise ValueError(f"{self.source}: {name} is a section, not {value!r}")
        return value


def _named_sections(value: Any, source: str, name: str) -> Settings:
    """Return sections by name; those of a TOML array are named by their numbers, from 0 on."""
    sections = {str(index): entry for index, entry in enumerate(value)} if isinstance(value, list) else value
    if not isinstance(sections, dict):
        raise ValueError(f"{source}: {name} holds sections by name, not {value!r}")
    for part in sections:
        if not part.isalnum() or not part.isascii():
            raise ValueError(f"{source}: {name}.{part}: names may have letters and digits only")
    return sections


@cache
def with_fields_of(part: Any, kind: Any, flag: str) -> type[KindSettings]:
    """Return a class of settings with the fields of both.

    Raises:
        ValueError: Both have a field of one name; names the flag of the section.
    """
    if issubclass(part, kind):  # the kind has no settings
        return part  # type: ignore[no-any-return]
    own, added = ({field.name for field in dataclasses.fields(cls)} - {"kind"} for cls in (kind, part))
    if taken := own & added:
        raise ValueError(f"{flag}: the kind has a setting {min(taken)!r}, which every part has already")
    return dataclass(frozen=True, kw_only=True)(type(kind.__name__, (kind, part), {"__module__": __name__}))


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
    if isinstance(settings, Mapping):
        return {name: to_settings(part) for name, part in settings.items()}
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {
        name: to_settings(value) if dataclasses.is_dataclass(value) or isinstance(value, Mapping) else value
        for name, value in values.items()
    }


@cache
def field_meanings(cls: Any) -> Mapping[str, str]:
    """Return the meaning of each field of a dataclass: the string below it, in the class or in a base."""
    meanings: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not hasattr(base, "__dataclass_fields__") or not vars(base).get("__annotations__"):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                meanings[field.target.id] = " ".join(str(below.value.value).split())
    return meanings
