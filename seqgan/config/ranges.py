"""Ranges of settings, as annotations of their fields."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Range:
    """The values a number may take: ``minimum <= value <= maximum``, or strictly inside with ``open``."""

    minimum: float = -math.inf
    maximum: float = math.inf
    open: bool = False

    def contains(self, value: float) -> bool:
        """Return whether ``value`` lies in the range; NaN never does."""
        if self.open:
            return self.minimum < value < self.maximum
        return self.minimum <= value <= self.maximum

    def __str__(self) -> str:
        """Return the range in words, for error messages."""
        low, high = ("more than", "less than") if self.open else ("at least", "at most")
        bounds = []
        if self.minimum != -math.inf:
            bounds.append(f"{low} {self.minimum:g}")
        if self.maximum != math.inf:
            bounds.append(f"{high} {self.maximum:g}")
        return " and ".join(bounds) or "finite"


class Repeated:
    """Mark a tuple whose flag is given once for each entry."""
