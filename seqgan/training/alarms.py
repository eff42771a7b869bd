"""Warnings about runs that go wrong, while there is still time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COLLAPSED_ENTROPY = 0.5  # of the entropy at the first policy step
COLLAPSED_UNIQUE = 0.8  # of the unique share at the first evaluation
PINNED_ROWS = 20  # rows in a row


class TrainingDiverged(ValueError):
    """A loss or gradient is not finite any more."""


@dataclass
class Alarms:
    """Looks at every logged row and gives the names of what is wrong in it.

    ``entropy_collapse`` and ``duplicates``: mode collapse. ``discriminator_perfect`` and
    ``discriminator_guessing``: its accuracy has been at 1 or 0.5 for many rows, so its reward tells nothing.
    """

    first: dict[str, float] = field(default_factory=dict)
    pinned: dict[str, int] = field(default_factory=dict)

    def check(self, row: Mapping[str, float]) -> dict[str, bool]:
        """The alarms that the row has something to say about, and whether each rings.

        Raises:
            TrainingDiverged: A loss or gradient norm is not finite; names it.
        """
        for name, value in row.items():
            if not math.isfinite(value) and name.endswith(("loss", "gradient_norm")):
                raise TrainingDiverged(
                    f"{name} is {value}: training has diverged; try a smaller learning rate"
                )
        alarms = {}
        if (entropy := row.get("policy/entropy")) is not None:
            alarms["entropy_collapse"] = entropy < COLLAPSED_ENTROPY * self.first.setdefault(
                "entropy", entropy
            )
        if (unique := row.get("evaluation/unique")) is not None:
            alarms["duplicates"] = unique < COLLAPSED_UNIQUE * self.first.setdefault("unique", unique)
        if (accuracy := row.get("discriminator/accuracy")) is not None:
            alarms["discriminator_perfect"] = self._pinned("perfect", accuracy >= 0.99)
            alarms["discriminator_guessing"] = self._pinned("guessing", abs(accuracy - 0.5) <= 0.02)
        return alarms

    def _pinned(self, name: str, now: bool) -> bool:
        self.pinned[name] = self.pinned.get(name, 0) + 1 if now else 0
        return self.pinned[name] >= PINNED_ROWS

    def state_dict(self) -> dict[str, Any]:
        """First values and counts."""
        return {"first": dict(self.first), "pinned": dict(self.pinned)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.first, self.pinned = dict(state["first"]), dict(state["pinned"])
