"""What every discriminator must keep, whatever its kind."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorSettings
from seqgan.models.cnn_and_pairs import CNNAndPairsDiscriminator, CNNAndPairsDiscriminatorSettings
from seqgan.models.discriminator import Discriminator
from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings
from seqgan.text.masking import mask_from_lengths
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import whole

VOCABULARY_SIZE = 11
SMALL_CNN = CNNDiscriminatorSettings(embedding_size=6, widths=(1, 2, 4, 7), num_filters=(3, 5, 4, 2))
SMALL_PAIRS = PairsDiscriminatorSettings(rank=4, distances=(1, 2), initial_scale=0.5)

Build = Callable[[], Discriminator]


def build_cnn() -> Discriminator:
    return CNNDiscriminator(SMALL_CNN, vocabulary_size=VOCABULARY_SIZE, rng=torch.Generator().manual_seed(1))


def build_pairs() -> Discriminator:
    rng = torch.Generator().manual_seed(2)
    discriminator = PairsDiscriminator(SMALL_PAIRS, vocabulary_size=VOCABULARY_SIZE, rng=rng)
    torch.nn.init.normal_(discriminator.token_biases, generator=rng)
    torch.nn.init.constant_(discriminator.bias, 0.7)
    return discriminator


def build_sum() -> Discriminator:
    config = CNNAndPairsDiscriminatorSettings(cnn=SMALL_CNN, pairs=SMALL_PAIRS)
    rng = torch.Generator().manual_seed(3)
    return CNNAndPairsDiscriminator(config, vocabulary_size=VOCABULARY_SIZE, rng=rng)


every_kind = pytest.mark.parametrize("build", [build_cnn, build_pairs, build_sum])


def sequences(batch_size: int = 40, num_steps: int = 9, seed: int = 0) -> TokenBatch:
    """Random tokens of random lengths from 1 to ``num_steps``."""
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(VOCABULARY_SIZE, (batch_size, num_steps), generator=rng)
    lengths = torch.randint(1, num_steps + 1, (batch_size,), generator=rng)
    return TokenBatch(tokens, mask_from_lengths(lengths, num_steps))


@every_kind
def test_padding_changes_nothing(build: Build) -> None:
    discriminator = build().eval()
    batch, other = sequences(), sequences(seed=1).tokens
    mask = batch.mask
    refilled = TokenBatch(torch.where(mask, batch.tokens, other), mask)
    assert not refilled.tokens.equal(batch.tokens)
    assert discriminator.logits(refilled).equal(discriminator.logits(batch))
    assert discriminator.score(refilled).equal(discriminator.score(batch))
    torch.testing.assert_close(
        discriminator.prefix_logits(refilled)[mask], discriminator.prefix_logits(batch)[mask]
    )
    longer = TokenBatch(torch.cat([batch.tokens, other], 1), torch.cat([mask, torch.zeros_like(mask)], 1))
    torch.testing.assert_close(discriminator.logits(longer), discriminator.logits(batch))
    torch.testing.assert_close(discriminator.score(longer), discriminator.score(batch))


@every_kind
def test_padding_gets_no_gradient(build: Build) -> None:
    discriminator = build()
    batch, padding = sequences(), VOCABULARY_SIZE - 1
    tokens = torch.where(batch.mask, batch.tokens.clamp(max=padding - 1), padding)
    discriminator.logits(TokenBatch(tokens, batch.mask)).sum().backward()
    for parameter in discriminator.parameters():
        if VOCABULARY_SIZE in parameter.shape:
            by_token = parameter.grad.movedim(parameter.shape.index(VOCABULARY_SIZE), 0)
            assert by_token[0].abs().sum() > 0
            assert by_token[padding].abs().sum() == 0


@every_kind
def test_a_sequence_in_a_batch_equals_the_sequence_alone(build: Build) -> None:
    discriminator = build().eval()
    batch = sequences()
    logits = discriminator.logits(batch)
    for row, length in enumerate(batch.lengths.tolist()):
        alone = discriminator.logits(whole(batch.tokens[row : row + 1, :length]))
        torch.testing.assert_close(alone[0], logits[row])
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(discriminator.score(batch.select(order)), logits[order])


@every_kind
def test_prefix_logits_are_the_logits_of_the_prefixes(build: Build) -> None:
    discriminator = build().eval()
    batch = sequences()
    by_prefix = discriminator.prefix_logits(batch)
    for step in range(batch.tokens.shape[1]):
        rows = batch.mask[:, step]
        alone = discriminator.logits(whole(batch.tokens[rows, : step + 1]))
        torch.testing.assert_close(by_prefix[rows, step], alone, rtol=1e-5, atol=1e-5)


@every_kind
def test_score_is_the_forward_pass_in_evaluation_mode(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    discriminator = build().train()
    batch = sequences(batch_size=700)
    scores = discriminator.score(batch)
    assert all(part.training for part in discriminator.modules())
    assert not scores.requires_grad
    assert scores.equal(discriminator.score(batch)), "dropout was on"
    torch.testing.assert_close(scores, discriminator.eval().logits(batch), rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(Discriminator, "SCORING_ROWS", 300)
    torch.testing.assert_close(discriminator.score(batch), scores, rtol=1e-5, atol=1e-5)
    assert not any(part.training for part in discriminator.modules())


@every_kind
def test_mode_is_restored_after_an_error(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(batch: TokenBatch) -> Tensor:
        raise RuntimeError("scoring failed")

    discriminator = build().train()
    monkeypatch.setattr(discriminator, "scoring_logits", fail)
    with pytest.raises(RuntimeError, match="scoring failed"):
        discriminator.score(sequences())
    assert discriminator.training


@every_kind
def test_gradients_reach_every_parameter(build: Build) -> None:
    discriminator = build()
    batch = sequences(batch_size=100)
    for logits in (discriminator.logits(batch).square(), discriminator.prefix_logits(batch)[batch.mask]):
        discriminator.zero_grad()
        logits.sum().backward()
        for name, parameter in discriminator.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.slow
@every_kind
def test_it_learns_to_tell_two_languages_apart(build: Build) -> None:
    discriminator = build()
    rng = torch.Generator().manual_seed(0)
    fake = torch.randint(VOCABULARY_SIZE, (256, 8), generator=rng)
    fake, real = whole(fake), whole(fake.sort(1).values)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.02)
    for _ in range(60):
        loss = (discriminator.logits(fake) - discriminator.logits(real)).sigmoid().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (discriminator.score(real) > discriminator.score(fake)).float().mean() > 0.95


@every_kind
def test_no_rows_and_no_tokens(build: Build) -> None:
    discriminator = build().eval()
    assert discriminator.score(sequences(batch_size=0)).shape == (0,)
    batch = sequences(batch_size=3)
    nothing = TokenBatch(batch.tokens, torch.zeros_like(batch.mask))
    empty = discriminator.logits(nothing)
    assert empty.isfinite().all() and empty.equal(empty[:1].expand(3))
    torch.testing.assert_close(discriminator.score(nothing), empty)


@every_kind
def test_same_seed_same_weights_and_the_global_generator_untouched(build: Build) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = build().state_dict(), build().state_dict()
    assert torch.get_rng_state().equal(before)
    assert all(first[name].equal(second[name]) for name in first)


def test_the_sum_is_the_sum_of_its_parts() -> None:
    both = build_sum().eval()
    assert isinstance(both, CNNAndPairsDiscriminator)
    batch = sequences()
    torch.testing.assert_close(both.logits(batch), both.cnn.logits(batch) + both.pairs.logits(batch))
    torch.testing.assert_close(both.penalty(), both.cnn.penalty() + both.pairs.penalty())


def relaxed_batch(batch: TokenBatch, sharpness: float) -> TokenBatch:
    """Rows near the one-hot rows of the tokens, exactly those where ``sharpness`` is infinite."""
    noise = torch.rand(*batch.tokens.shape, VOCABULARY_SIZE, generator=torch.Generator().manual_seed(9))
    one_hot = functional.one_hot(batch.tokens, VOCABULARY_SIZE).float()
    rows = one_hot if sharpness == float("inf") else (noise + sharpness * one_hot).softmax(-1)
    return dataclasses.replace(batch, relaxed=rows)


@every_kind
def test_one_hot_rows_are_worth_their_tokens(build: Build) -> None:
    discriminator = build().eval()
    batch = sequences()
    one_hot = relaxed_batch(batch, float("inf"))
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(discriminator.logits(one_hot), discriminator.logits(batch), **close)
    torch.testing.assert_close(discriminator.score(one_hot), discriminator.score(batch), **close)
    prefixes = discriminator.prefix_logits(one_hot)[batch.mask]
    torch.testing.assert_close(prefixes, discriminator.prefix_logits(batch)[batch.mask], **close)


@every_kind
def test_the_gradient_of_relaxed_tokens_is_that_of_finite_differences(build: Build) -> None:
    discriminator = build().double().eval()
    soft = relaxed_batch(sequences(batch_size=3, num_steps=4), 2.0)
    assert soft.relaxed is not None
    relaxed = soft.relaxed.double().requires_grad_()

    def logits(rows: Tensor) -> Tensor:
        return discriminator.logits(dataclasses.replace(soft, relaxed=rows))

    def prefix_logits(rows: Tensor) -> Tensor:
        return discriminator.prefix_logits(dataclasses.replace(soft, relaxed=rows))[soft.mask]

    for function in (logits, prefix_logits):
        assert torch.autograd.gradcheck(function, relaxed, fast_mode=True)
        (gradient,) = torch.autograd.grad(function(relaxed).sum(), relaxed)
        assert (gradient.abs().sum(-1) > 0)[soft.mask].any(-1).all()
        assert (gradient[~soft.mask] == 0).all()


@every_kind
def test_relaxed_tokens_are_scored_as_they_are_and_not_by_their_ids(build: Build) -> None:
    discriminator = build().train()
    soft = relaxed_batch(sequences(), 0.0)
    scores = discriminator.score(soft)
    torch.testing.assert_close(scores, discriminator.eval().logits(soft))
    assert (scores - discriminator.score(sequences())).abs().max() > 0.01
