"""Alarms that rang while a run was trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqgan.training.alarms import BY_NAME


@dataclass(frozen=True)
class RungAlarm:
    """An alarm that rang, and in which rows of a run."""

    name: str
    phase: str
    """The phase in which it rang first."""
    first_step: int
    times: int
    """How often it began to ring."""
    still_rings: bool

    @property
    def meaning(self) -> str:
        """Return what it means that it rings, and what to do."""
        return f"{BY_NAME[self.name].meaning}; {BY_NAME[self.name].remedy}" if self.name in BY_NAME else ""


def find_alarms(rows: Sequence[Mapping[str, Any]]) -> list[RungAlarm]:
    """Return those that rang, in the order in which they first did."""
    changes: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if "alarm" in row:
            changes.setdefault(row["alarm"], []).append(row)
    return [
        RungAlarm(
            name,
            phase=rows[0]["phase"],
            first_step=rows[0]["step"],
            times=sum(row["ringing"] for row in rows),
            still_rings=rows[-1]["ringing"],
        )
        for name, rows in changes.items()
    ]
