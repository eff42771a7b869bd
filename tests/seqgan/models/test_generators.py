import pytest
import torch
from torch.nn import functional

from seqgan.models.lstm import LSTMGenerator, LSTMSettings, lstm_cell
from seqgan.models.transformer import TransformerGenerator, TransformerSettings
from tests.references.step_by_step import read_step_by_step, step
from tests.tiny_models import EVERY_KIND, KINDS, rng, tiny_generator, whole


@pytest.mark.parametrize("num_layers", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_step_by_step_equals_teacher_forced(kind, num_layers):
    generator = tiny_generator(kind, 11, num_layers=num_layers, forbidden=(0, 3)).eval()
    tokens = torch.randint(0, 11, (5, 9), generator=rng())
    with torch.no_grad():
        torch.testing.assert_close(
            read_step_by_step(generator, tokens), generator(whole(tokens)), atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_token_changes_later_steps_only(kind):
    generator = tiny_generator(kind, 11).eval()
    tokens = torch.randint(0, 11, (1, 9), generator=rng())
    changed = tokens.clone()
    changed[0, 4] = (tokens[0, 4] + 1) % 11
    differs = (generator(whole(tokens)) - generator(whole(changed))).abs().amax(-1)[0] > 1e-6
    assert differs.tolist() == [False] * 5 + [True] * 4


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_rows_do_not_see_each_other_and_states_can_be_repeated_selected_and_joined(kind):
    generator = tiny_generator(kind, 11).eval()
    tokens = torch.randint(0, 11, (4, 6), generator=rng())
    _, state = step(generator, tokens[:, 0], generator.initial_state(4))
    _, state = step(generator, tokens[:, 1], state)
    logits, after = step(generator, tokens[:, 2], state)
    order = torch.tensor([2, 0, 0, 3])
    torch.testing.assert_close(step(generator, tokens[order, 2], state.select(order))[0], logits[order])
    repeated = step(generator, tokens[:, 2].repeat_interleave(3), state.repeat(3))[0]
    torch.testing.assert_close(repeated, logits.repeat_interleave(3, 0))
    joined = type(state).concatenate([state.select(slice(2, 4)), state.select(slice(0, 2))])
    torch.testing.assert_close(step(generator, tokens[[2, 3, 0, 1], 2], joined)[0], logits[[2, 3, 0, 1]])
    # Two continuations of one state do not disturb each other.
    step(generator, tokens[:, 5], state)
    torch.testing.assert_close(step(generator, tokens[:, 2], state)[0], logits)
    torch.testing.assert_close(
        step(generator, tokens[:, 3], after)[0],
        step(generator, tokens[:, 3], step(generator, tokens[:, 2], state)[1])[0],
    )


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_log_probabilities_are_normalised_and_forbidden_tokens_impossible(kind):
    generator = tiny_generator(kind, 7, forbidden=(0, 4)).eval()
    tokens = torch.tensor([[1, 2, 3], [5, 6, 1]])
    probabilities = generator(whole(tokens)).softmax(-1)
    assert (probabilities[..., [0, 4]] == 0).all()
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, 3))
    expected = functional.cross_entropy(
        generator(whole(tokens)).transpose(1, 2) / 0.7, tokens, reduction="none"
    )
    torch.testing.assert_close(generator.log_probs(whole(tokens), temperature=0.7), -expected)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_trained(kind):
    generator = tiny_generator(kind, 7)
    tokens = torch.randint(0, 7, (16, 8), generator=rng())
    generator.log_probs(whole(tokens)).sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        if not name.startswith("positions"):
            assert parameter.grad.norm() > 0, name


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_dropout_acts_in_training_only(kind):
    generator = tiny_generator(kind, 7, dropout=0.5)
    tokens = torch.randint(0, 7, (4, 8), generator=rng())
    assert not torch.equal(generator(whole(tokens)), generator(whole(tokens)))
    assert not torch.equal(read_step_by_step(generator, tokens), read_step_by_step(generator, tokens))
    generator.eval()
    assert torch.equal(generator(whole(tokens)), generator(whole(tokens)))
    torch.testing.assert_close(
        read_step_by_step(generator, tokens), generator(whole(tokens)), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_same_rng_gives_the_same_weights_and_the_weights_can_be_loaded(kind):
    first, second, other = (tiny_generator(kind, 7, seed=seed) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)
    other.load_state_dict(first.state_dict())
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(first.eval()(whole(tokens)), other.eval()(whole(tokens)))


def test_lstm_weights_have_the_asked_for_scale():
    generator = LSTMGenerator(
        LSTMSettings(initial_scale=0.3, embedding_size=64, hidden_size=64),
        vocabulary_size=500,
        bos_id=0,
        rng=rng(),
    )
    for name, parameter in generator.named_parameters():
        if "bias_hh" in name:
            assert (parameter == 0).all()
        else:
            assert parameter.std().item() == pytest.approx(0.3, rel=0.15), name


def test_transformer_refuses_sequences_longer_than_its_positions():
    generator = tiny_generator("transformer", 7, max_length=4)
    generator(whole(torch.ones(1, 4, dtype=torch.long)))
    with pytest.raises(ValueError, match=r"--generator.max-length: 4 .* 5 tokens"):
        generator(whole(torch.ones(1, 5, dtype=torch.long)))
    with pytest.raises(ValueError, match="--generator.max-length: 4"):
        read_step_by_step(generator, torch.ones(1, 5, dtype=torch.long))


def test_transformer_refuses_heads_that_do_not_divide_its_size():
    with pytest.raises(ValueError, match="--generator.num-heads: 3 does not divide --generator.model-size 8"):
        TransformerGenerator(TransformerSettings(model_size=8, num_heads=3), vocabulary_size=5, bos_id=0)


def test_transformer_knows_positions():
    """Without positions, attention over the same tokens in another order would give the same last vector."""
    generator = tiny_generator("transformer", 7, num_layers=1).eval()
    logits = generator(whole(torch.tensor([[1, 2, 3, 4], [2, 1, 3, 4]])))
    assert (logits[0, 3] - logits[1, 3]).abs().amax() > 1e-3


def test_thelstm_cell_is_that_of_torch_in_value_and_gradient():
    shapes = (5, 3), (5, 4), (5, 4), (16, 3), (16, 4), (16,), (16,)
    tensors = [torch.randn(shape, generator=rng(number)) * 2 for number, shape in enumerate(shapes)]
    gradients = []
    for cell in (lstm_cell, lambda inputs, h, c, *weights: torch.lstm_cell(inputs, (h, c), *weights)):
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        outputs = cell(*leaves)
        gradients.append([*outputs, *torch.autograd.grad(sum(o.square().sum() for o in outputs), leaves)])
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_token_that_is_forbidden_leaves_its_probability_to_the_others(kind):
    generator = tiny_generator(kind, 6).eval()
    tokens = torch.tensor([[1, 5, 2]])
    before = generator(whole(tokens)).softmax(-1)
    generator.head.forbid(3)
    after = generator(whole(tokens)).softmax(-1)
    expected = before.clone()
    expected[..., 3] = 0
    torch.testing.assert_close(after, expected / expected.sum(-1, keepdim=True))
