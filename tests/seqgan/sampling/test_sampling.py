import math

import pytest
import torch

from seqgan.models.inference import inference
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from seqgan.sampling.sample import sample
from seqgan.sampling.token_sampler import TokenSampler, find_block, find_token, search_cumulative
from seqgan.sampling.truncation import truncate_logits
from seqgan.text.masking import mask_from_lengths
from seqgan.text.token_batch import TokenBatch
from tests.references.completion import naive_completion
from tests.references.enumeration import all_sequences, sequence_probabilities
from tests.tiny_models import EVERY_KIND, KINDS, rng, tiny_generator, whole

ADVERSARIAL_UNIFORMS = [0.0, 1e-45, 2**-126, 2**-24, 0.5, 1 - 2**-23, 1 - 2**-24, 1.0]


def chi_square(counts, probabilities):
    """Standardised deviation of the counts: near N(0, 1) where they come from the probabilities."""
    expected = probabilities.double() * counts.sum()
    assert (counts[expected == 0] == 0).all()
    # Rare entries are put together, so that every cell expects at least ten.
    order = expected.argsort()
    cell = (expected[order].cumsum(0) / 10).long()
    _, cell = cell.unique_consecutive(return_inverse=True)
    counts = torch.zeros(int(cell.max()) + 1).double().index_add_(0, cell, counts[order].double())
    expected = torch.zeros_like(counts).index_add_(0, cell, expected[order])
    statistic = ((counts - expected).square() / expected.clamp(min=1e-9)).sum()
    freedom = len(counts) - 1
    return ((statistic - freedom) / math.sqrt(2 * freedom)).item()


def sampler_and_hidden(vocabulary_size=1000, *, scale=1.0, rows=4, forbidden=(), **settings):
    generator = tiny_generator("lstm", vocabulary_size, scale=scale, forbidden=forbidden).eval()
    hidden = torch.rand(rows, 8, generator=rng(9)) * 2 - 1
    return generator, TokenSampler(generator, **settings), hidden


@pytest.mark.parametrize("vocabulary_size", [2, 127, 128, 129, 1000])
def test_a_draw_inverts_the_cumulative_sum(vocabulary_size):
    generator, sampler, hidden = sampler_and_hidden(vocabulary_size, forbidden=(0,))
    uniforms = torch.rand(4, 500, generator=rng())
    tokens, log_probs = sampler.draw(hidden, uniforms)
    with torch.no_grad():
        probabilities = generator.head.logits(hidden).double().softmax(-1)
    cumulative = probabilities.cumsum(-1)
    naive = torch.searchsorted(cumulative, uniforms.double(), right=True)
    for row, place in (tokens != naive).nonzero().tolist():  # only where u hits an edge up to rounding
        edge = cumulative[row, min(tokens[row, place], naive[row, place])]
        assert abs(edge - uniforms[row, place]) < 1e-5
    assert (tokens != naive).float().mean() < 0.01
    expected = probabilities.gather(-1, tokens).log().float()
    torch.testing.assert_close(log_probs, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_draws_have_the_softmax_distribution(precision):
    generator, sampler, hidden = sampler_and_hidden(300, rows=3, precision=precision)
    tokens, _ = sampler.draw(hidden, torch.rand(3, 200_000, generator=rng()))
    with torch.no_grad():
        probabilities = generator.head.logits(hidden).softmax(-1)
    for row in range(3):
        counts = tokens[row].bincount(minlength=300)
        if precision == "float32":
            assert abs(chi_square(counts, probabilities[row])) < 4
        else:  # logits rounded to 8 bits
            assert (counts / 200_000 - probabilities[row]).abs().sum() < 0.05
    assert abs(chi_square(tokens[0].bincount(minlength=300), probabilities[1])) > 100  # the test can fail


def test_impossible_tokens_and_padding_are_never_drawn():
    forbidden = (0, 1, 5, 87, 88, 175, 176, 261, 262)  # first, last, at the edges of blocks
    _, sampler, hidden = sampler_and_hidden(263, forbidden=forbidden)
    assert sampler.padding == 1
    uniforms = torch.tensor(ADVERSARIAL_UNIFORMS).expand(4, -1)
    tokens, log_probs = sampler.draw(hidden, uniforms)
    assert not torch.isin(tokens, torch.tensor(forbidden)).any()
    assert (tokens < 263).all()
    assert (tokens[:, 0] == 2).all()  # the first that is possible
    assert (tokens[:, -1] == 260).all()  # the last
    assert log_probs.isfinite().all()


@pytest.mark.parametrize("seed", range(20))
def test_entries_without_mass_are_never_found(seed, monkeypatch):
    if seed % 2:  # as on a GPU
        monkeypatch.setattr("seqgan.runtime.devices.static_shapes", lambda tensor: True)
    masses = torch.rand(50, 7, 9, generator=rng(seed)).exp2()
    masses *= torch.rand(50, 7, 9, generator=rng(seed + 100)) < 0.3
    masses[:, 3] = 0  # a whole block
    masses *= 10.0 ** torch.randint(-30, 30, (50, 1, 1), generator=rng(seed))
    masses[:, 6, 8] += masses.sum((1, 2)) * 1e-9 + 1e-30
    random = torch.rand(50, 200, generator=rng(seed))
    uniforms = torch.cat([torch.tensor(ADVERSARIAL_UNIFORMS).expand(50, -1), random], 1)
    tokens, log_probs = find_token(*find_block(masses, uniforms))
    assert (masses.flatten(1).gather(1, tokens) > 0).all()
    assert log_probs.isfinite().all()


def test_a_search_is_safe_at_the_total_itself():
    masses = torch.tensor([[0.0, 0.1, 0.0, 0.7, 0.0]])
    found, cumulative = search_cumulative(masses, torch.tensor([[0.0, 0.05, 0.1, 0.5, 0.8, 0.9]]))
    assert found.tolist() == [[1, 1, 3, 3, 3, 3]]
    torch.testing.assert_close(cumulative, torch.tensor([[0.0, 0.1, 0.1, 0.8, 0.8]]))


def test_large_and_far_apart_logits_neither_overflow_nor_vanish():
    generator, sampler, hidden = sampler_and_hidden(50, temperature=1e-3)
    tokens, log_probs = sampler.draw(hidden * 30, torch.rand(4, 10, generator=rng()))
    assert (tokens == generator.head.logits(hidden * 30).argmax(-1, keepdim=True)).all()
    assert log_probs.abs().max() < 1e-3
    generator.head.bias.data -= 500  # every exponential would be 0
    tokens, log_probs = TokenSampler(generator).draw(hidden, torch.rand(4, 10, generator=rng()))
    expected = generator.head.logits(hidden).log_softmax(-1).gather(-1, tokens)
    torch.testing.assert_close(log_probs, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"top_p": 0.9}])
def test_padding_and_what_is_cut_off_stay_impossible_however_small_the_logits(settings):
    generator, _, hidden = sampler_and_hidden(263, forbidden=(7,))
    generator.head.bias.data -= 50
    tokens, log_probs = TokenSampler(generator, temperature=1e-3, **settings).draw(
        hidden, torch.rand(4, 50, generator=rng())
    )
    assert (tokens == generator.head.logits(hidden).argmax(-1, keepdim=True)).all()
    assert log_probs.abs().max() < 1e-3


@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"top_p": 0.9}])
def test_a_broken_generator_gives_tokens_and_says_so(settings):
    generator = tiny_generator("lstm", 263)
    generator.head.weight.data.fill_(math.nan)
    trajectories = sample(generator, 4, 6, eos_id=None, rng=rng(), **settings)
    assert ((trajectories.tokens >= 0) & (trajectories.tokens < 263)).all()
    assert trajectories.log_probs.isnan().all()


def test_rows_are_independent_of_the_chunks(monkeypatch):
    _, sampler, hidden = sampler_and_hidden(300, rows=50)
    uniforms = torch.rand(50, 3, generator=rng())
    tokens, log_probs = sampler.draw(hidden, uniforms)
    sampler.max_rows = 7
    chunked_tokens, chunked_log_probs = sampler.draw(hidden, uniforms)
    assert torch.equal(tokens, chunked_tokens)
    torch.testing.assert_close(log_probs, chunked_log_probs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0.6}, {"temperature": 1.7, "top_k": 3}, {"top_p": 0.7}]
)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_log_probabilities_are_those_of_what_was_sampled(kind, settings):
    generator = tiny_generator(kind, 9, forbidden=(0,)).eval()
    trajectories = sample(generator, 40, 7, eos_id=1, rng=rng(), **settings)
    with torch.no_grad():
        logits = generator(trajectories).flatten(0, 1) / settings.get("temperature", 1.0)
    logits = truncate_logits(logits, settings.get("top_k"), settings.get("top_p"))
    expected = logits.log_softmax(-1).gather(-1, trajectories.tokens.view(-1, 1)).view(40, 7)
    torch.testing.assert_close(
        trajectories.log_probs, torch.where(trajectories.mask, expected, 0.0), atol=2e-5, rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", [*KINDS, "leakgan"])
def test_sequences_have_their_exact_probabilities(kind, eos_id):
    generator = tiny_generator(kind, 3)
    trajectories = sample(generator, 20_000, 3, eos_id=eos_id, rng=rng(), batch_size=20_000)
    every, every_mask = all_sequences(3, 3, eos_id)
    assert torch.equal(every_mask.sum(1).unique(), torch.tensor([3] if eos_id is None else [1, 2, 3]))
    places = torch.tensor([9, 3, 1])
    counts = (trajectories.tokens * places).sum(1).bincount(minlength=27)[(every * places).sum(1)]
    probabilities = sequence_probabilities(generator.eval(), every, every_mask)
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-5)
    assert counts.sum() == 20_000
    assert abs(chi_square(counts, probabilities)) < 4


def test_behind_eos_there_is_nothing():
    generator = tiny_generator("lstm", 6, forbidden=(0, 5))
    trajectories = sample(generator, 200, 10, eos_id=3, pad_id=5, rng=rng())
    for tokens, mask, log_probs in zip(
        trajectories.tokens.tolist(), trajectories.mask.tolist(), trajectories.log_probs, strict=True
    ):
        length = tokens.index(3) + 1 if 3 in tokens else 10
        assert mask == [True] * length + [False] * (10 - length)
        assert tokens[length:] == [5] * (10 - length)
        assert 5 not in tokens[:length]
        assert (log_probs[length:] == 0).all()
        assert (log_probs[:length] < 0).all()
    assert 1 < trajectories.mask.sum(1).float().mean() < 9


def test_sampling_stops_early_and_still_fills_the_rows(monkeypatch):
    generator = tiny_generator("lstm", 4)
    generator.head.bias.data[3] = 100.0  # EOS always
    calls = []
    advance = generator.advance
    monkeypatch.setattr(generator, "advance", lambda *args: calls.append(1) or advance(*args))
    trajectories = sample(generator, 5, 50, eos_id=3, rng=rng())
    assert len(calls) == 1
    assert trajectories.tokens.shape == trajectories.log_probs.shape == (5, 50)
    assert trajectories.mask.sum().item() == 5


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_temperature_zero_takes_the_likeliest_token(kind):
    generator = tiny_generator(kind, 9).eval()
    trajectories = sample(generator, 3, 6, eos_id=None, rng=rng(), temperature=0.0)
    assert torch.equal(generator(trajectories).argmax(-1), trajectories.tokens)
    assert (trajectories.log_probs == 0).all()


def test_truncation_keeps_what_it_should():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.05, 0.15, 0.3, 0.5]]).log()

    def kept(top_k=None, top_p=None):
        return (truncate_logits(logits, top_k, top_p) > -1e3).tolist()

    assert kept(top_k=2) == [[True, True, False, False], [False, False, True, True]]
    assert kept(top_k=9) == [[True] * 4] * 2
    assert kept(top_p=1e-300) == kept(top_p=0.1)  # in float32 it is 0
    assert kept(top_p=0.1) == [[True, False, False, False], [False, False, False, True]]
    assert kept(top_p=0.6) == [[True, True, False, False], [False, False, True, True]]
    assert kept(top_p=1.0) == [[True] * 4] * 2
    assert kept(top_k=3, top_p=0.6) == [[True, True, False, False], [False, False, True, True]]
    equal = truncate_logits(torch.zeros(1, 5), 2, None)
    assert (equal > -1e3).sum() == 2


@pytest.mark.parametrize("static_shapes", [False, True], ids=["by value", "by index"])
@pytest.mark.parametrize(("top_p", "expected"), [(0.25, 1), (0.5, 2), (0.75, 3), (0.5000001, 3)])
def test_a_set_of_exactly_the_mass_is_enough(top_p, expected, static_shapes, monkeypatch):
    """Four tokens of 1/4 each, which float32 holds exactly; the fifth and sixth are impossible."""
    monkeypatch.setattr("seqgan.runtime.devices.static_shapes", lambda tensor: static_shapes)
    logits = torch.tensor([[-math.inf, 0.0, 0.0, 0.0, 0.0, -math.inf]])
    kept = (truncate_logits(logits, None, top_p) > -math.inf)[0]
    assert kept.tolist() == [False] + [place < expected for place in range(4)] + [False]


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999])
def test_the_smallest_set_of_a_mass_by_trying_one_token_after_the_other(top_p):
    """Ties and impossible tokens included: of equal ones the first are kept, and never none."""
    logits = torch.randn(60, 40, generator=rng()).mul(2)
    logits[20:40] = logits[20:40].round()
    logits[40:50] = 0.0
    logits[50:, ::3] = -math.inf
    truncated = truncate_logits(logits, None, top_p)
    for row, found in zip(logits, truncated, strict=True):
        masses, mass, kept = row.double().softmax(-1), 0.0, []
        for token in sorted(range(40), key=lambda t: (-float(row[t]), t)):
            if kept and mass >= top_p - 1e-7:
                break
            kept.append(token)
            mass += float(masses[token])
        assert sorted(kept) == (found > -math.inf).nonzero().flatten().tolist()
        assert torch.equal(found[kept], row[kept])


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_is_continued_by_its_own_distribution(kind):
    generator = tiny_generator(kind, 5).eval()
    prompt = whole(torch.tensor([[4, 2]]).expand(20_000, -1))
    trajectories = sample(generator, 20_000, 1, eos_id=None, rng=rng(), prompt=prompt, batch_size=20_000)
    assert trajectories.tokens.shape == (20_000, 1) and trajectories.prompt is prompt
    with torch.no_grad():
        probabilities = generator(whole(torch.tensor([[4, 2, 0]])))[0, 2].softmax(-1)
    assert abs(chi_square(trajectories.tokens[:, 0].bincount(minlength=5), probabilities)) < 4


def random_prompts(num_rows, vocabulary_size):
    """Prompts of 0 to 4 tokens, and a column that says which is which."""
    tokens = torch.randint(vocabulary_size, (num_rows, 4), generator=rng(3))
    mask = mask_from_lengths(torch.randint(5, (num_rows,), generator=rng(4)), 4)
    return TokenBatch(tokens, mask, columns={"row": list(range(num_rows))})


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("batch_size", [3, 512])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_prompts_of_any_length_are_completed_as_one_by_one(monkeypatch, kind, batch_size, static):
    monkeypatch.setattr("seqgan.runtime.devices.static_shapes", lambda tensor: static)
    generator = tiny_generator(kind, 7, forbidden=(0,)).eval()
    prompt = random_prompts(14, 7)
    assert len(prompt.lengths.unique()) == 5
    drawn = sample(generator, 14, 6, eos_id=2, rng=rng(), prompt=prompt, batch_size=batch_size)
    assert 0 < (drawn.lengths < 6).sum() < 14
    uniforms = torch.rand(14, 6, generator=rng())
    with torch.no_grad():
        teacher_forced = generator.log_probs(drawn)
        for row in range(14):
            given = prompt.tokens[row, prompt.mask[row]].tolist()
            tokens, log_probs = naive_completion(generator, given, uniforms[row], 2)
            mask = drawn.mask[row]
            assert drawn.tokens[row, mask].tolist() == tokens
            expected = torch.tensor(log_probs)
            torch.testing.assert_close(drawn.log_probs[row, mask], expected, atol=2e-5, rtol=1e-5)
            torch.testing.assert_close(teacher_forced[row, mask], expected, atol=2e-5, rtol=1e-5)
    assert drawn.columns == prompt.columns and drawn.prompt is prompt


def test_prompts_get_the_gradient_of_sequences_read_alone():
    generator = tiny_generator("lstm", 7).eval()
    batch = sample(generator, 6, 5, eos_id=None, rng=rng(), prompt=random_prompts(6, 7))
    generator.log_probs(batch).sum().backward()
    together = [parameter.grad.clone() for parameter in generator.parameters()]
    generator.zero_grad()
    for row in range(6):
        prompt = batch.prompt.tokens[row, batch.prompt.mask[row]]
        joined = torch.cat([prompt, batch.tokens[row]])[None]
        generator.log_probs(whole(joined))[0, len(prompt) :].sum().backward()
    alone = [parameter.grad for parameter in generator.parameters()]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_no_room_no_prompts_and_too_few_prompts():
    generator = tiny_generator("lstm", 5)
    prompt = whole(torch.tensor([[4, 2], [1, 3]]))
    assert sample(generator, 2, 0, eos_id=None, rng=rng(), prompt=prompt).tokens.shape == (2, 0)
    empty = sample(generator, 2, 5, eos_id=2, rng=rng(), prompt=whole(torch.empty(2, 0, dtype=torch.long)))
    assert torch.equal(empty.tokens, sample(generator, 2, 5, eos_id=2, rng=rng()).tokens)
    with pytest.raises(ValueError, match="prompt: 2 rows for 3 sequences"):
        sample(generator, 3, 5, eos_id=None, rng=rng(), prompt=prompt)


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_batch_size_changes_nothing(kind):
    generator = tiny_generator(kind, 50)
    whole = sample(generator, 30, 6, eos_id=1, rng=rng())
    parts = sample(generator, 30, 6, eos_id=1, rng=rng(), batch_size=7)
    assert torch.equal(whole.tokens, parts.tokens)
    torch.testing.assert_close(whole.log_probs, parts.log_probs)


def test_sampling_is_without_dropout_and_gradient_and_restores_every_mode():
    generator = tiny_generator("transformer", 9, dropout=0.5).train()
    generator.blocks[0].eval()
    modes = [module.training for module in generator.modules()]
    first, second = (sample(generator, 4, 6, eos_id=None, rng=rng()) for _ in range(2))
    assert torch.equal(first.tokens, second.tokens)
    assert not first.log_probs.requires_grad
    assert [module.training for module in generator.modules()] == modes
    with pytest.raises(RuntimeError), inference(generator):
        assert not generator.training
        raise RuntimeError
    assert [module.training for module in generator.modules()] == modes
    generator.eval()
    assert torch.equal(sample(generator, 4, 6, eos_id=None, rng=rng()).tokens, first.tokens)


def test_samples_can_be_learned_from():
    generator = tiny_generator("lstm", 9)
    trajectories = sample(generator, 4, 6, eos_id=None, rng=rng())
    generator.log_probs(trajectories).sum().backward()
    assert generator.embedding.weight.grad.norm() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature: -1.0"),
        ({"temperature": math.nan}, "temperature: nan"),
        ({"top_k": 0}, "top_k: 0"),
        ({"top_p": 0.0}, "top_p: 0.0"),
        ({"top_p": 1.1}, "top_p: 1.1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sample(tiny_generator("lstm"), 1, 1, eos_id=None, rng=rng(), **settings)


@pytest.mark.slow
def test_a_full_size_vocabulary_is_drawn_from_by_its_softmax():
    generator = LSTMGenerator(
        LSTMSettings(initial_scale=1.0), vocabulary_size=5000, bos_id=0, rng=rng()
    ).eval()
    hidden = torch.rand(1, 32, generator=rng(9)) * 2 - 1
    tokens, _ = TokenSampler(generator).draw(hidden, torch.rand(1, 400_000, generator=rng()))
    probabilities = generator.head.logits(hidden).softmax(-1)[0].detach()
    assert abs(chi_square(tokens[0].bincount(minlength=5000), probabilities)) < 4
