"""Advantages within groups: against loops, and their expectation by enumerating all pairs of sequences."""

import dataclasses
import itertools

import pytest
import torch

from seqgan.advantages.group import Group, GroupSettings, group_advantages, groups_of
from seqgan.sampling.sample import sample
from seqgan.text.token_batch import TokenBatch
from tests.references.enumeration import all_sequences, sequence_probabilities
from tests.tiny_models import rng, tiny_generator

GROUPS = torch.tensor([0, 3, 0, 3, 7, 0])
REWARDS = torch.tensor([1.0, 5.0, 2.0, 5.0, 9.0, 6.0])


def reward(batch):
    places = torch.arange(1, batch.tokens.shape[1] + 1)
    return torch.where(batch.mask, batch.tokens * places, 0).sum(1).float().square() / 10


def test_leave_one_out_is_that_of_a_loop():
    found = group_advantages(REWARDS, GROUPS, "leave_one_out", scale=False)
    for i, group in enumerate(GROUPS.tolist()):
        others = [float(REWARDS[j]) for j in range(6) if j != i and GROUPS[j] == group]
        expected = float(REWARDS[i]) - sum(others) / len(others) if others else 0.0
        assert found[i].item() == pytest.approx(expected, abs=1e-5)


def test_group_relative_advantages_of_known_values():
    found = group_advantages(REWARDS, GROUPS, "mean", scale=True)
    deviation = (14 / 3) ** 0.5  # of 1, 2 and 6 around 3
    expected = [-2 / deviation, 0, -1 / deviation, 0, 0, 3 / deviation]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("baseline", "share"), [("leave_one_out", 1.0), ("mean", 0.5)])
def test_the_expected_gradient_over_all_pairs_of_sequences(baseline, share):
    """Leave-one-out is unbiased; the mean of all has (n − 1)/n of the gradient, here a half."""
    policy = tiny_generator("lstm").eval()
    tokens, mask = all_sequences(3, 3, 2)
    batch = TokenBatch(tokens, mask)
    p = sequence_probabilities(policy, tokens, mask).float()
    log_probs = torch.where(mask, policy.log_probs(batch), 0.0).sum(1)
    rewards, weights = reward(batch), torch.zeros(len(tokens))
    for i, j in itertools.product(range(len(tokens)), repeat=2):
        advantages = group_advantages(rewards[[i, j]], torch.zeros(2).long(), baseline, scale=False)
        weights[i] += p[i] * p[j] * advantages[0] / 2
        weights[j] += p[i] * p[j] * advantages[1] / 2
    parameters = list(policy.parameters())
    ours = torch.autograd.grad((weights * log_probs).sum(), parameters, retain_graph=True, allow_unused=True)
    exact = torch.autograd.grad((log_probs.exp() * rewards).sum(), parameters, allow_unused=True)
    for mine, theirs in zip(ours, exact, strict=True):
        if theirs is not None:
            torch.testing.assert_close(mine, share * theirs, atol=2e-5, rtol=2e-3)
    assert max(float(g.abs().max()) for g in exact if g is not None) > 0.01


def test_a_group_is_a_prompt_whatever_lies_behind_its_mask():
    prompts = torch.tensor([[1, 2], [1, 0], [1, 2], [1, 9], [2, 1]])
    real = torch.tensor([[True, True], [True, False], [True, True], [True, False], [True, True]])
    tokens = torch.zeros(5, 3).long()
    batch = TokenBatch(tokens, tokens == 0, prompt=TokenBatch(prompts, real))
    assert groups_of(batch).tolist() == [0, 1, 0, 1, 4]
    assert groups_of(dataclasses.replace(batch, prompt=None)).tolist() == [0] * 5


@pytest.mark.parametrize("per_token", [False, True])
def test_every_token_is_worth_what_its_sequence_earns(per_token):
    policy = tiny_generator("lstm")
    given = sample(policy, 20, 3, eos_id=2, rng=rng())

    def of_tokens(batch):
        return torch.where(batch.mask, batch.tokens.float() - 0.7, torch.nan)

    estimator = Group(GroupSettings(), reward=of_tokens if per_token else reward, rng=rng())
    found = estimator(policy, given)
    earned = torch.where(given.mask, of_tokens(given), 0.0).sum(1) if per_token else reward(given)
    advantages = group_advantages(earned, torch.zeros(20).long(), "leave_one_out", scale=False)
    for row in range(20):
        real = given.mask[row]
        torch.testing.assert_close(found.values[row, real, 0], earned[row].expand(int(real.sum())))
        torch.testing.assert_close(found.advantages[row, real, 0], advantages[row].expand(int(real.sum())))
    assert (found.values[~given.mask] == 0).all() and (found.baseline[~given.mask] == 0).all()
    assert torch.equal(found.actions[..., 0], given.tokens)
    torch.testing.assert_close(estimator.learn(given, found), {"reward/return": earned.mean()})


def test_controls_and_scale_reach_it():
    policy = tiny_generator("lstm")
    given = sample(policy, 20, 3, eos_id=2, rng=rng())

    def advantages(**settings):
        return Group(GroupSettings(**settings), reward=reward, rng=rng())(policy, given).advantages

    plain = advantages()
    assert not torch.equal(advantages(control="shuffled"), plain)
    scaled = advantages(baseline="mean", scale=True)
    ratio = (scaled / plain)[given.mask & (plain[..., 0].abs() > 1e-3)]
    deviation = reward(given).std(correction=0)
    torch.testing.assert_close(ratio, (19 / 20 / deviation).expand_as(ratio), atol=1e-4, rtol=1e-3)
