"""A mixture of generators: its probabilities by hand, step by step and sampled; its weight by brute force."""

import pytest
import torch

from seqgan.evaluation.likelihood import nll
from seqgan.evaluation.mixture import MixtureGenerator, fit_weight
from seqgan.evaluation.ngram_generator import NgramGenerator
from seqgan.sampling.sample import sample
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import EVERY_KIND, all_sequences, rng, tiny_generator

LINES = [[1, 2, 3], [1, 2, 2, 3], [2, 1, 3], [1, 1, 3]]
EOS = 3


def bigrams(forbidden=()):
    text = Sequences.from_lists(LINES)
    return NgramGenerator.fit(text, order=2, vocabulary_size=4, bos_id=0, forbidden=forbidden, discount=0.5)


def every_sequence():
    return TokenBatch(*all_sequences(4, 3, EOS))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_probabilities_are_those_of_both_in_their_shares(kind):
    first, second, batch = tiny_generator(kind, 4).eval(), bigrams(), every_sequence()
    mixture = MixtureGenerator(first, second, 0.3).eval()
    with torch.no_grad():
        p, q, found = (g.log_probs(batch).exp() for g in (first, second, mixture))
        state, hidden = mixture.initial_state(len(batch)), []
        for token in mixture.inputs(batch.tokens).unbind(1):
            step, state = mixture.advance(token, state)
            hidden.append(step)
        torch.testing.assert_close(torch.stack(hidden, 1), mixture.hidden(batch), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, 0.7 * p + 0.3 * q, rtol=1e-4, atol=1e-6)
    total = torch.where(batch.mask, found, 1.0).prod(1).sum()
    assert total.item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("weight", "which"), [(0.0, 0), (1.0, 1)])
def test_a_share_of_nothing_leaves_the_other_alone(weight, which):
    both, batch = (tiny_generator("lstm", 4).eval(), bigrams()), every_sequence()
    mixture = MixtureGenerator(*both, weight)
    with torch.no_grad():
        torch.testing.assert_close(mixture.log_probs(batch), both[which].log_probs(batch))


@pytest.mark.slow
def test_samples_follow_their_log_probabilities_and_forbidden_tokens_never_come():
    mixture = MixtureGenerator(tiny_generator("lstm", 4, forbidden=(0,)), bigrams((0,)), 0.4).eval()
    drawn = sample(mixture, 20_000, 3, eos_id=EOS, rng=rng())
    with torch.no_grad():
        torch.testing.assert_close(
            drawn.log_probs[drawn.mask], mixture.log_probs(drawn)[drawn.mask], rtol=1e-4, atol=1e-4
        )
    assert not (drawn.tokens[drawn.mask] == 0).any()
    share = (drawn.tokens[:, 0] == 1).float().mean().item()
    with torch.no_grad():
        expected = mixture.log_probs(TokenBatch(torch.tensor([[1]]), torch.tensor([[True]]))).exp().item()
    assert share == pytest.approx(expected, abs=0.015)


def test_the_weight_is_the_one_under_which_held_out_text_is_likeliest():
    first, second = tiny_generator("lstm", 4).eval(), bigrams()
    text = sample(MixtureGenerator(first, second, 0.3), 500, 5, eos_id=EOS, rng=rng(1))
    weight = fit_weight(first, second, text)
    tried = {share / 10: nll(MixtureGenerator(first, second, share / 10), text).value for share in range(11)}
    best = min(tried, key=tried.get)
    assert abs(weight - best) <= 0.1
    assert nll(MixtureGenerator(first, second, weight), text).value <= tried[best]
    assert fit_weight(first, first, text) == 0  # where nothing is gained, nothing is mixed


def test_a_weight_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"weight: 1.5 is out of range; it must be between 0 and 1"):
        MixtureGenerator(bigrams(), bigrams(), 1.5)
