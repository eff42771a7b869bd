"""Settings: frozen dataclasses beside their components, ranges in their annotations, one validator.

A component's settings are a frozen keyword-only dataclass whose fields carry their range as
``Annotated[int, Range(minimum=1)]`` and their meaning as the string below them. A section that
comes in several kinds derives from :class:`KindSettings`; a table of :class:`Component` says
which kinds there are. Values come from a preset, then the user's TOML file, then flags.
"""

import dataclasses
import difflib
import importlib
import json
import math
import tomllib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import tyro

Settings = dict[str, Any]
NONE = "none"  # how TOML, which has no null, says that a setting is None
WITHOUT_PREFIX = tyro.conf.arg(name="")  # for a nested section whose flags stand at the top
REPEATED: Any = tyro.conf.UseAppendAction  # for a tuple whose flag is given once for each entry
Config = TypeVar("Config")


@dataclass(frozen=True, kw_only=True)
class Range:
    """The values a number may take: ``minimum <= value <= maximum``, or strictly inside with ``open``."""

    minimum: float = -math.inf
    maximum: float = math.inf
    open: bool = False

    def contains(self, value: float) -> bool:
        """Whether ``value`` lies in the range (NaN never does)."""
        if self.open:
            return self.minimum < value < self.maximum
        return self.minimum <= value <= self.maximum

    def __str__(self) -> str:
        """The range in words, for error messages."""
        low, high = ("more than", "less than") if self.open else ("at least", "at most")
        bounds = []
        if self.minimum != -math.inf:
            bounds.append(f"{low} {self.minimum:g}")
        if self.maximum != math.inf:
            bounds.append(f"{high} {self.maximum:g}")
        return " and ".join(bounds) or "finite"


@dataclass(frozen=True, kw_only=True)
class KindSettings:
    """Settings of a component that comes in several kinds."""

    kind: str
    """Which one: a built-in name, or an import path package.module:name of a Component."""


@dataclass(frozen=True)
class Component:
    """One kind of a component: the class of its settings and the function that builds it from them."""

    config: type[KindSettings]
    build: Callable[..., Any]


def find_component(kind: str, table: Mapping[str, Component], path: str) -> Component:
    """The built-in component of that name, or the one at an import path ``package.module:name``.

    Raises:
        ValueError: There is none; names the flag and the built-in names.
    """
    if kind in table:
        return table[kind]
    module, _, name = kind.partition(":")
    if not name:
        raise ValueError(
            f"{flag_name(path)}: no {kind!r}; choose {', '.join(sorted(table))} or package.module:name"
        )
    try:
        component = getattr(importlib.import_module(module), name)
    except Exception as error:  # somebody else's module may fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{flag_name(path)}: cannot import {kind!r}: {reason}") from error
    if not isinstance(component, Component):
        raise ValueError(f"{flag_name(path)}: {kind!r} is no seqgan.config.schema.Component")
    return component


def flag_name(path: str) -> str:
    """The command-line flag of the setting at the dotted ``path``."""
    return "--" + path.replace("_", "-")


def validate(config: Any, path: str = "") -> None:
    """Check every annotated range in a tree of settings.

    Raises:
        ValueError: A value is outside its range; names the flag, the value and the range.
    """
    hints = get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = f"{path}{field.name}"
        if dataclasses.is_dataclass(value):
            validate(value, f"{name}.")
            continue
        for number in _numbers(value):
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


def read_toml(path: Path) -> Settings:
    """The settings in a TOML file.

    Raises:
        ValueError: The file is missing or no TOML; names it.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as TOML settings: {error}") from error


def merge(*layers: Settings) -> Settings:
    """Nested settings, later layers over earlier ones; a change of ``kind`` drops the older section."""
    merged: Settings = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            if isinstance(value, dict) and isinstance(old, dict):
                changed = "kind" in value and value["kind"] != old.get("kind")
                merged[key] = merge({}, value) if changed else merge(old, value)
            else:
                merged[key] = value
    return merged


def from_settings(
    cls: type[Config],
    settings: Settings,
    tables: Mapping[str, Mapping[str, Component]],
    source: str,
    path: str = "",
) -> Config:
    """A tree of settings of class ``cls`` from nested dictionaries.

    ``tables`` maps a dotted path to the kinds that the section may be; its ``kind`` picks the class.

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
        name, kind_of = f"{path}{key}", hints[key]
        section = settings.get(key, {})
        if name in tables:
            chosen = _chosen_kind(section, field, source, name)
            kind_of = find_component(chosen, tables[name], f"{name}.kind").config
            section = {**section, "kind": chosen}
        if dataclasses.is_dataclass(kind_of):
            if not isinstance(section, dict):
                raise ValueError(f"{source}: {name} is a section, not {section!r}")
            values[key] = from_settings(cast(type, kind_of), section, tables, source, f"{name}.")
        elif key in settings:
            values[key] = _convert(settings[key], kind_of, source, name)
    return cls(**values)


def _chosen_kind(section: Any, field: "dataclasses.Field[Any]", source: str, name: str) -> str:
    if not isinstance(section, dict):
        raise ValueError(f"{source}: {name} is a section, not {section!r}")
    default = field.default_factory() if callable(field.default_factory) else field.default
    kind = section.get("kind", getattr(default, "kind", None))
    if not isinstance(kind, str):
        raise ValueError(f"{source}: {name}.kind must be a name, not {kind!r}")
    return kind


def _convert(value: Any, hint: Any, source: str, name: str) -> Any:
    """``value`` as read from TOML as the type that ``hint`` asks for."""
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
    wanted = (
        f"one of {', '.join(map(repr, arguments))}" if origin is Literal else getattr(hint, "__name__", hint)
    )
    raise ValueError(f"{source}: {name} must be {wanted}, not {value!r}")


def to_settings(config: Any) -> Settings:
    """The tree as nested dictionaries."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        name: to_settings(value) if dataclasses.is_dataclass(value) else value
        for name, value in values.items()
    }


def to_toml(settings: Settings, path: str = "") -> str:
    """Nested settings as TOML text that :func:`read_toml` reads back."""
    lines = [
        f"{key} = {_toml_value(value)}" for key, value in settings.items() if not isinstance(value, dict)
    ]
    for key, value in settings.items():
        if isinstance(value, dict):
            lines += ["", f"[{path}{key}]", to_toml(value, f"{path}{key}.").rstrip()]
    return "\n".join(lines).lstrip() + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if value is None:
        return json.dumps(NONE)
    if isinstance(value, bool | str | Path):
        text = json.dumps(value if isinstance(value, bool) else str(value), ensure_ascii=False)
        return text.replace("\x7f", "\\u007f")  # of the characters that TOML forbids, JSON allows this one
    return repr(value)


def flatten(settings: Settings, path: str = "") -> Settings:
    """Nested settings as one dictionary with dotted names."""
    flat: Settings = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return flat
