"""What the loop runs: phases, made of steps short enough to stop between any two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from seqgan.models.generator import Generator
from seqgan.runtime.tracking import Projection

Evaluate = Callable[[Generator], "Evaluation"]
KeepBest = Callable[[str], None]


@runtime_checkable
class Evaluation(Protocol):
    """What an evaluation during training gives: metrics, the one that decides, and what to look at."""

    @property
    def metrics(self) -> dict[str, float]:
        """As ``evaluation/name``."""

    @property
    def sentences(self) -> Sequence[str]:
        """Some samples."""

    @property
    def projections(self) -> Mapping[str, Projection]:
        """Vectors worth looking at, by name."""

    @property
    def loss(self) -> float:
        """The figure by which the best generator is kept; lower is better."""


@dataclass(frozen=True)
class StepResult:
    """What one step reports; ``always`` writes it whatever the logging interval."""

    metrics: Mapping[str, Tensor | float]
    always: bool = False
    evaluation: "Evaluation | None" = None
    values: Mapping[str, Tensor] = field(default_factory=dict)


@runtime_checkable
class Stateful(Protocol):
    """Anything a checkpoint holds."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that later steps depend on."""

    def load_state_dict(self, state: Any) -> object:
        """Put back what :meth:`state_dict` gave."""


@runtime_checkable
class Phase(Stateful, Protocol):
    """A part of training, from its first step to its last."""

    name: str
    trains_generator: bool
    """Whether what it has done so far is worth saving as a generator."""

    @property
    def step(self) -> int:
        """Steps done."""

    @property
    def num_steps(self) -> int:
        """Steps planned; early stopping may make them fewer."""

    @property
    def done(self) -> bool:
        """Whether no step is left."""

    def start(self) -> None:
        """Called once before the first step, not on resume."""

    def advance(self) -> StepResult:
        """Do one step."""

    def finish(self) -> None:
        """Called once after the last step: leave the models as the next phase wants them."""
