"""Settings: frozen dataclasses beside their components, ranges in their annotations, one validator.

A component's settings are a frozen keyword-only dataclass whose fields carry their range as
``Annotated[int, Range(minimum=1)]`` and their meaning as the string below them. A section that
comes in several kinds derives from :class:`ComponentConfig`.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, get_type_hints


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
class ComponentConfig:
    """Settings of a component that comes in several kinds."""

    kind: str
    """Which one: a name from the built-in table, or an import path ``package.module:Class``."""


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
        if value is None:
            continue
        for constraint in getattr(hints[field.name], "__metadata__", ()):
            values = value if isinstance(value, tuple) else (value,)
            if isinstance(constraint, Range) and not all(map(constraint.contains, values)):
                raise ValueError(f"{flag_name(name)}: {value} is out of range; it must be {constraint}")
