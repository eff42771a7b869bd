"""The contract of everything that learns step by step, and of everything that a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from seqgan.runtime.files import first_line


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


class Delegate:
    """An object that stands for another: it has all that the other has."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        """Return what only the object itself has."""
        if name == "inner":  # not there yet, as in a copy that is being made
            raise AttributeError(name)
        return getattr(self.inner, name)

    def start(self) -> None:
        """Prepare for a phase."""
        self.inner.start()

    def state_dict(self) -> Mapping[str, Any]:
        """Return the object's state."""
        state: Mapping[str, Any] = self.inner.state_dict()
        return state

    def load_state_dict(self, state: Any) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.inner.load_state_dict(state)


class Checked(Delegate):
    """An object from elsewhere whose name errors carry."""

    def __init__(self, inner: Any, name: str) -> None:
        super().__init__(inner)
        self.name = name


class CheckedTrainer(Checked):
    """A trainer whose reports are checked at every step.

    Raises:
        ValueError: At a step: it takes no rate, or what it returns is no report; one line that names it.
    """

    @property
    def steps_per_turn(self) -> int:
        """The number of steps in one turn of a round."""
        steps: object = self.inner.steps_per_turn
        if type(steps) is not int or steps < 1:
            raise ValueError(f"{self.name}: steps_per_turn is {steps!r}; it must be a whole number from 1 on")
        return steps

    def step(self, rate: float = 1.0) -> StepReport:
        """Take one step at ``rate`` times the learning rate."""
        try:
            report: object = self.inner.step(rate)
        except TypeError as error:  # it may not take what it is given
            raise ValueError(f"{self.name}: step raised TypeError: {first_line(error)}") from error
        if not isinstance(report, StepReport):
            raise ValueError(
                f"{self.name}: step returned {type(report).__name__}; it must return a StepReport"
            )
        if problem := metrics_problem(report.metrics):
            raise ValueError(f"{self.name}: step reported {problem}")
        histograms: object = report.histograms
        if not isinstance(histograms, Mapping) or not all(
            isinstance(name, str) and isinstance(values, Tensor) for name, values in histograms.items()
        ):
            raise ValueError(f"{self.name}: step reported histograms that are no dictionary of tensors")
        return report


TAKEN = ("step", "phase", "alarm", "crc32")  # by other entries of a row of metrics


def metrics_problem(metrics: object) -> str | None:
    """Return what is wrong with metrics that somebody else's code has returned, or None."""
    if not isinstance(metrics, Mapping):
        return f"{type(metrics).__name__}; metrics must be a dictionary of numbers by name"
    for name, value in metrics.items():
        if not isinstance(name, str) or name in TAKEN:
            return f"a metric named {name!r}; names must be text such as 'policy/loss'"
        is_number = isinstance(value, int | float) or (
            isinstance(value, Tensor) and value.dim() == 0 and not value.is_complex()
        )
        if not is_number:
            shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
            return f"{name} as a {type(value).__name__}{shape}; it must be one number"
    return None
