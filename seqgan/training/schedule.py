"""Schedules: phases of training as tables of turns, and the one way of going through a phase.

A phase is so many rounds of the same turns. In each turn one trainer takes a number of steps. SeqGAN, the
interleaved pre-training of LeakGAN and any other schedule are rows of such a table::

    phase           rounds   turns
    mle             20       mle 80 steps
    discriminator   10       discriminator 471 steps
    adversarial     100      policy 1 step, discriminator 471 steps, mle 0 steps
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, runtime_checkable

from torch import Tensor

from seqgan.config.ranges import Range
from seqgan.runtime.optimization import schedule_rate
from seqgan.runtime.tracking import Projection
from seqgan.runtime.trainer import Stateful, StepReport, Trainer


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings:
    """The schedule of adversarial training: each round has policy, discriminator and likelihood steps."""

    rounds: Annotated[int, Range(minimum=0)] = 100
    """Rounds in all."""
    policy_steps: Annotated[int, Range(minimum=0)] = 1
    """Policy steps per round."""
    cosine_decay: bool = False
    """Lower the policy's step size to 0 over the rounds, along a cosine; otherwise it stays."""
    discriminator_refreshes: Annotated[int, Range(minimum=0)] = 1
    """Sets of fresh negatives that the discriminator goes through per round; 0 freezes it."""
    mle_steps: Annotated[int, Range(minimum=0)] = 0
    """Maximum-likelihood steps at the end of each round."""
    mle_rate: Annotated[float, Range(minimum=0)] = 0.1
    """Step size of those, as a share of the largest of pre-training."""
    evaluation_interval: Annotated[int, Range(minimum=1)] = 10
    """Rounds between two evaluations."""

    @property
    def num_policy_steps(self) -> int:
        """Policy steps in all."""
        return self.rounds * self.policy_steps


@dataclass(frozen=True)
class Turn:
    """A row of the table: which trainer takes how many steps, and when."""

    trainer: str
    steps: int
    every: int = 1
    """Rounds between two of these turns; the first is in the first round."""
    rate: float = 1.0
    """Share of the trainer's learning rate."""
    warmup_steps: int = 0
    cosine_decay: bool = False

    def steps_in(self, round_index: int) -> int:
        """Return the steps of this turn in a round."""
        return 0 if round_index % self.every else self.steps


@dataclass(frozen=True)
class Phase:
    """A table of turns with the rules for stopping early and for keeping the best."""

    name: str
    rounds: int
    turns: Sequence[Turn]
    interval: int = 1
    """Rounds between two assessments; the last round always ends with one."""
    patience: int = 0
    """Assessments without a better figure after which the phase ends; 0 never ends it."""
    keep_best: bool = False
    """Whether the best weights go on rather than the last."""
    trains_generator: bool = True
    """Whether what the phase has done so far is worth saving as a generator."""

    def total_steps(self, turn: Turn) -> int:
        """Return the steps of a turn in all rounds."""
        return turn.steps * -(-self.rounds // turn.every)


@runtime_checkable
class Assessment(Protocol):
    """The assessment of what a phase has reached."""

    @property
    def loss(self) -> float:
        """The figure by which the best is kept; lower is better."""

    @property
    def metrics(self) -> Mapping[str, Tensor | float]:
        """Scalars by ``group/name``."""

    @property
    def texts(self) -> Mapping[str, Sequence[str]]:
        """Text worth reading, by name: lines, the most important first."""

    @property
    def projections(self) -> Mapping[str, Projection]:
        """Vectors worth looking at, by name."""


@dataclass(frozen=True)
class Figure:
    """An assessment by one figure."""

    loss: float
    metrics: Mapping[str, Tensor | float]
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    projections: Mapping[str, Projection] = field(default_factory=dict)


@dataclass(frozen=True)
class Advance:
    """What one step of a phase has brought."""

    report: StepReport
    assessment: Assessment | None = None
    """At the end of a round that is assessed."""
    conclusion: Assessment | None = None
    """At the end of the phase."""


class PhaseRun:
    """A phase on its way: where it stands, and the best so far.

    ``assess`` measures what has been reached; ``conclude`` measures once more when the phase ends. ``kept``
    is the object whose best state goes on. With ``assess_start`` what the phase starts from counts among the
    best; otherwise it is the best until there is another. ``on_best`` is called with every new best.
    """

    def __init__(
        self,
        phase: Phase,
        trainers: Mapping[str, Trainer],
        *,
        assess: Callable[[], Assessment],
        conclude: Callable[[], Assessment] | None = None,
        kept: Stateful | None = None,
        on_best: Callable[[], object] = lambda: None,
        assess_start: bool = False,
    ) -> None:
        self.phase = phase
        self.trainers = trainers
        self.assess = assess
        self.conclude = conclude
        self.kept = kept
        self.on_best = on_best
        self.assess_start = assess_start
        self.round = 0
        self.taken = [0] * len(phase.turns)
        """Steps of each turn so far, in all rounds."""
        self.best_loss = math.inf
        self.failures = 0
        self.best: Any = None

    @property
    def name(self) -> str:
        """The name of the phase."""
        return self.phase.name

    @property
    def step(self) -> int:
        """Steps taken."""
        return sum(self.taken)

    @property
    def num_steps(self) -> int:
        """Steps of all rounds; stopping early may make them fewer."""
        return sum(self.phase.total_steps(turn) for turn in self.phase.turns)

    @property
    def done(self) -> bool:
        """Whether all rounds are done, or there has been nothing better for too long."""
        out_of_patience = 0 < self.phase.patience <= self.failures
        return not self.num_steps or self.round >= self.phase.rounds or out_of_patience

    def start(self) -> Assessment | None:
        """Prepare the trainers; return the assessment of what the phase starts from, where it counts."""
        for name in dict.fromkeys(turn.trainer for turn in self.phase.turns if turn.steps):
            self.trainers[name].start()
        if not self.assess_start or self.done:
            self.on_best()
            return None
        assessment = self.assess()
        self._keep_if_best(assessment)
        self.failures = 0
        return assessment

    def advance(self) -> Advance:
        """Take the next step; assess at the end of every so many rounds, and keep the best."""
        index = self._next_turn()
        turn = self.phase.turns[index]
        share = schedule_rate(
            self.taken[index],
            self.phase.total_steps(turn),
            warmup_steps=turn.warmup_steps,
            cosine_decay=turn.cosine_decay,
        )
        report = self.trainers[turn.trainer].step(turn.rate * share)
        self.taken[index] += 1
        if self._next_turn() is not None:
            return Advance(report)
        self.round += 1
        if self.round % self.phase.interval and self.round < self.phase.rounds:
            return Advance(report)
        assessment = self.assess()
        self._keep_if_best(assessment)
        conclusion = self.conclude() if self.conclude is not None and self.done else None
        return Advance(report, assessment, conclusion)

    def _next_turn(self) -> Any:
        """Return the index of the turn whose step is next in this round; None at its end."""
        for index, turn in enumerate(self.phase.turns):
            before = turn.steps * -(-self.round // turn.every)  # in the rounds before this one
            if self.taken[index] - before < turn.steps_in(self.round):
                return index
        return None

    def _keep_if_best(self, assessment: Assessment) -> None:
        if assessment.loss < self.best_loss:
            self.best_loss, self.failures = assessment.loss, 0
            if self.phase.keep_best and self.kept is not None:
                self.best = copy.deepcopy(dict(self.kept.state_dict()))
            self.on_best()
        else:
            self.failures += 1

    def finish(self) -> None:
        """Let the best go on, where it is to be kept."""
        if self.best is not None and self.kept is not None:
            self.kept.load_state_dict(self.best)

    def summary(self) -> str:
        """Return in one line how far the phase has come, and why it ended."""
        reason = ""
        if self.round < self.phase.rounds and self.done and self.num_steps:
            reason = f", stopped: {self.failures} assessments in a row were no better"
        return f"{self.name}: {self.round} of {self.phase.rounds} rounds{reason}"

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the best so far; the trainers are saved beside it."""
        return {
            "round": self.round,
            "taken": list(self.taken),
            "best_loss": self.best_loss,
            "failures": self.failures,
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.round, self.taken = state["round"], list(state["taken"])
        self.best_loss, self.failures, self.best = state["best_loss"], state["failures"], state["best"]
