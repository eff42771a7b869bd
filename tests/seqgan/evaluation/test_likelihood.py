"""Likelihoods against a table of known probabilities."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from seqgan.evaluation.bootstrap import paired_interval
from seqgan.evaluation.likelihood import nll, per_token, sequence_nll
from seqgan.models.generator import Generator, State
from seqgan.models.heads import LinearHead
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK
from seqgan.text.masking import mask_from_lengths
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import whole


@dataclass(frozen=True)
class NoState(State):
    unused: torch.Tensor


class CountingHead(LinearHead):
    """Counts the rows that become logits."""

    most_rows = num_rows = 0

    def logits(self, hidden):
        self.most_rows = max(self.most_rows, len(hidden))
        self.num_rows += len(hidden)
        return super().logits(hidden)


class Bigram(Generator):
    """p(next | last) by a table whose last row is the distribution of the first token."""

    def __init__(self, table, dropout=0.0):
        num_tokens = table.shape[1]
        super().__init__(vocabulary_size=num_tokens + 1, bos_id=num_tokens)
        log_table = torch.cat([table.log(), torch.zeros(num_tokens + 1, 1)], 1)
        self.head = CountingHead(num_tokens + 1, num_tokens + 1, forbidden=(num_tokens,))
        self.head.weight.data = log_table.t().contiguous()
        self.dropout = nn.Dropout(dropout)

    def initial_state(self, batch_size):
        return NoState(torch.zeros(batch_size))

    def advance(self, tokens, state):
        return self.encode(tokens[:, None])[:, 0], state

    def encode(self, inputs):
        return self.dropout(nn.functional.one_hot(inputs, self.vocabulary_size).float())


TABLE = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75], [0.1, 0.2, 0.7], [0.25, 0.5, 0.25]])


def random_sequences(num_sequences, num_steps, seed=0):
    rng = np.random.default_rng(seed)
    tokens = torch.from_numpy(rng.integers(0, 3, (num_sequences, num_steps)))
    lengths = torch.from_numpy(rng.integers(0, num_steps + 1, num_sequences))
    return TokenBatch(tokens, mask_from_lengths(lengths, num_steps))


def expected_sums(table, batch):
    rows = zip(batch.tokens.tolist(), batch.lengths.tolist(), strict=True)
    return [
        -sum(math.log(table[last, t]) for last, t in zip([3, *row], row[:n], strict=False)) for row, n in rows
    ]


def test_known_value():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    estimate = nll(
        Bigram(TABLE), TokenBatch(torch.tensor([[1, 2, 0], [0, 1, 2]]), mask)
    )  # 1/2 · 3/4 · 1/10 and 1/4
    assert estimate.value == pytest.approx(-math.log(0.5 * 0.75 * 0.1 * 0.25) / 4)


@pytest.mark.parametrize("batch_size", [1, 3, 64, 1000])
def test_weighted_by_tokens_whatever_the_batches(batch_size):
    batch = random_sequences(65, 9)
    sums = expected_sums(TABLE, batch)
    generator = Bigram(TABLE)
    torch.testing.assert_close(
        sequence_nll(generator, batch, batch_size=batch_size), torch.tensor(sums, dtype=torch.float64)
    )
    estimate = nll(generator, batch, batch_size=batch_size)
    assert estimate.value == pytest.approx(sum(sums) / int(batch.mask.sum()), rel=1e-6)


def test_nothing_behind_the_mask_counts():
    batch = random_sequences(20, 6)
    padded = nn.functional.pad(torch.where(batch.mask, batch.tokens, 3), (0, 4), value=3)  # 3 is forbidden
    padded = TokenBatch(padded, nn.functional.pad(batch.mask, (0, 4)))
    generator = Bigram(TABLE)
    assert nll(generator, padded) == nll(generator, batch)


def test_temperature_divides_the_logits():
    batch = random_sequences(20, 6)
    cooled = TABLE.pow(2)
    cooled /= cooled.sum(1, keepdim=True)
    expected = nll(Bigram(cooled), batch).value
    assert nll(Bigram(TABLE), batch, temperature=0.5).value == pytest.approx(expected, rel=1e-6)


def test_equals_the_generators_own_log_probabilities():
    batch = random_sequences(20, 6)
    generator = Bigram(TABLE)
    expected = -(generator.log_probs(batch, 1.3) * batch.mask).sum(1).detach().double()
    torch.testing.assert_close(sequence_nll(generator, batch, temperature=1.3), expected)


def test_scored_without_dropout_or_gradient_and_every_mode_restored():
    batch = random_sequences(20, 6)
    generator = Bigram(TABLE, dropout=0.5)
    generator.frozen = nn.Dropout().eval()
    sums = sequence_nll(generator, batch)
    assert torch.equal(sums, sequence_nll(Bigram(TABLE), batch))
    assert not sums.requires_grad
    assert generator.training and generator.dropout.training and not generator.frozen.training
    with pytest.raises(RuntimeError):
        sequence_nll(generator, TokenBatch(batch.tokens + 7, batch.mask))
    assert generator.training
    sequence_nll(generator.eval(), batch)
    assert not generator.training and not generator.dropout.training


def test_only_masked_tokens_become_logits_and_few_at_a_time():
    batch = random_sequences(300, 9)
    generator = Bigram(TABLE)
    nll(generator, batch)
    assert generator.head.num_rows == int(batch.mask.sum()) > 5 * ROWS_PER_CHUNK["cpu"]
    assert generator.head.most_rows <= ROWS_PER_CHUNK["cpu"]


@pytest.mark.slow
def test_standard_error_is_the_deviation_of_the_estimate():
    """Over 4,000 sets of 150 sequences whose NLL per token depends on their length."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 10, (4000, 150))
    sums = torch.from_numpy(lengths * (1 + 0.2 * lengths) + 2 * rng.standard_normal(lengths.shape))
    masks = mask_from_lengths(torch.from_numpy(lengths).flatten(), 9).view(4000, 150, 9)
    estimates = [per_token(s, m.sum(1)) for s, m in zip(sums, masks, strict=True)]
    deviation = np.std([estimate.value for estimate in estimates])
    assert np.mean([estimate.standard_error for estimate in estimates]) == pytest.approx(deviation, rel=0.04)


def test_degenerate_sets():
    generator = Bigram(TABLE)
    one = whole(torch.tensor([[1, 2, 0]]))
    assert math.isnan(nll(generator, one).standard_error)
    for empty in (TokenBatch(one.tokens, ~one.mask), one.select(slice(0))):
        with pytest.raises(ValueError, match="no token to score"):
            nll(generator, empty)


def test_lengths_alone_make_no_figure_unsure():
    """Where every token costs the same, the mean per token is certain, however the lengths vary."""
    lengths = torch.tensor([1, 9, 3, 30])
    estimate = per_token(2.5 * lengths.double(), lengths)
    assert estimate.value == 2.5
    assert estimate.standard_error == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(estimate.sentence_values, 2.5)
    dear = per_token(torch.tensor([2.5, 22.5, 10.5, 75.0]).double(), lengths)  # the third by a token more
    interval = paired_interval(dear.sentence_values, estimate.sentence_values, rng=np.random.default_rng(0))
    assert interval.value == pytest.approx(3 / 43)
    assert interval.low <= 3 / 43 <= interval.high and not interval.excludes(0)
