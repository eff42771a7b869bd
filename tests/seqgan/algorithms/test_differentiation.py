"""Gradients in chunks against one backward pass through the whole tensor."""

import pytest
import torch

from seqgan.algorithms.differentiation import differentiate, frozen_log_probs
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import EVERY_KIND, rng, tiny_generator

TOKENS = torch.randint(0, 5, (6, 4), generator=rng(3))
MASK = torch.arange(4) < torch.tensor([4, 1, 3, 2, 4, 3])[:, None]
BATCH = TokenBatch(TOKENS, MASK)
TARGETS = torch.randn(6, 4, 5, generator=rng(4))


def distance(log_probs, targets):
    """Not linear, and of whole distributions; with the number of places beside it."""
    return (log_probs.exp() - targets).square().sum(-1)


def objective(log_probs, places):
    terms = distance(log_probs, TARGETS.flatten(0, 1)[places]) * MASK.flatten()[places]
    return terms.sum(), {"distance": terms.sum().detach(), "places": torch.tensor(float(len(places)))}


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("rows", [1, 4, 1000])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_gradient_of_every_parameter_is_that_of_the_whole(kind, rows, temperature, monkeypatch):
    monkeypatch.setitem(ROWS_PER_CHUNK, "cpu", rows)
    policy = tiny_generator(kind, 5).eval()
    metrics = differentiate(policy, BATCH, objective, temperature=temperature)
    whole = torch.log_softmax(policy(BATCH) / temperature, -1)
    total = distance(whole, TARGETS)[MASK].sum()
    exact = torch.autograd.grad(total, list(policy.parameters()), allow_unused=True)
    for (name, parameter), gradient in zip(policy.named_parameters(), exact, strict=True):
        assert (parameter.grad is None) == (gradient is None), name
        if gradient is not None:
            torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(metrics["distance"], total.detach())
    assert metrics["places"] == MASK.sum()


def test_the_gradient_is_added_to_what_is_there():
    policy = tiny_generator("lstm", 5)
    differentiate(policy, BATCH, objective)
    once = [parameter.grad.clone() for parameter in policy.parameters()]
    differentiate(policy, BATCH, objective)
    for parameter, gradient in zip(policy.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)


def test_static_shapes_give_the_same_gradient(monkeypatch):
    policy, static = (tiny_generator("lstm", 5) for _ in range(2))
    differentiate(policy, BATCH, objective)
    monkeypatch.setattr("seqgan.runtime.devices.static_shapes", lambda tensor: True)
    metrics = differentiate(static, BATCH, objective)
    assert metrics["places"] == MASK.numel()
    for ours, theirs in zip(static.parameters(), policy.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_no_tensor_of_all_places_times_the_vocabulary_exists(monkeypatch):
    monkeypatch.setitem(ROWS_PER_CHUNK, "cpu", 3)
    policy = tiny_generator("lstm", 5)
    sizes = []

    def watch(log_probs, places):
        sizes.append(tuple(log_probs.shape))
        return objective(log_probs, places)

    differentiate(policy, BATCH, watch)
    assert sizes == [(3, 5)] * 5 + [(2, 5)]


def test_frozen_log_probs_are_those_of_the_generator_without_dropout_and_gradient():
    generator = tiny_generator("lstm", 5, dropout=0.5).train()
    log_probs = frozen_log_probs(generator, BATCH, temperature=0.7)
    assert generator.training
    places = torch.tensor([0, 7, 23])
    found = log_probs(places)
    assert not found.requires_grad
    whole = torch.log_softmax(generator.eval()(BATCH) / 0.7, -1).flatten(0, 1)
    torch.testing.assert_close(found, whole[places].detach())
