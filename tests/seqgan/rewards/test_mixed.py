"""Several rewards as one: sums by hand, running numbers against torch's, multipliers against a loop."""

import copy
import math

import pytest
import torch

from seqgan.rewards.mixed import MixedReward, RewardPart
from seqgan.rewards.reward import RewardedTrainer
from seqgan.rewards.text import TextReward
from seqgan.runtime.trainer import StepReport
from seqgan.text.token_batch import TokenBatch

MASK = torch.tensor([[True, True, True], [True, False, False]])


def batch_of(tokens=((3, 1, 2), (5, 9, 9))):
    tokens = torch.tensor(tokens)
    return TokenBatch(tokens, MASK[: len(tokens)])


def first(batch):
    return batch.tokens[:, 0].float()


def length(batch):
    return batch.mask.sum(1).float()


def tokens(batch):
    return torch.where(batch.mask, batch.tokens, 0).float()


def mixed(combination="sum", num_steps=5, **parts):
    rewards = {name: (reward, RewardPart(**settings)) for name, (reward, settings) in parts.items()}
    return MixedReward(rewards, combination=combination, num_steps=num_steps, device=torch.device("cpu"))


def test_the_sum_is_weighted():
    reward = mixed(a=(first, {"weight": 2.0}), b=(length, {"weight": -1.0}))
    assert reward(batch_of()).tolist() == [2 * 3 - 3, 2 * 5 - 1]


def test_beside_rewards_of_tokens_one_of_a_sequence_belongs_to_its_last_token():
    reward = mixed(a=(first, {"weight": 10.0}), b=(tokens, {}))
    assert reward(batch_of()).tolist() == [[3, 1, 2 + 30], [5 + 50, 0, 0]]


def test_the_geometric_mean_is_weighted_and_below_0_is_0():
    reward = mixed("geometric_mean", a=(first, {"weight": 3.0}), b=(length, {}))
    expected = [(3**3 * 3) ** 0.25, (5**3 * 1) ** 0.25]
    torch.testing.assert_close(reward(batch_of()), torch.tensor(expected))
    negative = mixed("geometric_mean", a=(lambda batch: -first(batch), {}), b=(length, {}))
    assert negative(batch_of()).max() < 1e-10
    with pytest.raises(ValueError, match="takes rewards of whole sequences only"):
        mixed("geometric_mean", a=(tokens, {}))(batch_of())


@pytest.mark.parametrize("reward", [first, tokens])
def test_normalised_scores_have_the_mean_and_deviation_of_all_before_this_step(reward):
    batches = [batch_of(((3, 1, 2), (5, 9, 9))), batch_of(((7, 1, 0), (0, 9, 9))), batch_of()]
    ours = mixed(a=(reward, {"normalise": True, "weight": 2.0}))
    assert torch.equal(ours(batches[0]), 2 * reward(batches[0]))  # nothing is known yet
    ours(batches[1])
    ours.finish_step()
    seen = [reward(batch)[MASK] if reward is tokens else reward(batch) for batch in batches[:2]]
    seen = torch.cat(seen)
    for _ in range(2):  # within a step the numbers stay
        expected = 2 * (reward(batches[2]) - seen.mean()) / seen.std(correction=0)
        expected = torch.where(MASK, expected, 0.0) if reward is tokens else expected
        torch.testing.assert_close(ours(batches[2]), expected)
    ours.finish_step()
    assert not torch.allclose(ours(batches[2]), expected)


def test_equal_scores_are_not_divided_by_nothing():
    reward = mixed(a=(lambda batch: torch.ones(len(batch)), {"normalise": True}))
    reward(batch_of())
    reward.finish_step()
    assert reward(batch_of()).tolist() == [0, 0]


def test_a_weight_goes_to_its_end_in_a_straight_line():
    reward = mixed(a=(first, {"weight": 1.0, "final_weight": 3.0}), num_steps=5)
    weights = []
    for _ in range(7):
        weights.append(float(reward(batch_of())[0]) / 3)
        assert reward.finish_step()["reward/weight_a"] == pytest.approx(weights[-1])
    assert weights == pytest.approx([1, 1.5, 2, 2.5, 3, 3, 3])


def test_a_floor_moves_its_weight_until_it_is_kept():
    """First is 3 and 5: 4 on average, below a floor of 6 and above one of 1."""
    reward = mixed(
        low=(first, {"weight": 0.5, "at_least": 6.0, "multiplier_rate": 0.1}),
        high=(first, {"weight": 0.5, "at_least": 1.0, "multiplier_rate": 0.1}),
    )
    for low, high in ((0.5, 0.5), (0.7, 0.2), (0.9, 0.0), (1.1, 0.0)):
        torch.testing.assert_close(reward(batch_of()), (low + high) * first(batch_of()))
        metrics = reward.finish_step()
        assert metrics["reward/weight_low"].item() == pytest.approx(low)
        assert metrics["reward/weight_high"].item() == pytest.approx(high)
        assert metrics["reward/part_low"] == 4
    assert reward.finish_step()["reward/weight_low"].item() == pytest.approx(1.3)
    assert reward.weight("low").item() == pytest.approx(1.3)  # nothing was scored, nothing has changed


def test_scoring_leaves_no_trace():
    reward = mixed(a=(first, {"normalise": True}), b=(length, {}))
    scores = reward.score(batch_of())
    assert torch.equal(scores["a"], first(batch_of())) and torch.equal(scores["b"], length(batch_of()))
    torch.testing.assert_close(reward.combine(scores, MASK), first(batch_of()) + length(batch_of()))
    assert reward.finish_step()["reward/part_b"] == 0


class Counting:
    """A reward with a state: it gives how often it was asked."""

    def __init__(self):
        self.calls = 0

    def __call__(self, batch):
        self.calls += 1
        return torch.full((len(batch),), float(self.calls))

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]


def test_its_state_goes_on_exactly():
    def build():
        return mixed(
            a=(first, {"normalise": True}),
            b=(length, {"at_least": 5.0}),
            c=(Counting(), {"final_weight": 0.0}),
        )

    one, two = build(), build()
    one(batch_of())
    one.finish_step()
    one(batch_of())  # in the middle of a step
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for _ in range(2):
        assert torch.equal(one(batch_of()), two(batch_of()))
        ours, theirs = one.finish_step(), two.finish_step()
        assert ours == theirs and all(math.isfinite(value) for value in ours.values())


def test_where_a_function_does_not_apply_its_part_is_nothing():
    """A function of text gives None for 'b': 0 in a sum, left out of a mean and of its running numbers."""

    class Letters:
        def decode(self, ids):
            return "ab"[ids[0] > 3]

    def of_a(completions):
        return [8.0 if text == "a" else None for text in completions]

    function = TextReward(of_a, language=Letters(), name="of_a")
    reward = mixed(a=(function, {"normalise": True}), b=(length, {}))
    assert reward(batch_of()).tolist() == [8 + 3, 1]
    assert reward.finish_step()["reward/part_a"] == 8
    assert reward(batch_of()).tolist() == [0 + 3, 1]  # normalised by the mean of those to which it applies
    product = mixed("geometric_mean", a=(function, {}), b=(length, {}))
    torch.testing.assert_close(product(batch_of()), torch.tensor([24.0**0.5, 1.0]))


def test_parts_hear_of_the_end_of_a_step():
    class Heard:
        def __call__(self, batch):
            return first(batch)

        def finish_step(self):
            return {"reward/heard": 7.0}

    reward = mixed(a=(Heard(), {}), b=(length, {}))
    assert reward.finish_step() == {"reward/heard": 7.0, "reward/part_a": 0.0, "reward/part_b": 0.0}


def test_a_step_of_the_trainer_is_a_step_of_the_reward():
    reward = mixed(a=(first, {"final_weight": 0.0}))

    class Inner:
        steps_per_turn = 3
        extra = "there"

        def start(self):
            pass

        def state_dict(self):
            return {"of": "inner"}

        def load_state_dict(self, state):
            pass

        def step(self, rate):
            reward(batch_of())
            return StepReport({"policy/loss": rate}, always=True)

    trainer = RewardedTrainer(Inner(), reward)
    assert (trainer.steps_per_turn, trainer.extra, trainer.state_dict()) == (3, "there", {"of": "inner"})
    report = trainer.step(0.5)
    assert report.metrics == {"policy/loss": 0.5, "reward/part_a": 4.0, "reward/weight_a": 1.0}
    assert report.always and reward.step == 1
