"""Softmax temperatures by number, or by the name of a published one.

A named temperature is for comparison with that publication only, and signatures show the name.
"""

from typing import Literal

Temperature = float | Literal["leakgan-official"]

TEMPERATURES = {
    "leakgan-official": 1 / 1.5,  # the official code of Guo et al. 2018 samples from logits times 1.5
}


def temperature_value(temperature: float | str) -> float:
    """The number.

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
    """The number, and the name of one that has a name: ``0.6667(leakgan-official)``."""
    if isinstance(temperature, str):
        return f"{temperature_value(temperature):.4f}({temperature})"
    return f"{temperature:g}"
