"""The check of trainers that are written elsewhere."""

import pytest
import torch

from seqgan.runtime.trainer import CheckedTrainer, StepReport, Trainer


class Own:
    """Good, but for what a test puts in the place of its report."""

    size = 7

    def __init__(self, report=None, steps_per_turn=2):
        self.report, self.steps_per_turn, self.started, self.rates = report, steps_per_turn, False, []

    def start(self):
        self.started = True

    def step(self, rate=1.0):
        self.rates.append(rate)
        return self.report

    def state_dict(self):
        return {"rates": self.rates}

    def load_state_dict(self, state):
        self.rates = state["rates"]


def reporting(metrics, histograms):
    """A report as somebody else's code may build one: with run-time type checks that is not possible."""
    report = StepReport({})
    object.__setattr__(report, "metrics", metrics)
    object.__setattr__(report, "histograms", histograms)
    return report


@pytest.mark.parametrize(
    ("report", "complaint"),
    [
        (None, "step returned NoneType; it must return a StepReport"),
        ({"policy/loss": 1.0}, "step returned dict"),
        (reporting({"policy/loss": torch.ones(3)}, {}), r"reported policy/loss as a Tensor of shape \(3,\)"),
        (reporting({"policy/loss": torch.tensor(1j)}, {}), "reported policy/loss as a Tensor"),
        (reporting({"policy/loss": "low"}, {}), "reported policy/loss as a str"),
        (reporting({"phase": 1.0}, {}), "reported a metric named 'phase'"),
        (reporting({}, {"policy/values": [1.0]}), "histograms that are no dictionary of tensors"),
    ],
)
def test_what_is_no_report_is_one_line_that_names_the_trainer(report, complaint):
    with pytest.raises(ValueError, match=f"^algorithm mine.py:A: .*{complaint}") as caught:
        CheckedTrainer(Own(report), "algorithm mine.py:A").step()
    assert "\n" not in str(caught.value)


def test_a_trainer_that_takes_no_rate_is_named():
    trainer = Own()
    trainer.step = lambda: StepReport({})
    with pytest.raises(ValueError, match="^A: step raised TypeError: .* takes 0 positional arguments"):
        CheckedTrainer(trainer, "A").step()


@pytest.mark.parametrize("steps", [0, -1, None, "two", True])
def test_turns_have_steps(steps):
    with pytest.raises(ValueError, match="^A: steps_per_turn is .*; it must be a whole number from 1 on"):
        _ = CheckedTrainer(Own(steps_per_turn=steps), "A").steps_per_turn


def test_a_good_trainer_passes_and_is_asked_for_all_that_it_has():
    report = StepReport({"policy/loss": torch.tensor(2.0), "own/number": 1}, {"own/values": torch.ones(3)})
    trainer = Own(report)
    checked = CheckedTrainer(trainer, "A")
    assert isinstance(checked, Trainer)
    checked.start()
    assert trainer.started and checked.size == 7 and checked.steps_per_turn == 2
    assert checked.step(0.5) is report
    other = CheckedTrainer(Own(), "A")
    other.load_state_dict(checked.state_dict())
    assert other.inner.rates == [0.5]
