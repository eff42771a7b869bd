"""Rewards without information."""

import pytest
import torch

from seqgan.rewards.controls import (
    ConstantReward,
    ConstantRewardSettings,
    RandomReward,
    RandomRewardSettings,
    ShuffledReward,
    ShuffledRewardSettings,
)
from seqgan.rewards.reward import Reward
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import rng
from tests.tiny_run import tiny_experiment

TOKENS = torch.arange(40).view(20, 2)
MASK = torch.ones(20, 2, dtype=torch.bool)


def first_token(batch):
    """A logit that names the row."""
    return batch.tokens[:, 0].float() / 10 - 2


def test_a_constant_is_constant():
    reward = ConstantReward(ConstantRewardSettings(value=0.25), first_token)
    assert reward(TOKENS, MASK).tolist() == [0.25] * 20


def test_random_rewards_are_uniform_and_new_in_every_call():
    reward = RandomReward(RandomRewardSettings(), first_token, rng=rng())
    first, second = reward(TOKENS, MASK), reward(TOKENS, MASK)
    assert not torch.equal(first, second)
    many = torch.cat([reward(TOKENS, MASK) for _ in range(500)])
    assert float(many.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(many.var()) == pytest.approx(1 / 12, abs=0.005)


@pytest.mark.parametrize("transform", ["logit", "probability"])
def test_shuffled_rewards_are_the_discriminators_of_other_sequences(transform):
    reward = ShuffledReward(ShuffledRewardSettings(transform=transform), first_token, rng=rng())
    logits = first_token(TokenBatch(TOKENS, MASK))
    expected = logits if transform == "logit" else torch.sigmoid(logits)
    calls = [reward(TOKENS, MASK) for _ in range(200)]
    for found in calls:
        assert torch.equal(found.sort().values, expected.sort().values)
    means = torch.stack(calls).mean(0)  # no sequence keeps more of its own than any other
    spread = float(expected.std()) / 200**0.5
    assert float((means - expected.mean()).abs().max()) < 4.5 * spread


@pytest.mark.parametrize("kind", ["constant", "random", "shuffled"])
def test_controls_are_ordinary_settings(kind):
    experiment = tiny_experiment(None, {"reward": {"kind": kind}})
    assert isinstance(experiment.reward, Reward)
    experiment.train()
    assert experiment.loop.done()
