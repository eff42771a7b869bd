"""Nested settings as TOML, merged in layers."""

import json
import tomllib
from pathlib import Path
from typing import Any

Settings = dict[str, Any]
NONE = "none"  # how TOML, which has no null, says that a setting is None


def read_toml(path: Path) -> Settings:
    """Return the settings in a TOML file.

    Raises:
        ValueError: The file is missing or no TOML; names it.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{path}: cannot be read as TOML settings: it is nested too deeply") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as TOML settings: {error}") from error


def to_toml(settings: Settings, path: str = "") -> str:
    """Return nested settings as TOML text that :func:`read_toml` reads back."""
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
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str | Path):  # TOML forbids DEL unescaped, which JSON lets through
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def merge(*layers: Settings) -> Settings:
    """Return the layers over each other, later ones on top; a new ``kind`` drops the older section."""
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


def flatten(settings: Settings, path: str = "") -> Settings:
    """Return nested settings as one dictionary with dotted names."""
    flat: Settings = {}
    for key, value in settings.items():
        flat |= flatten(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return flat


def nest(flat: Settings) -> Settings:
    """Return the nested settings whose dotted names these are; undoes :func:`flatten`."""
    nested: Settings = {}
    for name, value in flat.items():
        *sections, key = name.split(".")
        section = nested
        for part in sections:
            section = section.setdefault(part, {})
        section[key] = value
    return nested
