"""The Kneser–Ney model against a hand-worked example and a plain recursion over dictionaries."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from seqgan.evaluation.kneser_ney import (
    TYPICAL_DISCOUNTS,
    estimate_discounts,
    fit_kneser_ney,
    with_end,
    with_start,
)
from seqgan.evaluation.likelihood import nll, sequence_nll
from seqgan.evaluation.ngram_generator import NgramGenerator
from seqgan.evaluation.oracle import OracleTask
from seqgan.oracle.corpus import OracleCorpusSettings, draw_oracle_corpus
from seqgan.oracle.model import load_oracle
from seqgan.sampling.sample import sample
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from tests.seqgan.models.test_generators import read_step_by_step, step
from tests.shared_data import shared_data
from tests.tiny_models import all_sequences, rng, sequence_probabilities, whole

SIZE = 4
CORPUS = st.lists(st.lists(st.integers(0, SIZE - 1), max_size=7), max_size=10)
DISCOUNT = st.none() | st.floats(0.05, 1)
START = "start"


def pack(corpus):
    return Sequences.from_lists(corpus)


class Plain:
    """The textbook's recursion, one n-gram at a time."""

    def __init__(self, corpus, order, size, discount):
        self.size, self.order = size, order
        padded = [[START, *s] for s in corpus]
        occurrences, before = Counter(), defaultdict(set)
        for s in padded:
            for n in range(1, order + 1):
                for i in range(len(s) - n + 1):
                    ngram = tuple(s[i : i + n])
                    occurrences[ngram] += 1
                    if i:
                        before[ngram].add(s[i - 1])
        self.counts = defaultdict(dict)  # by history
        for ngram, number in occurrences.items():
            raw = len(ngram) == order or ngram[0] == START
            if ngram != (START,):
                self.counts[ngram[:-1]][ngram[-1]] = number if raw else len(before[ngram])
        self.discounts = {}
        for n in range(1, order + 1):
            of_counts = Counter(c for h, d in self.counts.items() if len(h) == n - 1 for c in d.values())
            self.discounts[n] = self.discount(of_counts, discount)

    @staticmethod
    def discount(n, given):
        if given is not None:
            return (given, given, given)
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0
        return [
            max(0.01, 1 - 2 * y * n[2] / n[1]) if n[1] else 0.5,
            max(0.01, 2 - 3 * y * n[3] / n[2]) if n[2] else 1.0,
            max(0.01, 3 - 4 * y * n[4] / n[3]) if n[3] else 1.5,
        ]

    def probability(self, word, history):
        followers = self.counts.get(history, {})
        lower = self.probability(word, history[1:]) if history else 1 / self.size
        if not followers:
            return lower
        d = self.discounts[len(history) + 1]
        total = sum(followers.values())
        left_over = sum(d[min(c, 3) - 1] for c in followers.values())
        count = followers.get(word, 0)
        return ((count - d[min(count, 3) - 1] if count else 0) + left_over * lower) / total

    def log_prob(self, sentence):
        padded = (START, *sentence)
        return sum(
            math.log(self.probability(padded[i], padded[max(0, i - self.order + 1) : i]))
            for i in range(1, len(padded))
        )


@given(CORPUS, CORPUS, st.integers(1, 5), DISCOUNT)
def test_sentences_score_as_by_the_plain_recursion(training, sentences, order, discount):
    model = fit_kneser_ney(pack(training), order=order, vocabulary_size=SIZE, discount=discount)
    plain = Plain(training, order, SIZE, discount)
    expected = [plain.log_prob(s) for s in sentences]
    np.testing.assert_allclose(model.sequence_log_probs(pack(sentences)), expected, atol=1e-9)


def test_estimated_discounts_on_a_corpus_that_has_them():
    random = np.random.default_rng(0)
    training = [random.zipf(1.6, 6).clip(max=30).tolist() for _ in range(300)]
    model = fit_kneser_ney(pack(training), order=3, vocabulary_size=40)
    plain = Plain(training, 3, 40, None)
    assert plain.discounts[2] != TYPICAL_DISCOUNTS != plain.discounts[3]
    sentences = [random.integers(0, 40, 5).tolist() for _ in range(50)] + training[:50]
    expected = [plain.log_prob(s) for s in sentences]
    np.testing.assert_allclose(model.sequence_log_probs(pack(sentences)), expected, atol=1e-9)


def test_a_hand_worked_example():
    """Twice "a b", once "c b", discount 1/2, and a fourth word d that never occurs.

    Continuation counts: a follows the start, c the start, b a and c: 1, 1, 2 of 4, so that
    p(a) = (1/2)/4 + g/4 with g = 3/2 / 4, which is 1/8 + 3/32 = 7/32; p(b) = 3/8 + 3/32 = 15/32;
    p(d) = 3/32. After the start: a 2, c 1 of 3, g = 1/3. After a: b 2 of 2, g = 1/4.
    """
    model = fit_kneser_ney(pack([[0, 1], [0, 1], [2, 1]]), order=2, vocabulary_size=4, discount=0.5)
    a = 1.5 / 3 + 7 / 32 / 3
    d = 3 / 32 / 3
    b_after_a = 1.5 / 2 + 15 / 32 / 4
    d_after_a = 3 / 32 / 4
    a_after_d = 7 / 32  # d has never been seen: no history
    expected = [a, d, a * b_after_a, a * d_after_a, d * a_after_d, 1]
    log_probs = model.sequence_log_probs(pack([[0], [3], [0, 1], [0, 3], [3, 0], []]))
    np.testing.assert_allclose(np.exp(log_probs), expected)
    perplexity = model.perplexity(pack([[0, 1], []]))
    assert perplexity.value == pytest.approx((a * b_after_a) ** (-1 / 2))


@pytest.mark.slow
@given(CORPUS, st.integers(1, 4), DISCOUNT)
def test_probabilities_sum_to_one_after_every_history(training, order, discount):
    model = fit_kneser_ney(pack(training), order=order, vocabulary_size=SIZE, discount=discount)
    for length in range(1, 4):
        sums = np.exp(model.sequence_log_probs(pack(list(itertools.product(range(SIZE), repeat=length)))))
        assert (sums > 0).all()
        by_prefix = sums.reshape(-1, SIZE).sum(1)
        prefixes = pack(list(itertools.product(range(SIZE), repeat=length - 1)))
        np.testing.assert_allclose(by_prefix, np.exp(model.sequence_log_probs(prefixes)), rtol=1e-9)


def test_without_text_everything_is_equally_likely_and_unseen_words_are_possible():
    empty = fit_kneser_ney(pack([]), order=3, vocabulary_size=7)
    assert empty.perplexity(pack([[1, 2, 6], [5]])).value == pytest.approx(7)
    model = fit_kneser_ney(pack([[1, 1, 1, 1]]), order=3, vocabulary_size=7)
    unseen = model.perplexity(pack([[6, 5, 4]])).value
    assert 7 < unseen < math.inf


def test_the_error_of_perplexity_is_that_of_its_logarithm():
    model = fit_kneser_ney(pack([[1, 2, 3], [1, 1], [2]] * 4), order=2, vocabulary_size=4)
    sentences = pack([[1, 2], [3, 3, 3], [2], [1, 1, 0]])
    perplexity = model.perplexity(sentences)
    ratios = model.sequence_log_probs(sentences) + math.log(perplexity.value) * sentences.lengths
    by_definition = math.sqrt((ratios**2).sum() / 3 * 4) / sentences.lengths.sum()
    assert perplexity.standard_error / perplexity.value == pytest.approx(by_definition)


def discounts_of(*numbers):
    """From how many n-grams have the counts 1, 2, 3 and 4."""
    return estimate_discounts(np.repeat([1, 2, 3, 4], numbers))


def test_known_discounts():
    counts = np.repeat([1, 2, 3, 4, 9], [10, 4, 2, 1, 3])
    share = 10 / 18
    expected = (1 - 2 * share * 4 / 10, 2 - 3 * share * 2 / 4, 3 - 4 * share * 1 / 2)
    assert estimate_discounts(counts) == pytest.approx(expected)


def test_each_discount_is_bounded_by_itself():
    """One that cannot be estimated, or would be negative, leaves the others as they are."""
    share = 161 / (161 + 2 * 93)
    expected = (1 - 2 * share * 93 / 161, 0.01, 3 - 4 * share * 216 / 138)
    assert discounts_of(161, 93, 138, 216) == pytest.approx(expected)
    assert discounts_of(100, 50, 20, 0) == pytest.approx(
        (0.5, 1.4, 3)
    )  # what removing all of count 4 tends to
    assert discounts_of(100, 50, 0, 9) == pytest.approx((0.5, 2, 1.5))
    assert discounts_of(0, 0, 0, 0) == TYPICAL_DISCOUNTS


@given(st.tuples(*[st.integers(40, 3000)] * 4), st.integers(0, 3))
@example((161, 93, 138, 216), 0)
def test_one_ngram_more_moves_no_discount_far(numbers, place):
    """By at most r (r + 2) over the number of n-grams that changed: there is no cliff."""
    more = tuple(number + (i == place) for i, number in enumerate(numbers))
    for r, (before, after) in enumerate(zip(discounts_of(*numbers), discounts_of(*more), strict=True), 1):
        assert abs(after - before) <= r * (r + 2) / min(numbers)


def test_two_texts_that_hardly_differ_have_discounts_that_hardly_differ():
    """Counts of two texts of 2,000 sentences, 51 of which differ."""
    found = np.array([discounts_of(161, 93, 138, 216), discounts_of(162, 96, 138, 207)])
    assert np.abs(np.subtract(*found)).max() < 0.2


def test_starts_and_ends():
    sequences = pack([[5, 6], [], [7]])
    ended, started = with_end(sequences, 2), with_start(sequences)
    assert ended.ids.tolist() == [5, 6, 2, 2, 7, 2]
    assert ended.lengths.tolist() == started.lengths.tolist() == [3, 1, 2]
    assert started.ids.tolist() == [-1, 5, 6, -1, -1, 7]


@pytest.mark.parametrize(
    ("corpus", "changes", "message"),
    [
        ([[1]], {"order": 0}, "max_order: 0"),
        ([[1]], {"discount": 0.0}, "discount: 0.0 is out of range"),
        ([[1]], {"discount": 1.1}, "discount: 1.1 is out of range"),
        ([[-1]], {}, "the id -1 is negative"),
        ([[1, 2, 3]], {"vocabulary_size": 2}, "vocabulary_size: 2 is too small for 3 different tokens"),
        ([], {"vocabulary_size": 0}, "vocabulary_size: 0 is too small"),
    ],
)
def test_wrong_use_is_named(corpus, changes, message):
    with pytest.raises(ValueError, match=message):
        fit_kneser_ney(pack(corpus), **{"order": 2, "vocabulary_size": 5} | changes)


def test_nothing_has_no_perplexity():
    with pytest.raises(ValueError, match="no token"):
        fit_kneser_ney(pack([[1]]), order=2, vocabulary_size=3).perplexity(pack([[]]))


# The generator

TRAINING = [[1, 2, 3, 2], [1, 2, 2], [3, 2, 3, 2, 1], [2], [0, 0, 3]]


def ngram_generator(order=3, forbidden=(), **options):
    training = [[t for t in s if t not in forbidden] for s in TRAINING]
    options = {"vocabulary_size": 5, "bos_id": 0, "forbidden": forbidden} | options
    return NgramGenerator.fit(pack(training), order=order, **options)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_generator_scores_as_the_model_in_one_pass_and_step_by_step(order):
    """Token 0 starts every sequence and is a word like any other besides."""
    generator = ngram_generator(order)
    tokens = torch.randint(0, 5, (50, 6), generator=rng())
    model = fit_kneser_ney(pack(TRAINING), order=order, vocabulary_size=5)
    expected = torch.from_numpy(-model.sequence_log_probs(Sequences.from_array(tokens.numpy())))
    mask = torch.ones_like(tokens).bool()
    torch.testing.assert_close(
        sequence_nll(generator, TokenBatch(tokens, mask)), expected, atol=1e-5, rtol=1e-5
    )
    assert torch.equal(read_step_by_step(generator, tokens), generator(whole(tokens)))
    torch.testing.assert_close(generator(whole(tokens)).exp().sum(-1), torch.ones(50, 6))
    estimate = nll(generator, TokenBatch(tokens, mask))
    perplexity = model.perplexity(Sequences.from_array(tokens.numpy()))
    assert math.exp(estimate.value) == pytest.approx(perplexity.value, rel=1e-5)


def test_forbidden_tokens_are_impossible_and_the_others_sum_to_one():
    generator = ngram_generator(forbidden=(0, 4))
    probabilities = generator(whole(torch.tensor([[1, 2, 3], [3, 3, 3]]))).exp()
    assert (probabilities[..., [0, 4]] == 0).all()
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, 3))
    generator.head.forbid(3)
    after = generator(whole(torch.tensor([[1, 2, 1]]))).softmax(-1)
    torch.testing.assert_close(
        after[..., [1, 2]], probabilities[:1, :, [1, 2]] / (1 - probabilities[:1, :, 3:4])
    )


def test_states_can_be_repeated_and_selected():
    generator = ngram_generator()
    _, state = step(generator, torch.tensor([0, 0]), generator.initial_state(2))
    logits, _ = step(generator, torch.tensor([1, 3]), state)
    again, _ = step(generator, torch.tensor([3, 3, 1]), state.repeat(2).select(torch.tensor([3, 2, 0])))
    torch.testing.assert_close(again, logits[[1, 1, 0]])


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.5}, {"temperature": 3.0}, {"top_k": 2}, {"top_p": 0.6}], ids=str
)
def test_samples_follow_the_model(options):
    generator = ngram_generator(forbidden=(4,))
    draws = sample(generator, 40_000, 3, eos_id=2, rng=rng(), **options)
    sequences, masks = all_sequences(5, 3, 2)
    found = Counter(map(tuple, torch.where(draws.mask, draws.tokens, -1).tolist()))
    frequencies = torch.tensor([found[tuple(s)] for s in torch.where(masks, sequences, -1).tolist()]) / 40_000
    if not {"top_k", "top_p"} & options.keys():
        probabilities = sequence_probabilities(generator, sequences, masks, options.get("temperature", 1.0))
        assert (frequencies - probabilities).abs().sum() < 0.05
        log_probs = generator.log_probs(draws, options.get("temperature", 1.0))
        torch.testing.assert_close(draws.log_probs[draws.mask], log_probs[draws.mask], atol=1e-5, rtol=1e-5)
    else:
        assert (frequencies > 0).sum() < 20
    assert frequencies.sum() == pytest.approx(1)


def test_extreme_temperatures():
    generator = ngram_generator(forbidden=(4,))
    greedy = sample(generator, 3, 4, eos_id=None, rng=rng(), temperature=0)
    assert (greedy.tokens == greedy.tokens[0]).all()
    for temperature, distinct in ((1e-3, 1), (1e3, 4)):
        draws = sample(generator, 400, 1, eos_id=None, rng=rng(), temperature=temperature)
        assert draws.log_probs.isfinite().all()
        assert len(draws.tokens.unique()) == distinct


@pytest.mark.slow
def test_the_baseline_of_the_oracle_task():
    """A bigram of discount 0.9 has NLL-test below 7.62; and one call measures it like any other generator."""
    config = OracleCorpusSettings(path=shared_data("seqgan_oracle.npz"))
    corpus = draw_oracle_corpus(config)
    bigram = fit_kneser_ney(corpus.train, order=2, vocabulary_size=5000, discount=0.9)
    assert math.log(bigram.perplexity(corpus.test).value) == pytest.approx(7.592, abs=0.01)
    generator = NgramGenerator(bigram, vocabulary_size=5000, bos_id=0)
    draws = sample(generator, 500, 20, eos_id=None, rng=rng())
    few = corpus.test.select(np.arange(500))
    test = torch.from_numpy(few.ids.reshape(500, 20)).long()
    task = OracleTask(load_oracle(config.path), whole(test))
    score = task.score(generator, draws)
    assert score["nll_test"].value == pytest.approx(math.log(bigram.perplexity(few).value), abs=1e-4)
    assert score["jeffreys"].value == pytest.approx(4.1, abs=0.2)
