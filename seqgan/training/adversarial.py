"""The adversarial phase: one schedule for every algorithm and every reward."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, runtime_checkable

from seqgan.config.schema import Range
from seqgan.models.generator import Generator
from seqgan.runtime.trainer import StepReport
from seqgan.training.discriminator import DiscriminatorTrainer
from seqgan.training.mle import MLETrainer, learning_rate_factor
from seqgan.training.phase import Evaluate, Stateful, StepResult


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings:
    """The schedule of adversarial training: each round has policy, discriminator and MLE steps."""

    rounds: Annotated[int, Range(minimum=0)] = 100
    """Rounds in all."""
    policy_steps: Annotated[int, Range(minimum=1)] = 1
    """Policy-gradient steps per round."""
    cosine_decay: bool = False
    """Lower the policy's step size to 0 over the rounds, along a cosine; otherwise it stays."""
    mle_steps: Annotated[int, Range(minimum=0)] = 0
    """Maximum-likelihood steps at the end of each round."""
    mle_learning_rate: Annotated[float, Range(minimum=0)] = 1e-3
    """Adam step size of those."""
    discriminator_refreshes: Annotated[int, Range(minimum=0)] = 1
    """Sets of fresh negatives that the discriminator goes through per round; 0 freezes it."""
    evaluation_interval: Annotated[int, Range(minimum=1)] = 10
    """Rounds between two evaluations."""


@runtime_checkable
class Algorithm(Stateful, Protocol):
    """A way to improve the policy: a new one is one file with this class."""

    def start(self) -> None:
        """Called once, when the policy is the pre-trained one."""

    def step(self, rate: float = 1.0) -> StepReport:
        """One step at ``rate`` times the step size."""


class AdversarialPhase:
    """Rounds of policy, discriminator and MLE steps; ``step`` alone says where it stands."""

    name = "adversarial"
    trains_generator = True

    def __init__(
        self,
        settings: AdversarialSettings,
        algorithm: Algorithm,
        *,
        policy: Generator,
        mle: MLETrainer,
        discriminator: DiscriminatorTrainer,
        evaluate: Evaluate,
        on_best: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self.settings = settings
        self.algorithm = algorithm
        self.policy = policy
        self.mle = mle
        self.discriminator = discriminator
        self.evaluate = evaluate
        self.on_best = on_best
        self.step = 0
        self.best_loss = math.inf

    @property
    def steps_per_round(self) -> int:
        """Policy, discriminator and MLE steps of one round."""
        settings = self.settings
        refreshes = settings.discriminator_refreshes * self.discriminator.steps_per_refresh
        return settings.policy_steps + settings.mle_steps + refreshes

    @property
    def num_steps(self) -> int:
        """Steps of all rounds."""
        return self.settings.rounds * self.steps_per_round

    @property
    def done(self) -> bool:
        """Whether all rounds are done."""
        return self.step >= self.num_steps

    def start(self) -> None:
        """The policy as it is now is the one that the algorithm starts from."""
        self.discriminator.step = 0  # fresh negatives: those of pre-training may be half gone through
        self.algorithm.start()

    def advance(self) -> StepResult:
        """The next step of the round, and an evaluation at the end of every so many rounds."""
        settings = self.settings
        round_index, place = divmod(self.step, self.steps_per_round)
        self.step += 1
        if place < settings.policy_steps:
            index = round_index * settings.policy_steps + place
            total = settings.rounds * settings.policy_steps
            report = self.algorithm.step(learning_rate_factor(index, 0, total, settings.cosine_decay))
            result = StepResult(report.metrics, always=report.always, values=report.histograms)
        elif place < self.steps_per_round - settings.mle_steps:
            result = self.discriminator.train_step()
        else:  # last, since a generator that listens to the discriminator must get used to what it now says
            index = round_index * settings.mle_steps + place - (self.steps_per_round - settings.mle_steps)
            result = StepResult(self.mle.train_step(index, 1.0))
        finished, rest = divmod(self.step, self.steps_per_round)
        if rest or (finished % settings.evaluation_interval and finished < settings.rounds):
            return result
        return self._with_evaluation(result)

    def _with_evaluation(self, result: StepResult) -> StepResult:
        evaluation = self.evaluate(self.policy)
        if evaluation.loss < self.best_loss:
            self.best_loss = evaluation.loss
            self.on_best(self.name)
        metrics = {**result.metrics, **evaluation.metrics}
        return StepResult(metrics, always=True, evaluation=evaluation, values=result.values)

    def finish(self) -> None:
        """The last policy stays; the best lies beside it."""

    def state_dict(self) -> dict[str, Any]:
        """Position and the best figure; the trainers are saved beside it."""
        return {"step": self.step, "best_loss": self.best_loss, "mle": copy.copy(self.mle.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.step, self.best_loss = state["step"], state["best_loss"]
        self.mle.load_state_dict(state["mle"])
