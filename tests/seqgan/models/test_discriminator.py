"""What every discriminator must keep, whatever its kind."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorSettings
from seqgan.models.cnn_and_pairs import CNNAndPairsDiscriminator, CNNAndPairsDiscriminatorSettings
from seqgan.models.discriminator import Discriminator
from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings
from seqgan.text.masking import mask_from_lengths

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


def sequences(batch_size: int = 40, num_steps: int = 9, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random tokens of random lengths from 1 to ``num_steps``."""
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(VOCABULARY_SIZE, (batch_size, num_steps), generator=rng)
    lengths = torch.randint(1, num_steps + 1, (batch_size,), generator=rng)
    return tokens, mask_from_lengths(lengths, num_steps)


@every_kind
def test_padding_changes_nothing(build: Build) -> None:
    discriminator = build().eval()
    tokens, mask = sequences()
    other, _ = sequences(seed=1)
    refilled = torch.where(mask, tokens, other)
    assert not refilled.equal(tokens)
    assert discriminator(refilled, mask).equal(discriminator(tokens, mask))
    assert discriminator.score(refilled, mask).equal(discriminator.score(tokens, mask))
    torch.testing.assert_close(
        discriminator.prefix_logits(refilled, mask)[mask], discriminator.prefix_logits(tokens, mask)[mask]
    )
    longer = torch.cat([tokens, other], 1), torch.cat([mask, torch.zeros_like(mask)], 1)
    torch.testing.assert_close(discriminator(*longer), discriminator(tokens, mask))
    torch.testing.assert_close(discriminator.score(*longer), discriminator.score(tokens, mask))


@every_kind
def test_padding_gets_no_gradient(build: Build) -> None:
    discriminator = build()
    tokens, mask = sequences()
    padding = VOCABULARY_SIZE - 1
    tokens = torch.where(mask, tokens.clamp(max=padding - 1), padding)
    discriminator(tokens, mask).sum().backward()
    for parameter in discriminator.parameters():
        if VOCABULARY_SIZE in parameter.shape:
            by_token = parameter.grad.movedim(parameter.shape.index(VOCABULARY_SIZE), 0)
            assert by_token[0].abs().sum() > 0
            assert by_token[padding].abs().sum() == 0


@every_kind
def test_a_sequence_in_a_batch_equals_the_sequence_alone(build: Build) -> None:
    discriminator = build().eval()
    tokens, mask = sequences()
    logits = discriminator(tokens, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = discriminator(tokens[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(alone[0], logits[row])
    order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(discriminator.score(tokens[order], mask[order]), logits[order])


@every_kind
def test_prefix_logits_are_the_logits_of_the_prefixes(build: Build) -> None:
    discriminator = build().eval()
    tokens, mask = sequences()
    by_prefix = discriminator.prefix_logits(tokens, mask)
    for step in range(tokens.shape[1]):
        rows = mask[:, step]
        alone = discriminator(tokens[rows, : step + 1], mask[rows, : step + 1])
        torch.testing.assert_close(by_prefix[rows, step], alone, rtol=1e-5, atol=1e-5)


@every_kind
def test_score_is_the_forward_pass_in_evaluation_mode(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    discriminator = build().train()
    tokens, mask = sequences(batch_size=700)
    scores = discriminator.score(tokens, mask)
    assert all(part.training for part in discriminator.modules())
    assert not scores.requires_grad
    assert scores.equal(discriminator.score(tokens, mask)), "dropout was on"
    torch.testing.assert_close(scores, discriminator.eval()(tokens, mask), rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(Discriminator, "SCORING_ROWS", 300)
    torch.testing.assert_close(discriminator.score(tokens, mask), scores, rtol=1e-5, atol=1e-5)
    assert not any(part.training for part in discriminator.modules())


@every_kind
def test_mode_is_restored_after_an_error(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Tensor) -> Tensor:
        raise RuntimeError("scoring failed")

    discriminator = build().train()
    monkeypatch.setattr(discriminator, "scoring_logits", fail)
    with pytest.raises(RuntimeError, match="scoring failed"):
        discriminator.score(*sequences())
    assert discriminator.training


@every_kind
def test_gradients_reach_every_parameter(build: Build) -> None:
    discriminator = build()
    tokens, mask = sequences(batch_size=100)
    for logits in (discriminator(tokens, mask).square(), discriminator.prefix_logits(tokens, mask)[mask]):
        discriminator.zero_grad()
        logits.sum().backward()
        for name, parameter in discriminator.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@every_kind
def test_it_learns_to_tell_two_languages_apart(build: Build) -> None:
    discriminator = build()
    rng = torch.Generator().manual_seed(0)
    fake = torch.randint(VOCABULARY_SIZE, (256, 8), generator=rng)
    real = fake.sort(1).values
    mask = torch.ones_like(fake, dtype=torch.bool)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=0.02)
    for _ in range(60):
        loss = (discriminator(fake, mask) - discriminator(real, mask)).sigmoid().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (discriminator.score(real, mask) > discriminator.score(fake, mask)).float().mean() > 0.95


@every_kind
def test_no_rows_and_no_tokens(build: Build) -> None:
    discriminator = build().eval()
    tokens, mask = sequences(batch_size=0)
    assert discriminator.score(tokens, mask).shape == (0,)
    tokens, mask = sequences(batch_size=3)
    nothing = torch.zeros_like(mask)
    empty = discriminator(tokens, nothing)
    assert empty.isfinite().all() and empty.equal(empty[:1].expand(3))
    torch.testing.assert_close(discriminator.score(tokens, nothing), empty)


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
    tokens, mask = sequences()
    torch.testing.assert_close(both(tokens, mask), both.cnn(tokens, mask) + both.pairs(tokens, mask))
    torch.testing.assert_close(both.penalty(), both.cnn.penalty() + both.pairs.penalty())
