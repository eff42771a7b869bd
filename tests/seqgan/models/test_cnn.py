"""The CNN discriminator against a plain one: one Conv2d per width, valid windows, maximum over time."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from seqgan.config.schema import validate
from seqgan.models import cnn as module
from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorSettings
from seqgan.models.kernels.window_maxima import final_maxima, tabled_maxima, tap_table
from seqgan.text.masking import mask_from_lengths
from seqgan.text.token_batch import TokenBatch
from tests.references.cnn import PlainCNN
from tests.tiny_models import whole

CONFIG = CNNDiscriminatorSettings(embedding_size=5, widths=(3, 1, 8, 2), num_filters=(4, 3, 2, 6))


def build(config: CNNDiscriminatorSettings = CONFIG, vocabulary_size: int = 13) -> CNNDiscriminator:
    rng = torch.Generator().manual_seed(0)
    discriminator = CNNDiscriminator(config, vocabulary_size=vocabulary_size, rng=rng)
    with torch.no_grad():
        for bias in (*discriminator.filter_biases, discriminator.highway_bias, discriminator.output_bias):
            bias.normal_(0.0, 0.5, generator=rng)
    return discriminator


def random_tokens(*shape: int, vocabulary_size: int = 13, seed: int = 0) -> Tensor:
    return torch.randint(vocabulary_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("num_steps", [1, 2, 7, 8, 20])
def test_full_sequences_and_every_prefix_equal_the_plain_cnn(num_steps: int) -> None:
    ours = build().eval()
    plain = PlainCNN(ours)
    batch = whole(random_tokens(30, num_steps))
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(ours.logits(batch), plain(batch.tokens), **close)
    torch.testing.assert_close(ours.score(batch), plain(batch.tokens), **close)
    features, prefix_logits = ours.features(batch), ours.prefix_logits(batch)
    for step in range(num_steps):
        prefix = batch.tokens[:, : step + 1]
        torch.testing.assert_close(features[:, step], plain.features(prefix), **close)
        torch.testing.assert_close(prefix_logits[:, step], plain(prefix), **close)


def test_variable_lengths_equal_the_plain_cnn_one_by_one() -> None:
    ours = build().eval()
    plain = PlainCNN(ours)
    tokens = random_tokens(60, 11)
    lengths = torch.arange(60) % 11 + 1
    batch = TokenBatch(tokens, mask_from_lengths(lengths, 11))
    expected = torch.cat([plain(tokens[row : row + 1, :length]) for row, length in enumerate(lengths)])
    torch.testing.assert_close(ours.logits(batch), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.score(batch), expected, rtol=1e-5, atol=1e-5)


def test_gradients_equal_those_of_the_plain_cnn() -> None:
    ours = build().eval()
    plain = PlainCNN(ours)
    plain.embedding.weight.requires_grad_()
    tokens = random_tokens(30, 9)
    ours.logits(whole(tokens)).sigmoid().sum().backward()
    plain(tokens).sigmoid().sum().backward()
    torch.testing.assert_close(ours.embedding.grad, plain.embedding.weight.grad, rtol=1e-4, atol=1e-6)
    for weight, bias, convolution in zip(ours.filters, ours.filter_biases, plain.convolutions, strict=True):
        torch.testing.assert_close(weight.grad.view_as(convolution.weight), convolution.weight.grad)
        torch.testing.assert_close(bias.grad, convolution.bias.grad)
    torch.testing.assert_close(ours.highway_weight.grad.chunk(2)[0], plain.transform.weight.grad)
    torch.testing.assert_close(ours.highway_weight.grad.chunk(2)[1], plain.gate.weight.grad)
    torch.testing.assert_close(ours.output_weight.grad, plain.output.weight.grad)


@pytest.mark.parametrize("vary", [False, True])
@pytest.mark.parametrize("table_megabytes", [0, 256])
def test_both_ways_of_scoring_equal_the_forward_pass(
    table_megabytes: int, vary: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = []
    build_table = module.tap_table
    monkeypatch.setattr(module, "tap_table", lambda *args: tables.append(args) or build_table(*args))
    ours = build(dataclasses.replace(CONFIG, table_megabytes=table_megabytes)).eval()
    tokens = random_tokens(600, 9)
    lengths = torch.randint(0, 10, (600,), generator=torch.Generator().manual_seed(1))
    batch = TokenBatch(tokens, mask_from_lengths(lengths if vary else torch.full((600,), 9), 9))
    torch.testing.assert_close(ours.score(batch), ours.logits(batch), rtol=1e-5, atol=1e-5)
    assert len(tables) == (len(CONFIG.widths) if table_megabytes else 0)


def test_scoring_follows_the_weights() -> None:
    ours = build().eval()
    batch = whole(random_tokens(100, 9))
    before = ours.score(batch)
    with torch.no_grad():
        ours.filters[0].add_(0.1)
    after = ours.score(batch)
    assert not after.allclose(before)
    torch.testing.assert_close(after, ours.logits(batch), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("table_megabytes", [0, 256])
def test_bfloat16_is_close(table_megabytes: int) -> None:
    config = CNNDiscriminatorSettings(
        embedding_size=16, widths=(1, 2, 3), num_filters=(60, 60, 60), table_megabytes=table_megabytes
    )
    ours = build(config).eval()
    batch = TokenBatch(random_tokens(500, 10), mask_from_lengths(torch.arange(500) % 10 + 1, 10))
    exact = ours.score(batch)
    ours.settings = dataclasses.replace(config, scoring_precision="bfloat16")
    rounded = ours.score(batch)
    assert rounded.dtype == torch.float32
    assert not rounded.equal(exact)
    assert (rounded - exact).abs().max() < 0.05 * exact.std()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_maxima_by_table_are_those_of_the_windows_whatever_their_signs(dtype: torch.dtype) -> None:
    rng = torch.Generator().manual_seed(0)
    embedding, weight = (torch.randn(size, generator=rng).to(dtype) for size in ((13, 4), (40, 12)))
    bias = torch.linspace(-15, 5, 40).to(dtype)  # from filters that never fire to those that always do
    tokens, lengths = random_tokens(50, 7), torch.arange(50) % 8
    mask = mask_from_lengths(lengths, 7)
    expected = final_maxima(embedding[tokens], mask, weight, bias)
    by_table = tabled_maxima(tokens, lengths, tap_table(embedding, weight, bias), 3)
    precision = {"rtol": 0.02, "atol": 0.1} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(by_table, expected, **precision)
    assert (expected == 0).any() and (expected == 0)[lengths == 2].all()
    assert ((by_table > 0) & (expected == 0)).sum() <= 1


def test_dropout_works_on_the_features_in_training_alone() -> None:
    ours = build(dataclasses.replace(CONFIG, dropout=0.2)).train()
    nn.init.ones_(ours.output_weight)
    batch = whole(random_tokens(1, 9).expand(4000, -1))
    torch.manual_seed(0)
    logits = ours.logits(batch)
    features = ours.features(batch.select(slice(1)))[0, -1]
    expected = ours.score(batch)[0]
    torch.testing.assert_close(logits.mean(), expected, rtol=0.02, atol=0.0)
    torch.testing.assert_close(logits.var(), features.square().sum() * 0.2 / 0.8, rtol=0.1, atol=0.0)


def test_penalty_is_that_of_the_output_layer_alone() -> None:
    ours = build()
    nn.init.constant_(ours.output_weight, 2.0)
    nn.init.constant_(ours.output_bias, 3.0)
    assert ours.penalty().item() == pytest.approx(0.2 * (15 * 4 + 9) / 2)
    ours.penalty().backward()
    touched = [name for name, parameter in ours.named_parameters() if parameter.grad is not None]
    assert touched == ["output_weight", "output_bias"]


def test_sizes_and_initial_weights_of_the_paper() -> None:
    ours = CNNDiscriminator(CNNDiscriminatorSettings(), vocabulary_size=50)
    assert ours.output_weight.shape == (1, 1720)
    assert ours.embedding.shape == (50, 64)
    assert 0.95 < ours.embedding.abs().max() <= 1
    for weight in (*ours.filters, ours.output_weight):
        assert weight.abs().max() <= 0.2
        assert weight.std().item() == pytest.approx(0.088, abs=0.005)
    limit = (6 / (1720 + 1720)) ** 0.5
    assert ours.highway_weight.abs().max().item() == pytest.approx(limit, rel=0.01)
    fresh = PlainCNN(ours)
    assert (fresh.gate.bias == -2).all() and (fresh.transform.bias == 0).all()  # mostly closed at first


def test_settings_out_of_range() -> None:
    with pytest.raises(ValueError, match="num-filters: 2 numbers for 1 widths"):
        build(dataclasses.replace(CONFIG, widths=(1,), num_filters=(1, 2)))
    with pytest.raises(ValueError, match="num-filters: 0 numbers"):
        build(dataclasses.replace(CONFIG, widths=(), num_filters=()))
    for wrong in ({"dropout": 1.0}, {"widths": (0, 1)}, {"num_filters": (0,)}, {"l2": -1.0}):
        with pytest.raises(ValueError, match="out of range"):
            validate(dataclasses.replace(CONFIG, **wrong))
