"""The check of rewards that are written elsewhere."""

import pytest
import torch

from seqgan.rewards.reward import CheckedReward, Reward, sequence_rewards
from seqgan.text.token_batch import TokenBatch

BATCH = TokenBatch(torch.arange(6).view(2, 3), torch.tensor([[True, True, True], [True, False, False]]))


def raises(batch):
    raise KeyError("no such word\nsecond line")


def changing(batch):
    batch.mask[0, 2] = False
    return torch.zeros(2)


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (raises, "raised KeyError"),
        (lambda batch: [1.0, 2.0], "returned list"),
        (
            lambda batch: torch.zeros(3),
            r"shape \(3,\) for 2 sequences of 3 tokens; it must be \(2,\) or \(2, 3\)",
        ),
        (lambda batch: torch.zeros(3, 2), r"shape \(3, 2\)"),
        (lambda batch: torch.zeros(()), r"shape \(\)"),
        (lambda batch: batch.lengths, "type torch.int64"),
        (lambda batch: torch.tensor([0.0, torch.nan]), "not finite .* for row 1"),
        (lambda batch: torch.tensor([torch.inf, 0.0]), "not finite .* for row 0"),
        (lambda batch: torch.tensor([0.0, 1e300], dtype=torch.float64), "not finite .* for row 1"),
        (lambda batch: torch.zeros(2, device="meta"), "without numbers in their places"),
        (lambda batch: torch.ones(2).to_sparse(), "without numbers in their places"),
        (changing, "changes the batch that it scores"),
        (lambda batch: torch.where(batch.tokens == 3, torch.nan, 1.0), "not finite .* for row 1"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_the_reward(function, complaint):
    with pytest.raises(ValueError, match=f"^reward mine.py:f: .*{complaint}") as caught:
        CheckedReward(function, "mine.py:f")(TokenBatch(BATCH.tokens.clone(), BATCH.mask.clone()))
    assert "\n" not in str(caught.value)
    assert "learning rate" not in str(caught.value)


def test_good_rewards_pass_and_padding_does_not_matter():
    whole = CheckedReward(lambda batch: batch.lengths.float(), "f")
    assert isinstance(whole, Reward)
    assert whole(BATCH).tolist() == [3.0, 1.0]
    dense = CheckedReward(lambda batch: torch.where(batch.mask, batch.tokens.float(), torch.nan), "f")
    assert dense(BATCH).tolist() == [[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_rewards_of_any_precision_become_those_of_the_models(dtype):
    found = CheckedReward(lambda batch: batch.lengths.to(dtype), "f")(BATCH)
    assert found.dtype == torch.float32 and found.tolist() == [3.0, 1.0]


def test_rewards_of_tokens_are_refused_where_whole_sequences_are_scored():
    assert sequence_rewards(lambda batch: batch.lengths.float(), BATCH).tolist() == [3.0, 1.0]
    with pytest.raises(ValueError, match="--estimator.kind: .* choose --estimator.kind returns"):
        sequence_rewards(lambda batch: batch.mask.float(), BATCH)


def test_the_state_of_a_reward_is_that_of_the_checked_one():
    class Counting:
        calls = 0

        def __call__(self, batch):
            self.calls += 1
            return batch.lengths.float()

        def state_dict(self):
            return {"calls": self.calls}

        def load_state_dict(self, state):
            self.calls = state["calls"]

    one, two = CheckedReward(Counting(), "f"), CheckedReward(Counting(), "f")
    one(BATCH)
    two.load_state_dict(one.state_dict())
    assert two.state_dict() == {"calls": 1}
    assert CheckedReward(lambda batch: batch.lengths.float(), "f").state_dict() == {}
