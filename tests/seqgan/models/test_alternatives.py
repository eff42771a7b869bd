"""Alternatives for each token, scored by a discriminator: beside prefixes written out one by one."""

import dataclasses

import pytest
import torch

from seqgan.models import prefix_features
from seqgan.models.cnn_and_pairs import CNNAndPairsDiscriminator, CNNAndPairsDiscriminatorSettings
from seqgan.models.pairs import PairsDiscriminator, PairsDiscriminatorSettings
from seqgan.rewards.discriminator import DiscriminatorReward, DiscriminatorRewardSettings
from seqgan.rewards.reward import RewardsAlternatives
from seqgan.text.masking import mask_from_lengths
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import rng, tiny_cnn

SIZE, ROWS, STEPS, ALTERNATIVES = 9, 7, 6, 3
CLOSE = {"atol": 2e-5, "rtol": 1e-5}


def pairs(**options):
    settings = PairsDiscriminatorSettings(rank=5, initial_scale=0.7, **options)
    found = PairsDiscriminator(settings, vocabulary_size=SIZE, rng=rng(3))
    with torch.no_grad():
        found.token_biases.normal_(generator=rng(4))
        found.bias.fill_(0.3)
    return found


def cnn(**options):
    found = tiny_cnn(SIZE, widths=(1, 3, 2, 8))
    found.settings = type(found.settings)(
        **{name: getattr(found.settings, name) for name in ("embedding_size", "widths", "num_filters")},
        **options,
    )
    return found


def both():
    found = CNNAndPairsDiscriminator(CNNAndPairsDiscriminatorSettings(), vocabulary_size=SIZE)
    found.cnn, found.pairs = cnn(), pairs()
    return found


MAKE = {"cnn": cnn, "pairs": pairs, "distances": lambda: pairs(distances=(1, 3)), "both": both}


def make_batch(**options):
    tokens = torch.randint(SIZE, (ROWS, STEPS), generator=rng(1))
    lengths = torch.tensor([6, 1, 4, 6, 2, 5, 3])
    return TokenBatch(tokens, mask_from_lengths(lengths, STEPS), **options)


def written_out(discriminator, batch, alternatives):
    """Every prefix of every row with every alternative, each by itself; 0 behind the mask."""
    expected = torch.zeros(alternatives.shape)
    for row, step, k in (torch.ones(alternatives.shape).nonzero()).tolist():
        if batch.mask[row, step]:
            tokens = torch.cat([batch.tokens[row, :step], alternatives[row, step, k, None]])
            if batch.prompt is not None:
                tokens = torch.cat([batch.prompt.tokens[row, batch.prompt.mask[row]], tokens])
            one = TokenBatch(tokens[None], torch.ones(1, len(tokens), dtype=torch.bool))
            with torch.no_grad():
                expected[row, step, k] = discriminator.eval().logits(one)[0]
    return expected


@pytest.fixture(name="alternatives")
def drawn():
    return torch.randint(SIZE, (ROWS, STEPS, ALTERNATIVES), generator=rng(2))


@pytest.mark.parametrize("incremental", [True, False])
@pytest.mark.parametrize("rows", [20_000, 40])
@pytest.mark.parametrize("kind", MAKE)
def test_scores_are_those_of_prefixes_written_out(monkeypatch, kind, rows, incremental, alternatives):
    monkeypatch.setattr(prefix_features, "sparse_pays", lambda weight: incremental)
    discriminator, batch = MAKE[kind](), make_batch()
    monkeypatch.setattr(discriminator, "SCORING_ROWS", rows)
    reward = DiscriminatorReward(DiscriminatorRewardSettings(transform="logit"), discriminator=discriminator)
    assert isinstance(reward, RewardsAlternatives)
    expected = written_out(discriminator, batch, alternatives)
    discriminator.train()
    found = reward.of_alternatives(batch, alternatives)
    torch.testing.assert_close(found, expected, **CLOSE)
    assert not found.requires_grad and discriminator.training
    assert expected[0].std() > 0.1


def test_probabilities_are_0_behind_the_mask_too(alternatives):
    discriminator, batch = pairs(), make_batch()
    reward = DiscriminatorReward(DiscriminatorRewardSettings(), discriminator=discriminator)
    expected = written_out(discriminator, batch, alternatives).sigmoid()
    found = reward.of_alternatives(batch, alternatives)
    torch.testing.assert_close(found, torch.where(batch.mask[..., None], expected, 0.0), **CLOSE)


@pytest.mark.parametrize("kind", MAKE)
def test_prefixes_are_judged_behind_their_prompts(kind, alternatives):
    mask = mask_from_lengths(torch.tensor([2, 1, 0, 2, 1, 2, 0]), 2)
    prompt = TokenBatch(torch.randint(SIZE, (ROWS, 2), generator=rng(5)), mask)
    discriminator, batch = MAKE[kind](), make_batch(prompt=prompt)
    found = discriminator.score_alternatives(batch, alternatives)
    torch.testing.assert_close(found, written_out(discriminator, batch, alternatives), **CLOSE)


def test_precision_of_scoring_reaches_the_cnn(alternatives):
    batch = make_batch()
    exact, rounded = (
        cnn(scoring_precision=precision).score_alternatives(batch, alternatives)
        for precision in ("float32", "bfloat16")
    )
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, atol=0.3, rtol=0.05)


def test_without_a_faster_way_prefixes_are_written_out(alternatives):
    class Own(PairsDiscriminator):
        alternative_logits = PairsDiscriminator.__mro__[1].alternative_logits

    known = pairs()
    own = Own(known.settings, vocabulary_size=SIZE)
    own.load_state_dict(known.state_dict())
    batch = make_batch()
    expected = torch.where(batch.mask[..., None], known.score_alternatives(batch, alternatives), 0.0)
    torch.testing.assert_close(own.score_alternatives(batch, alternatives), expected, **CLOSE)


def test_no_rows_and_static_shapes(monkeypatch, alternatives):
    batch = make_batch()
    for make in MAKE.values():
        discriminator = make()
        nothing = discriminator.score_alternatives(batch.select(slice(0)), alternatives[:0])
        assert nothing.shape == (0, STEPS, ALTERNATIVES)
        compact = discriminator.score_alternatives(batch, alternatives)[batch.mask]
        with monkeypatch.context() as patch:
            patch.setattr("seqgan.runtime.devices.static_shapes", lambda tensor: True)
            same = discriminator.score_alternatives(batch, alternatives)[batch.mask]
        torch.testing.assert_close(same, compact, **CLOSE)


def test_relaxed_tokens_and_the_bound_of_memory(monkeypatch, alternatives):
    batch, discriminator = make_batch(), pairs()
    relaxed = torch.nn.functional.one_hot(batch.tokens, SIZE).float()
    found = discriminator.score_alternatives(dataclasses.replace(batch, relaxed=relaxed), alternatives)
    torch.testing.assert_close(found, written_out(discriminator, batch, alternatives), **CLOSE)
    sizes, logits = [], discriminator.alternative_logits
    monkeypatch.setattr(
        discriminator, "alternative_logits", lambda b, a: sizes.append(a.numel()) or logits(b, a)
    )
    monkeypatch.setattr(discriminator, "SCORING_ROWS", 40)
    discriminator.score_alternatives(batch, alternatives)
    assert sizes == [36, 36, 36, 18]
