"""Phases as tables of turns, against a list of what must happen in which order."""

import math

import pytest

from seqgan.runtime.trainer import StepReport, Trainer
from seqgan.training.schedule import Figure, Phase, PhaseRun, Turn


class Recorder:
    """A trainer that writes down when it starts and steps, and at which rate."""

    def __init__(self, name, calls, steps_per_turn=1):
        self.name = name
        self.calls = calls
        self.steps_per_turn = steps_per_turn

    def start(self):
        self.calls.append(f"start {self.name}")

    def step(self, rate=1.0):
        self.calls.append((self.name, rate))
        return StepReport({f"{self.name}/loss": 1.0})

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class Weights:
    """What a phase keeps the best of."""

    def __init__(self):
        self.values = [0]  # changes in place, as tensors do

    def state_dict(self):
        return {"values": self.values}

    def load_state_dict(self, state):
        self.values[:] = state["values"]


def make(phase, losses=(), **options):
    """A run of the phase whose assessments give these losses in turn."""
    calls = []
    trainers = {name: Recorder(name, calls) for name in ("policy", "discriminator", "mle")}
    found = iter(losses)

    def assess():
        calls.append("assess")
        return Figure(next(found), {})

    return PhaseRun(phase, trainers, assess=assess, on_best=lambda: calls.append("best"), **options), calls


def go(run):
    advances = []
    run.start()
    while not run.done:
        advances.append(run.advance())
    return advances


def names(calls):
    return [call if isinstance(call, str) else call[0] for call in calls]


def test_the_recorder_meets_the_contract():
    assert isinstance(Recorder("x", []), Trainer)


def test_a_round_is_its_turns_in_their_order():
    turns = [Turn("policy", 2), Turn("discriminator", 1), Turn("mle", 0)]
    run, calls = make(Phase("p", 2, turns, interval=2), [1.0])
    assert run.num_steps == 6
    go(run)
    one_round = ["policy", "policy", "discriminator"]
    assert names(calls) == [
        *("start policy", "start discriminator", "best"),
        *one_round,
        *one_round,
        *("assess", "best"),
    ]
    assert run.step == 6 and run.round == 2


def test_a_turn_may_come_every_so_many_rounds_the_first_in_the_first():
    turns = [Turn("discriminator", 2, every=3), Turn("mle", 1)]
    run, calls = make(Phase("p", 5, turns, interval=5), [1.0])
    go(run)
    steps = [name for name in names(calls) if name in ("discriminator", "mle")]
    visit = ["discriminator"] * 2
    assert steps == [*visit, *["mle"] * 3, *visit, *["mle"] * 2]
    assert run.num_steps == run.step == 9


def test_rates_follow_each_turns_own_schedule():
    turns = [Turn("policy", 1, cosine_decay=True), Turn("mle", 1, rate=0.5, warmup_steps=2)]
    run, calls = make(Phase("p", 4, turns, interval=4), [1.0])
    go(run)
    policy = [rate for name, rate in (c for c in calls if isinstance(c, tuple)) if name == "policy"]
    mle = [rate for name, rate in (c for c in calls if isinstance(c, tuple)) if name == "mle"]
    assert policy == pytest.approx([0.5 * (1 + math.cos(math.pi * t / 4)) for t in range(4)])
    assert mle == pytest.approx([0.25, 0.5, 0.5, 0.5])


def test_assessments_come_at_the_interval_and_at_the_end():
    run, _ = make(Phase("p", 5, [Turn("mle", 1)], interval=2), [3.0, 2.0, 1.0])
    advances = go(run)
    assert [a.assessment is not None for a in advances] == [False, True, False, True, True]
    assert run.best_loss == 1.0


def test_patience_counts_assessments_and_a_tie_is_no_better():
    losses = [3.0, 2.0, 2.0, 2.5, 9.0]
    run, calls = make(Phase("p", 9, [Turn("mle", 1)], patience=2), losses)
    go(run)
    assert run.round == 4
    assert names(calls).count("assess") == 4
    assert run.summary() == "p: 4 of 9 rounds, stopped: 2 assessments in a row were no better"
    endless, _ = make(Phase("p", 5, [Turn("mle", 1)]), losses)
    go(endless)
    assert endless.round == 5
    assert endless.summary() == "p: 5 of 5 rounds"


@pytest.mark.parametrize(("keep_best", "value"), [(True, 2), (False, 4)])
def test_the_best_goes_on_where_it_is_to_be_kept(keep_best, value):
    weights = Weights()
    phase = Phase("p", 4, [Turn("mle", 1)], keep_best=keep_best)
    run, _ = make(phase, [5.0, 3.0, 3.0, 4.0], kept=weights)
    run.start()
    while not run.done:
        weights.values[0] += 1
        run.advance()
    run.finish()
    assert weights.values == [value]


def test_what_a_phase_starts_from_may_count_among_the_best():
    """An adversarial generator worse than the one it started from must not be called the best."""
    run, calls = make(Phase("p", 2, [Turn("policy", 1)]), [1.0, 2.0, 3.0], assess_start=True)
    assert run.start().loss == 1.0
    while not run.done:
        run.advance()
    assert names(calls).count("best") == 1
    assert names(calls).index("best") < names(calls).index("policy")
    assert run.best_loss == 1.0


def test_a_phase_without_steps_is_done_and_its_start_is_the_best():
    for phase in (Phase("p", 0, [Turn("mle", 3)]), Phase("p", 3, [Turn("mle", 0)])):
        run, calls = make(phase, assess_start=True)
        assert run.done
        assert run.start() is None
        assert calls[-1] == "best"
        run.finish()


def test_a_conclusion_is_drawn_once_at_the_end():
    run, _ = make(Phase("p", 3, [Turn("mle", 1)]), [1.0, 2.0, 3.0], conclude=lambda: Figure(7.0, {"x": 1.0}))
    advances = go(run)
    assert [a.conclusion is not None for a in advances] == [False, False, True]


def test_a_run_goes_on_from_any_step_as_if_it_had_not_stopped():
    turns = [Turn("discriminator", 2, every=2), Turn("policy", 2, cosine_decay=True)]
    phase, losses = Phase("p", 4, turns, patience=3, keep_best=True), [3.0, 1.0, 2.0, 2.0]

    def advance(run):
        run.kept.values[0] += 1
        run.advance()

    whole, expected = make(phase, losses, kept=Weights())
    whole.start()
    while not whole.done:
        advance(whole)
    total = whole.step
    whole.finish()
    assert 0 < whole.kept.values[0] < total  # the best is not the last
    for stop in range(total):
        first, calls = make(phase, losses, kept=Weights())
        first.start()
        for _ in range(stop):
            advance(first)
        done = names(calls).count("assess")
        second, more = make(phase, losses[done:], kept=Weights())
        second.kept.load_state_dict(first.kept.state_dict())
        second.load_state_dict(first.state_dict())
        while not second.done:
            advance(second)
        second.finish()
        assert calls + more == expected
        assert second.state_dict() == whole.state_dict()
        assert second.kept.values == whole.kept.values
