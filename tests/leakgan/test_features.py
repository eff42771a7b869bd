"""Leaked features: token by token, all at once, and by a plain CNN that reads every prefix again."""

import copy

import pytest
import torch
from torch import nn

from leakgan.features import LeakedFeatures
from seqgan.models import prefix_features as module
from seqgan.text.token_batch import TokenBatch
from tests.references.cnn import PlainCNN
from tests.tiny_models import HIERARCHICAL_KINDS, rng, tiny_cnn, tiny_generator, whole

BOS = 0  # an ordinary token too
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(params=[True, False], ids=["incremental", "dense"], autouse=True)
def highway_product(request, monkeypatch):
    """Every test with the highway layer's product kept up step by step, and with it made anew."""
    monkeypatch.setattr(module, "sparse_pays", lambda weight: request.param and weight.dtype == torch.float32)


def leaked(vocabulary_size=9, **options):
    return LeakedFeatures(tiny_cnn(vocabulary_size, **options))


def random_tokens(*shape, vocabulary_size=9, seed=0):
    return torch.randint(vocabulary_size, shape, generator=rng(seed))


def read_step_by_step(features, tokens):
    """The features of all prefixes by T + 1 calls, BOS first."""
    state, read = features.initial_state(len(tokens)), []
    for last in [torch.full((len(tokens),), BOS), *tokens.unbind(1)]:
        each, state = features.advance(last, state)
        read.append(each)
    return torch.stack(read, 1)


@pytest.mark.parametrize("num_steps", [1, 2, 4, 11])
@pytest.mark.parametrize("widths", [(1,), (3, 1, 2), (2, 5), (4, 20)])
def test_token_by_token_equals_all_at_once_and_a_plain_cnn_on_every_prefix(widths, num_steps):
    """Also where no width fits the prefix, and where BOS is one of the tokens."""
    features = leaked(widths=widths)
    tokens = random_tokens(12, num_steps)
    assert (tokens == BOS).any()
    at_once = features.of_prefixes(tokens)
    assert at_once.shape == (12, num_steps + 1, features.size)
    torch.testing.assert_close(read_step_by_step(features, tokens), at_once, **CLOSE)
    plain = PlainCNN(features.cnn)
    for step in range(num_steps + 1):
        torch.testing.assert_close(at_once[:, step], plain.features(tokens[:, :step]), **CLOSE)


def test_bos_is_no_part_of_any_window():
    """Were it one, the first token's features would differ from those of the token after another BOS."""
    features = leaked(widths=(2, 3))
    empty = features.of_prefixes(torch.tensor([[4]]))[0, 0]
    one = features.of_prefixes(torch.tensor([[4]]))[0, 1]
    torch.testing.assert_close(one, empty)  # no window of two tokens yet
    two = read_step_by_step(features, torch.tensor([[BOS, 4]]))[0, 2]
    assert (two - empty).abs().max() > 0.1


def test_the_empty_prefix_is_the_same_for_all_and_what_the_discriminator_thinks_of_nothing():
    features = leaked()
    tokens = random_tokens(5, 3)
    empty = features.of_prefixes(tokens)[:, 0]
    assert (empty == empty[0]).all()
    logit = features.cnn.score(TokenBatch(tokens, torch.zeros_like(tokens, dtype=torch.bool)))
    with torch.no_grad():
        expected = empty @ features.cnn.output_weight[0] + features.cnn.output_bias
    torch.testing.assert_close(logit, expected)


def test_states_can_be_repeated_selected_and_joined():
    features = leaked(widths=(1, 4))
    tokens = random_tokens(4, 7)
    at_once = features.of_prefixes(tokens)
    state = features.initial_state(4)
    for last in [torch.full((4,), BOS), *tokens[:, :3].unbind(1)]:
        _, state = features.advance(last, state)
    order = torch.tensor([3, 0, 0, 2])
    selected = state.select(order)
    repeated = state.repeat(2)
    joined = type(state).concatenate([state.select(slice(2, 4)), state.select(slice(0, 2))])
    ways = [(selected, order), (repeated, torch.arange(4).repeat_interleave(2)), (joined, [2, 3, 0, 1])]
    for branch, rows in ways:
        for step in range(3, 7):
            read, branch = features.advance(tokens[rows, step], branch)
            torch.testing.assert_close(read, at_once[rows, step + 1], **CLOSE)


def test_bfloat16_is_close():
    features = leaked()
    tokens = random_tokens(20, 8)
    exact = features.of_prefixes(tokens)
    with features.prepared("float32"):
        torch.testing.assert_close(read_step_by_step(features, tokens), exact, **CLOSE)
    with features.prepared("bfloat16"):
        near = read_step_by_step(features, tokens)
    assert near.dtype == torch.float32
    error = (near - exact).norm() / exact.norm()
    assert 1e-5 < error < 0.02


def test_weights_are_taken_at_the_entry_and_live_outside():
    features, tokens = leaked(), random_tokens(6, 5)
    before = features.of_prefixes(tokens)
    with features.prepared("float32"):
        pass
    with torch.no_grad():
        for parameter in features.cnn.parameters():
            parameter.mul_(1.5)
    after = features.of_prefixes(tokens)
    assert (after - before).abs().max() > 0.1
    torch.testing.assert_close(read_step_by_step(features, tokens), after, **CLOSE)
    with features.prepared("float32"):
        torch.testing.assert_close(read_step_by_step(features, tokens), after, **CLOSE)
        with features.prepared("bfloat16"):
            read_step_by_step(features, tokens)
        torch.testing.assert_close(read_step_by_step(features, tokens), after, **CLOSE)
    with pytest.raises(RuntimeError), features.prepared("float32"):
        raise RuntimeError
    with torch.no_grad():
        features.cnn.highway_weight.mul_(1.5)
    torch.testing.assert_close(read_step_by_step(features, tokens), features.of_prefixes(tokens), **CLOSE)


def test_features_of_alternatives_are_those_of_the_prefixes_written_out():
    features = leaked()
    tokens, alternatives = random_tokens(5, 4), random_tokens(5, 4, 3, seed=1)
    reached = list(features.of_alternatives(whole(tokens), alternatives))
    assert len(reached) == 4 and all(rows.tolist() == list(range(5)) for rows, _ in reached)
    plain = PlainCNN(features.cnn)
    for step, (_, each) in enumerate(reached):
        for k in range(3):
            prefix = torch.cat([tokens[:, :step], alternatives[:, step, k, None]], 1)
            torch.testing.assert_close(each[:, k], plain.features(prefix), **CLOSE)


def test_nothing_has_a_gradient():
    features, tokens = leaked(), random_tokens(2, 3)
    assert not features.of_prefixes(tokens).requires_grad
    assert not read_step_by_step(features, tokens).requires_grad
    assert not next(features.of_alternatives(whole(tokens), tokens[..., None]))[1].requires_grad


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_a_generator_listens_to_a_discriminator_that_it_does_not_own(kind):
    generator = tiny_generator(kind, 9).eval()
    cnn = generator.features.cnn
    theirs = {id(parameter) for parameter in cnn.parameters()}
    assert not theirs & {id(parameter) for parameter in generator.parameters()}
    shapes = {tuple(cnn.highway_weight.shape), tuple(cnn.embedding.shape)}
    assert not shapes & {tuple(tensor.shape) for tensor in generator.state_dict().values()}
    split = [*generator.manager_parameters(), *generator.worker_parameters()]
    assert sorted(map(id, split)) == sorted(map(id, generator.parameters()))

    double = copy.deepcopy(generator)
    assert double.features.cnn is cnn
    tokens = random_tokens(3, 6)
    before = generator(whole(tokens))
    with torch.no_grad():
        for weight in cnn.filters:
            nn.init.normal_(weight, generator=rng(99))
    assert (generator(whole(tokens)) - before).abs().max() > 1e-3
    assert torch.equal(double(whole(tokens)), generator(whole(tokens)))


@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_weights_are_prepared_while_sampling_alone(kind):
    generator = tiny_generator(kind, 9)
    with generator.prepared("bfloat16"):
        assert generator.initial_state(2).features.maxima.dtype == torch.bfloat16
    assert generator.initial_state(2).features.maxima.dtype == torch.float32
