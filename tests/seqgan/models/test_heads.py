"""Heads: a non-linear one against plain cross-entropy, the linear one against the general way."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from seqgan.algorithms.differentiation import differentiate
from seqgan.models.heads import Head, LinearHead
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from seqgan.sampling.sample import sample
from seqgan.text.batching import pad
from seqgan.text.sequences import Sequences
from seqgan.training.mle import MLESettings
from tests.references.enumeration import all_sequences, sequence_probabilities
from tests.tiny_models import rng, whole
from tests.tiny_trainers import make_trainer

SIZE, FORBIDDEN = 9, (0, 4)


class MixtureHead(Head):
    """A mixture of two softmaxes (Yang et al. 2018): log-probabilities that no linear map gives."""

    def __init__(self, hidden_size: int, vocabulary_size: int, forbidden: tuple[int, ...] = ()) -> None:
        super().__init__(vocabulary_size, forbidden)
        self.first = nn.Linear(hidden_size, vocabulary_size)
        self.second = nn.Linear(hidden_size, vocabulary_size)
        self.most_rows = 0

    def forward(self, hidden):
        self.most_rows = max(self.most_rows, len(hidden))
        parts = torch.stack([self.first(hidden), self.second(hidden.tanh())])
        return parts.log_softmax(-1).logsumexp(0)


def linear_head():
    head = LinearHead(6, SIZE, FORBIDDEN)
    assert (head.logits(torch.randn(2, 6))[:, [1, 2, 3, 5, 6, 7, 8]] == 0).all()  # uniform at first
    nn.init.normal_(head.weight, generator=rng(1))
    nn.init.normal_(head.bias, generator=rng(2))
    return head


def mixture_head():
    torch.manual_seed(0)
    return MixtureHead(6, SIZE, FORBIDDEN)


every_head = pytest.mark.parametrize("build", [linear_head, mixture_head])


def rows(number, seed=3):
    hidden = torch.randn(number, 6, generator=rng(seed), requires_grad=True)
    possible = torch.tensor([token for token in range(SIZE) if token not in FORBIDDEN])
    return hidden, possible[torch.randint(len(possible), (number,), generator=rng(seed))]


@every_head
def test_forbidden_tokens_leave_their_probability_to_the_others(build):
    head, (hidden, _) = build(), rows(5)
    raw = head(hidden).softmax(-1)
    raw[:, list(FORBIDDEN)] = 0
    torch.testing.assert_close(head.logits(hidden).softmax(-1), raw / raw.sum(-1, keepdim=True))
    assert (head.logits(hidden).softmax(-1)[:, list(FORBIDDEN)] == 0).all()
    head.forbid(7)
    raw[:, 7] = 0
    torch.testing.assert_close(head.logits(hidden).softmax(-1), raw / raw.sum(-1, keepdim=True))
    assert not head.state_dict().keys() & {"forbidden_logits"}


@every_head
def test_the_likelihood_in_chunks_is_that_of_all_rows_in_value_and_gradient(build):
    head, (hidden, targets) = build(), rows(2 * ROWS_PER_CHUNK["cpu"] + 5)
    leaves = [hidden, *head.parameters()]
    expected = functional.cross_entropy(head.logits(hidden), targets)
    theirs = torch.autograd.grad(3 * expected, leaves)
    if isinstance(head, MixtureHead):
        head.most_rows = 0
    loss = head.nll(hidden, targets)
    ours = torch.autograd.grad(3 * loss, leaves)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)
    if isinstance(head, MixtureHead):
        assert head.most_rows == ROWS_PER_CHUNK["cpu"]


@pytest.mark.parametrize("scale", [0.1, 1.0, 7.0])
@every_head
def test_scaled_logits_are_the_logits_times_a_number_within_their_bound(build, scale):
    head, (hidden, _) = build(), rows(20)
    scaled = head.scaled(scale, padding=3, num_rows=20, precision="float32")
    possible = [token for token in range(SIZE) if token not in FORBIDDEN]
    with torch.no_grad():
        computed = scaled.compute(hidden)
        torch.testing.assert_close(computed[:, possible], scale * head.logits(hidden)[:, possible])
    assert computed.shape == (20, SIZE + 3)
    assert (computed[:, SIZE:] == -math.inf).all()
    assert (computed[:, list(FORBIDDEN)] < -9e3).all()  # impossible at any temperature
    worst = head.weight.detach().sign() if isinstance(head, LinearHead) else hidden.detach()
    for vectors in (hidden.detach(), worst):  # vectors with the signs of a row of the weight go farthest
        bound = scaled.slope * vectors.abs().amax() + scaled.offset
        assert scaled.compute(vectors)[:, possible].abs().max() <= bound * (1 + 1e-6)


def test_bfloat16_rounds_the_product():
    head, (hidden, _) = linear_head(), rows(20)
    exact, rounded = (
        head.scaled(1.0, padding=0, num_rows=20, precision=precision).compute(hidden.detach())[:, 1]
        for precision in ("float32", "bfloat16")
    )
    assert 1e-4 < ((rounded - exact).norm() / exact.norm()).item() < 0.02


def stranger(seed=0):
    """A generator as a stranger would write one: an LSTM behind a head of its own."""
    torch.manual_seed(seed)
    settings = LSTMSettings(embedding_size=8, hidden_size=6, initial_scale=0.5)
    generator = LSTMGenerator(settings, vocabulary_size=3, bos_id=0, rng=rng(seed))
    generator.head = MixtureHead(6, 3)
    return generator


@pytest.mark.slow
def test_a_generator_with_a_head_of_its_own_is_sampled_by_its_probabilities():
    generator = stranger()
    tokens, mask = all_sequences(3, 3, 2)
    probabilities = sequence_probabilities(generator, tokens, mask)
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-5)
    draws = sample(generator, 40_000, 3, eos_id=2, rng=rng())
    expected = sequence_probabilities(generator, draws.tokens, draws.mask).log().float()
    torch.testing.assert_close(draws.log_probs.sum(1), expected, atol=1e-5, rtol=1e-5)
    counts = (draws.tokens[:, None] == tokens).all(-1).float().mean(0)
    torch.testing.assert_close(counts.double(), probabilities, atol=0.01, rtol=0.0)


@pytest.mark.slow
def test_maximum_likelihood_trains_a_head_that_is_not_linear():
    """The trainer asked for ``output_weight``. The text is two sequences, equally likely."""
    generator = stranger()
    text = Sequences.from_lists([[1, 1, 0, 2], [1, 0, 1, 2]])
    settings = MLESettings(batch_size=2, learning_rate=0.05)
    trainer = make_trainer(settings, generator, text)
    losses = [trainer.step().metrics["mle/loss"].item() for _ in range(80)]
    assert losses[0] > 0.8
    assert losses[-1] == pytest.approx(math.log(2) / 4, abs=0.02)  # ln 2 over four tokens
    batch = pad(text, 0)
    assert -generator.log_probs(batch).mean().item() == pytest.approx(losses[-1], abs=0.02)


def test_the_policy_gradient_of_a_head_that_is_not_linear_is_that_of_the_whole_tensor():
    generator = stranger().eval()
    batch = whole(torch.tensor([[1, 1, 0], [1, 2, 2], [0, 1, 2]]))
    advantages = torch.randn(3, 3, generator=rng(5))

    def objective(log_probs, places):
        taken = log_probs.gather(-1, batch.tokens.flatten()[places, None]).squeeze(-1)
        return -(taken * advantages.flatten()[places]).sum(), {}

    differentiate(generator, batch, objective)
    total = -(generator.log_probs(batch) * advantages).sum()
    exact = torch.autograd.grad(total, list(generator.parameters()))
    for (name, parameter), gradient in zip(generator.named_parameters(), exact, strict=True):
        assert gradient.norm() > 0, name
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-4)
