"""Objectives against torch's own distributions and values worked out by hand."""

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from seqgan.algorithms.objectives import (
    clipped_policy_gradient,
    entropy_bonus,
    kl_penalty,
    policy_gradient,
    token_weights,
)
from tests.tiny_models import rng

MASK = torch.tensor([[True, True], [True, False]])


def test_weights_make_a_mean_or_a_sum_of_the_real_tokens():
    torch.testing.assert_close(token_weights(MASK, "mean"), torch.tensor([[1 / 3, 1 / 3], [1 / 3, 0]]))
    assert token_weights(MASK, "sum").tolist() == [[1, 1], [1, 0]]


def test_the_policy_gradient_of_known_values_is_blind_behind_the_mask():
    log_probs = torch.tensor([[-1.0, -2.0], [-3.0, -50.0]], requires_grad=True)
    advantages = torch.tensor([[2.0, 1.0], [-1.0, 1e6]], requires_grad=True)
    assert policy_gradient(log_probs, advantages, token_weights(MASK, "sum")) == 2 + 2 - 3
    loss = policy_gradient(log_probs, advantages, token_weights(MASK, "mean"))
    assert loss.item() == pytest.approx(1 / 3)
    loss.backward()
    torch.testing.assert_close(log_probs.grad, torch.tensor([[-2 / 3, -1 / 3], [1 / 3, 0]]))
    assert advantages.grad is None


def test_entropy_and_divergence_are_those_of_torch_distributions():
    ours, theirs = (torch.randn(2, 2, 7, generator=rng(seed)).log_softmax(-1) for seed in (0, 1))
    weights = torch.rand(2, 2, generator=rng(2))
    entropy = (weights * Categorical(logits=ours).entropy()).sum()
    torch.testing.assert_close(entropy_bonus(ours, weights), -entropy)
    divergence = kl_divergence(Categorical(logits=ours), Categorical(logits=theirs))
    torch.testing.assert_close(kl_penalty(ours, theirs, weights), (weights * divergence).sum())
    assert kl_penalty(ours, ours, weights) == 0


@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),  # where it starts: REINFORCE's
        (1.1, 2.0, 2.2, 2.2),
        (1.3, 2.0, 2.4, 0.0),  # likelier by more than a fifth already
        (0.5, 2.0, 1.0, 1.0),  # the wrong way: may come back
        (0.9, -2.0, -1.8, -1.8),
        (0.7, -2.0, -1.6, 0.0),
        (1.3, -2.0, -2.6, -2.6),
    ],
)
def test_the_clipped_policy_gradient_of_known_values(ratio, advantage, value, slope):
    """Value and derivative by the logarithm of the probability, of two tokens, one behind the mask."""
    old = torch.tensor([-1.0, -1.0], requires_grad=True)
    log_probs = (old.detach() + torch.tensor([ratio, 5.0]).log()).requires_grad_()
    loss = clipped_policy_gradient(
        log_probs, old, torch.tensor([advantage, 9.0]), torch.tensor([3.0, 0.0]), 0.2
    )
    assert loss.item() == pytest.approx(-3 * value, rel=1e-5)
    loss.backward()
    torch.testing.assert_close(log_probs.grad, torch.tensor([-3 * slope, 0.0]), atol=1e-5, rtol=1e-5)
    assert old.grad is None
