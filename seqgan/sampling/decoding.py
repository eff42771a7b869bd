"""How tokens are chosen from a generator's logits: softmax temperature, top-k, top-p.

Temperatures go by number, or by the name of a published one, which is for comparison with that
publication only; signatures show the name.
"""

from dataclasses import dataclass
from typing import Literal

Temperature = float | Literal["leakgan-official"]

TEMPERATURES = {
    "leakgan-official": 1 / 1.5,  # the official code of Guo et al. 2018 samples from logits times 1.5
}


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """One way of choosing tokens; written as in ``temperature=0.8,top_k=20``."""

    temperature: Temperature = 1.0
    """By which logits are divided."""
    top_k: int | None = None
    """Only so many likeliest tokens."""
    top_p: float | None = None
    """Only the fewest likeliest tokens that hold this share of the probability."""

    @property
    def truncated(self) -> bool:
        """Whether tokens are ruled out, so that real text may have likelihood 0."""
        return self.top_k is not None or self.top_p is not None

    def __str__(self) -> str:
        """Write temperature, and what rules tokens out."""
        parts = {"temperature": describe_temperature(self.temperature)}
        parts |= {n: f"{v:g}" for n, v in (("top_k", self.top_k), ("top_p", self.top_p)) if v is not None}
        return ",".join(f"{name}={value}" for name, value in parts.items())


def temperature_value(temperature: float | str) -> float:
    """Return the number.

    Raises:
        ValueError: There is no temperature of that name.
    """
    if not isinstance(temperature, str):
        return temperature
    if temperature not in TEMPERATURES:
        raise ValueError(
            f"--temperature: no {temperature!r}; choose a number or one of {', '.join(TEMPERATURES)}"
        )
    return TEMPERATURES[temperature]


def describe_temperature(temperature: float | str) -> str:
    """Return the number, and the name of one that has a name: ``0.6667(leakgan-official)``."""
    if isinstance(temperature, str):
        return f"{temperature_value(temperature):.4f}({temperature})"
    return f"{temperature:g}"
