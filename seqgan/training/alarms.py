"""Alarms: what is going wrong in a run, what it means and what to do, while there is still time."""

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# One AUC of 200 against 200 sequences varies by .03; five in a row do not say the same by chance.
NUM_REFRESHES = 5
DUPLICATES = "duplicates"
REWARD_HACKING = "reward_hacking"


class TrainingDiverged(ValueError):
    """A loss, a gradient or a reward that is not finite any more."""


@dataclass(frozen=True)
class Alarm:
    """A condition on one metric, its meaning and its remedy."""

    name: str
    metric: str
    rings: Callable[[float, Sequence[float]], bool]
    """Whether it rings, given the metric's first value and its last ones."""
    meaning: str
    remedy: str
    window: int = 1
    """Number of last values; before there are so many it is silent."""
    while_rising: str = ""
    """A metric of the same rows that must stand above its first value for the alarm to ring."""


# The discriminator is judged on held-out text: on what it trains on it can be at .9 and know nothing.
ALARMS = (
    Alarm(
        "entropy_collapse",
        "policy/entropy",
        lambda first, last: last[-1] < 0.5 * first,
        "the policy's entropy is below half of its first value, it collapses onto few sequences",
        "lower --algorithm.learning-rate, or raise --algorithm.entropy-weight or --algorithm.kl-weight",
    ),
    Alarm(
        DUPLICATES,
        "evaluation/unique",
        lambda first, last: last[-1] < 0.8 * first,
        "the share of unique samples is below 0.8 of its first value, the policy repeats itself",
        "lower --algorithm.learning-rate, or raise --algorithm.entropy-weight or --algorithm.kl-weight",
    ),
    Alarm(
        "discriminator_guessing",
        "discriminator/auc_held_out",
        lambda first, last: max(last) < 0.55,
        "five times in a row the discriminator could not tell held-out text from samples, "
        "its reward is noise",
        "train it longer or regularise it more, or choose another --discriminator.kind",
        window=NUM_REFRESHES,
    ),
    Alarm(
        "discriminator_perfect",
        "discriminator/accuracy_held_out",
        lambda first, last: min(last) > 0.99,
        "five times in a row the discriminator told all held-out text from samples, its reward is the same "
        "for all of them",
        "pre-train the generator longer, lower --discriminator-training.learning-rate or "
        "--adversarial.discriminator-refreshes, or choose --reward.transform logit",
        window=NUM_REFRESHES,
    ),
    Alarm(
        "no_signal",
        "policy/advantage_std",
        lambda first, last: max(last) < 1e-6,
        "ten steps in a row all actions were worth the same, so nothing was learned",
        "read the samples of the highest and lowest rewards in TensorBoard: a rule that no sample meets, or "
        "that all meet, has nothing to teach; larger groups or batches find more",
        window=10,
    ),
    Alarm(
        REWARD_HACKING,
        "evaluation/forward_perplexity",
        lambda first, last: last[-1] > 1.5 * first,
        "the reward rises while samples become less and less like real text: the policy has found what the "
        "reward does not see",
        "raise --algorithm.kl-weight, or add a reward that sees it (--rewards.NAME.kind)",
        while_rising="evaluation/reward",
    ),
)
BY_NAME = {alarm.name: alarm for alarm in ALARMS}


@dataclass(frozen=True)
class AlarmChange:
    """An alarm that has begun to ring, or ceased."""

    name: str
    ringing: bool
    step: int
    phase: str
    value: float
    """Of its metric."""
    first: float
    """The metric's first value in the run."""

    @property
    def text(self) -> str:
        """One line: the value, and when it has begun the meaning and the remedy."""
        alarm = BY_NAME[self.name]
        fact = f"{alarm.metric} is {self.value:.3g}, at first {self.first:.3g}"
        if not self.ringing:
            return f"{self.name} has ceased: {fact}"
        return f"{self.name}: {fact}: {alarm.meaning}; {alarm.remedy}"


class Alarms:
    """The alarms of a run: looks at every logged row, and remembers which rang and when.

    Those that are ``silent`` never ring: what they compare with its first value is not the same thing later.
    """

    def __init__(self, silent: Collection[str] = ()) -> None:
        self.silent = silent
        self.changes: list[AlarmChange] = []
        self._first: dict[str, float] = {}  # of a metric
        self._last: dict[str, list[float]] = {}  # for each alarm, as many as its window holds

    @property
    def ringing(self) -> set[str]:
        """Names of the alarms that ring now."""
        return {name for name, ringing in {c.name: c.ringing for c in self.changes}.items() if ringing}

    def check(self, row: Mapping[str, float], *, step: int, phase: str) -> list[AlarmChange]:
        """Return the alarms that begin or cease to ring with this row.

        Raises:
            TrainingDiverged: A loss, a gradient norm or the mean reward is not finite; names it.
        """
        check_finite(row)
        changes = []
        for alarm in ALARMS:
            value = row.get(alarm.metric, math.nan)
            beside = row.get(alarm.while_rising, math.nan) if alarm.while_rising else 0.0
            if alarm.name in self.silent or not (math.isfinite(value) and math.isfinite(beside)):
                continue
            rises = not alarm.while_rising or beside > self._first.setdefault(alarm.while_rising, beside)
            first = self._first.setdefault(alarm.metric, value)
            last = self._last[alarm.name] = [*self._last.get(alarm.name, ()), value][-alarm.window :]
            ringing = len(last) == alarm.window and rises and alarm.rings(first, last)
            if ringing != (alarm.name in self.ringing):
                changes.append(AlarmChange(alarm.name, ringing, step, phase, value, first))
        self.changes += changes
        return changes

    def summary(self) -> list[str]:
        """Return a line for each alarm that has rung, in the order in which they first did."""
        rung: dict[str, list[AlarmChange]] = {}
        for change in self.changes:
            rung.setdefault(change.name, []).append(change)
        return [_summarize(changes) for changes in rung.values()]

    def state_dict(self) -> dict[str, Any]:
        """Return first and last values, and all changes."""
        changes = [dataclasses.asdict(change) for change in self.changes]
        return {"changes": changes, "first": dict(self._first), "last": dict(self._last)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.changes = [AlarmChange(**change) for change in state["changes"]]
        self._first, self._last = dict(state["first"]), dict(state["last"])


def _summarize(changes: list[AlarmChange]) -> str:
    """Return what is to be said at the end about one alarm, from its changes in their order."""
    first, last = changes[0], changes[-1]
    times = sum(change.ringing for change in changes)
    since = f"rang at step {first.step} of {first.phase}" + (
        f" and {times} times in all" if times > 1 else ""
    )
    now = "still rings" if last.ringing else f"ceased at step {last.step} of {last.phase}"
    return f"{since}, {now}: {first.text}"


def check_finite(metrics: Mapping[str, float]) -> None:
    """Refuse metrics of a step that no later step can mend.

    Raises:
        TrainingDiverged: A loss, a gradient norm or the mean reward is not finite; names it.
    """
    reward = metrics.get("reward/mean", 0.0)
    if not math.isfinite(reward):
        raise TrainingDiverged(f"reward/mean is {reward}: the reward gave numbers that are not finite")
    for name, value in metrics.items():
        if not math.isfinite(value) and name.endswith(("loss", "gradient_norm")):
            raise TrainingDiverged(f"{name} is {value}: training has diverged; try a smaller learning rate")
