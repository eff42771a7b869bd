"""The check of estimators that are written elsewhere."""

import pytest
import torch

from seqgan.advantages.action_values import ActionValues, AdvantageEstimator
from seqgan.advantages.check import CheckedEstimator
from seqgan.sampling.trajectories import Trajectories
from tests.tiny_models import tiny_generator

TOKENS = torch.tensor([[3, 4, 2], [4, 2, 0]])
MASK = torch.tensor([[True, True, True], [True, True, False]])
POLICY = tiny_generator("lstm", 5)  # whose tokens are 0 to 4


class Own:
    """Good, but for what a test puts in the place of its results."""

    size = 7

    def __init__(self, call=lambda values, trajectories: values, metrics=None):
        self.call, self.metrics, self.started = call, {} if metrics is None else metrics, False

    def start(self):
        self.started = True

    def __call__(self, policy, trajectories):
        zeros = torch.zeros(*trajectories.tokens.shape, 1)
        values = {"values": zeros + 1, "baseline": zeros, "mask": trajectories.mask}
        found = self.call({"actions": trajectories.tokens[..., None], **values}, trajectories)
        return ActionValues(**found) if isinstance(found, dict) else found

    def learn(self, trajectories, values):
        return self.metrics

    def state_dict(self):
        return {"started": self.started}

    def load_state_dict(self, state):
        self.started = state["started"]


def sequences():
    return Trajectories(tokens=TOKENS.clone(), mask=MASK.clone(), log_probs=torch.zeros(2, 3))


def changed(**parts):
    """Values with other parts, each from what it would be."""
    return lambda values, _: values | {name: part(values[name]) for name, part in parts.items()}


def behind(value):
    return lambda values, _: (
        values
        | {
            "values": torch.where(MASK[..., None], values["values"], value),
            "baseline": torch.where(MASK[..., None], values["baseline"], value),
        }
    )


def everything(cut):
    return lambda values, _: {name: cut(part) for name, part in values.items()}


def overwriting(values, trajectories):
    trajectories.tokens.zero_()
    return values


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda *_: None, "returned NoneType; it must return ActionValues"),
        (everything(lambda part: part[:, 1:]), r"returned values of shape \(2, 2, 1\); .* \(2, 3, K\)"),
        (everything(lambda part: part[1:]), r"returned values of shape \(1, 3, 1\)"),
        (everything(lambda part: torch.cat([part, part], 1)), r"returned values of shape \(2, 6, 1\)"),
        (
            changed(**dict.fromkeys(("actions", "values", "baseline"), lambda part: part[..., :0])),
            "returned no action to value",
        ),
        (changed(mask=torch.ones_like), "returned another mask"),
        (changed(values=lambda part: part * torch.nan), "returned values that are not finite"),
        (changed(baseline=lambda part: part + torch.inf), "returned baseline that are not finite"),
        (changed(values=lambda part: part.to("meta")), "returned values on meta; the sequences are on cpu"),
        (changed(actions=lambda part: part + 1), ".* no tokens; they must be from 0 to 4"),
        (changed(actions=lambda part: part - 3), ".* no tokens"),
        (overwriting, "changes the sequences that it values"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_the_estimator(call, complaint):
    with pytest.raises(ValueError, match=f"^estimator mine.py:E: {complaint}") as caught:
        CheckedEstimator(Own(call), "mine.py:E")(POLICY, sequences())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metrics", "complaint"),
    [
        ([1], "list; metrics must be a dictionary"),
        ({"a/b": "text"}, "a/b as a str"),
        ({"a/b": torch.ones(3)}, r"a/b as a Tensor of shape \(3,\)"),
        ({3: 1.0}, "a metric named 3"),
        ({"step": 1.0}, "a metric named 'step'"),
    ],
)
def test_metrics_that_are_no_numbers_are_named(metrics, complaint):
    checked = CheckedEstimator(Own(metrics=metrics), "E")
    trajectories = sequences()
    with pytest.raises(ValueError, match=f"^estimator E: learn returned {complaint}"):
        checked.learn(trajectories, checked(POLICY, trajectories))


def test_a_good_estimator_passes_and_is_asked_for_all_that_it_has():
    estimator = Own(behind(torch.nan), metrics={"own/loss": torch.tensor(2.0), "own/number": torch.tensor(1)})
    checked, trajectories = CheckedEstimator(estimator, "E"), sequences()
    assert isinstance(checked, AdvantageEstimator)
    checked.start()
    assert estimator.started and checked.size == 7
    values = checked(POLICY, trajectories)
    assert torch.equal(values.advantages[..., 0], MASK.float())
    assert checked.learn(trajectories, values) == estimator.metrics
    other = CheckedEstimator(Own(), "E")
    other.load_state_dict(checked.state_dict())
    assert other.started
