"""The contract of everything that learns step by step, and of everything that a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Stateful(Protocol):
    """An object whose state a checkpoint holds."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return all that later steps depend on."""

    def load_state_dict(self, state: Any) -> object:
        """Restore what :meth:`state_dict` returned."""


@dataclass(frozen=True)
class StepReport:
    """The report of one step. Metrics stay tensors on the device until they are logged."""

    metrics: Mapping[str, Tensor | float]
    """Scalars by ``group/name``."""
    histograms: Mapping[str, Tensor] = field(default_factory=dict)
    """Values whose distribution is worth seeing."""
    always: bool = False
    """Whether the step is logged whatever the logging interval."""


@runtime_checkable
class Trainer(Stateful, Protocol):
    """One gradient step at a time: maximum likelihood, a discriminator, an algorithm."""

    @property
    def steps_per_turn(self) -> int:
        """The number of steps in one turn of a round: an epoch, a set of negatives, or 1."""

    def start(self) -> None:
        """Prepare for a phase. Called once before its first step, and not when it is resumed."""

    def step(self, rate: float = 1.0) -> StepReport:
        """Take one step at ``rate`` times the learning rate."""
