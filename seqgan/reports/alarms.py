"""Alarms that rang while a run was trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqgan.evaluation.metrics import METRICS

GROUP = "alarm/"


@dataclass(frozen=True)
class Alarm:
    """An alarm that rang, and in which rows of a run."""

    name: str
    phase: str
    """The phase in which it rang first."""
    first_step: int
    num_ringing: int
    """Rows in which it rang."""
    num_rows: int
    """Rows that had something to say about it."""

    @property
    def meaning(self) -> str:
        """The condition under which it rings."""
        return METRICS.get(f"{GROUP}{self.name}", "").removeprefix("1 while ")


def find_alarms(rows: Sequence[Mapping[str, Any]]) -> list[Alarm]:
    """Return the alarms that rang in at least one row, in the order in which they first did."""
    asked: dict[str, int] = {}
    ringing: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        for name, value in row.items():
            if name.startswith(GROUP):
                asked[name] = asked.get(name, 0) + 1
                if value:
                    ringing.setdefault(name, []).append(row)
    return [
        Alarm(name.removeprefix(GROUP), rang[0]["phase"], rang[0]["step"], len(rang), asked[name])
        for name, rang in ringing.items()
    ]
