"""Returns: against loops, and unbiased by enumeration."""

import copy

import pytest
import torch

from seqgan.advantages.returns import Returns, ReturnsSettings, rewards_to_go
from seqgan.sampling.sample import sample
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.token_batch import TokenBatch
from tests.references.enumeration import all_sequences, sequence_probabilities
from tests.tiny_models import KINDS, rng, tiny_generator

WEIGHTS = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7], [-0.4, 0.9, 0.1]])


def per_token(batch):
    """Depends on the token, its place and the token before."""
    scores = WEIGHTS[torch.arange(batch.tokens.shape[1]), batch.tokens]
    scores[:, 1:] += 0.5 * (batch.tokens[:, 1:] == batch.tokens[:, :-1])
    return torch.where(batch.mask, scores, torch.nan)  # behind the mask nothing is looked at


def per_sequence(batch):
    return torch.where(batch.mask, per_token(batch), 0.0).sum(1).square()


def make_returns(policy, reward, **settings):
    return Returns(ReturnsSettings(**settings), policy=policy, reward=reward, rng=rng())


@pytest.mark.parametrize("discount", [0.0, 0.7, 1.0])
def test_rewards_to_go_are_those_of_a_loop(discount):
    tokens, mask = all_sequences(3, 3, 2)
    rewards = per_token(TokenBatch(tokens, mask))
    found = rewards_to_go(rewards, mask, discount)
    for b in range(len(tokens)):
        length = int(mask[b].sum())
        for t in range(3):
            expected = sum(discount ** (s - t) * float(rewards[b, s]) for s in range(t, length))
            assert found[b, t].item() == pytest.approx(expected, abs=1e-6)


def test_a_reward_of_the_whole_sequence_is_the_value_of_every_token():
    policy = tiny_generator("lstm", 3)
    given = sample(policy, 30, 3, eos_id=2, rng=rng())
    found = make_returns(policy, per_sequence)(policy, given)
    expected = torch.where(given.mask, per_sequence(given)[:, None], 0.0)
    torch.testing.assert_close(found.values[..., 0], expected)
    assert torch.equal(found.actions[..., 0], given.tokens)
    discounted = make_returns(policy, per_sequence, discount=0.5)(policy, given).values[..., 0]
    steps_left = (given.mask.sum(1, keepdim=True) - 1 - torch.arange(3)).clamp(min=0)
    torch.testing.assert_close(discounted, expected * 0.5**steps_left)


@pytest.mark.parametrize("reward", [per_sequence, per_token])
@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_expected_gradient_is_that_of_the_expected_reward(kind, eos_id, reward):
    """Σ_Y p(Y) Σ_t ∇ log π(y_t) · value = ∇ Σ_Y p(Y) R(Y), with R the sum of the tokens' rewards."""
    policy = tiny_generator(kind, 3).eval()
    tokens, mask = all_sequences(3, 3, eos_id)
    batch = Trajectories(tokens=tokens, mask=mask, log_probs=torch.zeros(tokens.shape))
    values = make_returns(policy, reward, baseline="none")(policy, batch).advantages[..., 0]
    weights = sequence_probabilities(policy, tokens, mask).float()
    log_probs = torch.where(mask, policy.log_probs(batch), 0.0)
    ours = torch.autograd.grad(
        (weights[:, None] * log_probs * values).sum(), list(policy.parameters()), allow_unused=True
    )
    rewards = reward(batch) if reward is per_sequence else torch.where(mask, reward(batch), 0.0).sum(1)
    total = (torch.where(mask, policy.log_probs(batch), 0.0).sum(1).exp() * rewards).sum()
    theirs = torch.autograd.grad(total, list(policy.parameters()), allow_unused=True)
    for mine, exact in zip(ours, theirs, strict=True):
        if exact is not None:
            torch.testing.assert_close(mine, exact, atol=2e-5, rtol=1e-3)
    assert max(float(g.abs().max()) for g in theirs if g is not None) > 0.01


def test_the_running_mean_is_part_of_the_state():
    policy = tiny_generator("lstm", 3)
    given = sample(policy, 30, 3, eos_id=2, rng=rng())
    first, second = (make_returns(policy, per_sequence, baseline="ewma") for _ in range(2))
    assert (first(policy, given).baseline == 0).all()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    ours = second(policy, given).baseline
    assert torch.equal(ours, first(policy, given).baseline)
    torch.testing.assert_close(ours, first(policy, given).values[given.mask].mean().expand(30, 3, 1))


def test_the_mean_return_of_whole_sequences_is_logged():
    policy = tiny_generator("lstm", 3)
    given = sample(policy, 30, 3, eos_id=2, rng=rng())
    estimator = make_returns(policy, per_token)
    total = torch.where(given.mask, per_token(given), 0.0).sum(1).mean()
    torch.testing.assert_close(estimator.learn(given, estimator(policy, given)), {"reward/return": total})
