"""How alike two sets are, against counting by hand; copies of the training text against trying them all."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgan.evaluation import copying
from seqgan.evaluation.copying import longest_copied, novelty
from seqgan.evaluation.ngrams import ABSENT, count_ngrams
from seqgan.evaluation.overlap import (
    common_ngrams,
    jaccard_similarity,
    length_deviation,
    length_distance,
    ms_jaccard,
    ngram_jensen_shannon,
)
from seqgan.text.sequences import Sequences
from tests.references.ngrams import naive_jaccard, naive_jensen_shannon, naive_longest

SENTENCE = st.lists(st.integers(0, 3), max_size=9) | st.integers(0, 3).map(lambda token: [token] * 13)
CORPUS = st.lists(SENTENCE, max_size=8)
ORDERS = (1, 2, 4)


def pack(corpus):
    return Sequences.from_lists(corpus)


def count(corpus, max_order=4):
    return count_ngrams(pack(corpus), max_order)


def similarities_of(first, second):
    common = common_ngrams(first, second)
    return [jaccard_similarity(first, second, one, n) for n, one in enumerate(common, 1)]


def ms_jaccards(first, second, orders):
    return np.array([ms_jaccard(similarities_of(first, second), n).value for n in orders])


def divergences(first, second, orders):
    common = common_ngrams(first, second)
    return np.array([ngram_jensen_shannon(common[n - 1]) for n in orders])


@pytest.mark.slow
@given(CORPUS, CORPUS)
def test_similarities_equal_naive_counting(first, second):
    counts = count(first), count(second)
    expected = [naive_jaccard(first, second, n) for n in ORDERS]
    np.testing.assert_allclose(ms_jaccards(*counts, ORDERS), expected, atol=1e-12)
    expected = [naive_jensen_shannon(first, second, n) for n in ORDERS]
    np.testing.assert_allclose(divergences(*counts, ORDERS), expected, atol=1e-12)


@pytest.mark.slow
@given(CORPUS, CORPUS)
def test_similarities_are_symmetric_bounded_and_blind_to_copies_of_the_whole_set(first, second):
    here, there, twice = count(first), count(second), count(first + first)
    for function, highest in ((ms_jaccards, 1), (divergences, math.log(2))):
        values = function(here, there, ORDERS)
        np.testing.assert_allclose(values, function(there, here, ORDERS), atol=1e-12)
        np.testing.assert_allclose(values, function(twice, there, ORDERS), atol=1e-12)
        assert (values >= 0).all() and (values <= highest + 1e-12).all()
    np.testing.assert_allclose(ms_jaccards(here, here, ORDERS), 1)
    np.testing.assert_allclose(divergences(here, here, ORDERS), 0, atol=1e-12)


def test_known_similarities():
    first, second = count([[1, 1, 2], [1]]), count([[1, 2]])
    unigrams = (1 + 0.5) / (1.5 + 1)  # 1: 3/2 against 1; 2: 1/2 against 1
    bigrams = 0.5 / (0.5 + 1)  # 11: 1/2 against 0; 12: 1/2 against 1
    np.testing.assert_allclose(ms_jaccards(first, second, (1, 2)), [unigrams, math.sqrt(unigrams * bigrams)])
    halves = 0.5 * math.log(2 * 0.5 / 1.5) + 1 * math.log(2 * 1 / 1.5) + 0.5 * math.log(2)
    assert divergences(first, second, (2,))[0] == pytest.approx(halves / 2)
    disjoint = count([[3, 3]])
    assert ms_jaccards(first, disjoint, (1, 2)).tolist() == [0, 0]
    np.testing.assert_allclose(divergences(first, disjoint, (1, 2)), math.log(2))


def test_influences_are_derivatives_by_the_weight_of_a_sequence():
    """One more among a thousand copies of the set moves the value by its influence over their number."""
    first, second = (
        [[1, 1, 2], [1], [2, 3, 1, 2], []],
        [[1, 2], [3, 1, 2, 2, 1], [2, 2, 1, 1]],
    )  # no equal counts
    here, there, many = count(first), count(second), first * 1000
    for n, similarity in enumerate(similarities_of(here, there), 1):
        assert similarity.influence.mean() == pytest.approx(0, abs=1e-12)
        for i, sequence in enumerate(first):
            moved = similarities_of(count([*many, sequence]), there)[n - 1].value - similarity.value
            assert moved * len(many) == pytest.approx(similarity.influence[i], abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "num_tokens", "n", "ratio"),
    [(300, 6, 2, (0.9, 1.5)), (300, 20, 3, (0.8, 1.2)), (60, 40, 2, (0.9, 1.5))],
)
def test_standard_errors_of_ms_jaccard_are_those_of_repeated_draws(size, num_tokens, n, ratio):
    """About as large; rather too wide where most n-grams are as frequent on both sides."""
    rng = np.random.default_rng(0)

    def draw():
        return count(rng.integers(0, num_tokens, (size, 5)).tolist())

    real = draw()
    found = [ms_jaccard(similarities_of(draw(), real), n) for _ in range(60)]
    deviation = np.std([estimate.value for estimate in found], ddof=1)
    low, high = ratio
    assert low < np.mean([estimate.standard_error for estimate in found]) / deviation < high
    assert found[0].sentence_values.mean() == pytest.approx(found[0].value)


def test_no_error_is_known_where_nothing_matches():
    estimate = ms_jaccard(similarities_of(count([[1, 1]]), count([[2, 2]])), 2)
    assert estimate.value == 0 and math.isnan(estimate.standard_error)
    assert estimate.sentence_values is None


def test_an_order_that_was_not_counted_is_named():
    for order in (5, 0):
        with pytest.raises(ValueError, match=f"order {order} .* from 1 to 4"):
            ms_jaccard(similarities_of(count([[1]]), count([[1]])), order)


@pytest.mark.slow
@given(st.lists(SENTENCE, min_size=1, max_size=6), st.lists(SENTENCE, min_size=1, max_size=6))
def test_the_distance_of_lengths_is_that_of_the_sorted_lengths(first, second):
    """Repeated until both sets are equally large, they are matched in order of length."""
    longer, shorter = (sorted([len(s) for s in a] * len(b)) for a, b in ((first, second), (second, first)))
    expected = np.mean(np.abs(np.subtract(longer, shorter)))
    assert length_distance(pack(first), pack(second)) == pytest.approx(expected, abs=1e-12)
    assert length_deviation(pack(first)) == pytest.approx(np.std([len(s) for s in first]))


def test_more_text_than_ranks_have_room_for_is_refused(monkeypatch):
    monkeypatch.setattr(copying, "MAX_POSITIONS", 6)
    assert longest_copied(pack([[1, 2]]), pack([[2, 1]])).tolist() == [1]
    with pytest.raises(ValueError, match="sequences: 7 tokens with their ends are too many"):
        longest_copied(pack([[1, 2, 3]]), pack([[2, 1]]))


def test_lengths_of_nothing():
    assert length_deviation(pack([])) == 0
    with pytest.raises(ValueError, match="there are 0 and 1 sequences"):
        length_distance(pack([]), pack([[1]]))


@pytest.mark.slow
@given(CORPUS, CORPUS)
def test_copies_equal_those_found_by_trying_every_stretch(hypotheses, training):
    expected = [naive_longest(s, training) for s in hypotheses]
    assert longest_copied(pack(hypotheses), pack(training)).tolist() == expected
    share = sum(s not in training for s in hypotheses) / len(hypotheses) if hypotheses else 1
    assert novelty(pack(hypotheses), pack(training)) == share


@pytest.mark.slow
@given(st.lists(st.integers(0, 1), min_size=40, max_size=80), st.integers(0, 39), st.integers(1, 40))
def test_a_long_stretch_is_found_whole(sentence, start, length):
    copied = [8, *sentence[start : start + length], 9]
    assert longest_copied(pack([copied]), pack([[5], sentence, []])).tolist() == [len(copied) - 2]


def test_the_longer_of_two_copies_with_the_same_beginning_is_found():
    """Rests of sequences must be told apart to their ends, not by their first eight tokens."""
    beginning = list(range(8))
    training = pack([[*beginning, 9, 9, 9], [*beginning, 10, 11, 12], [*beginning, 20, 20, 20]])
    for tail, expected in (([9, 9, 9], 11), ([10, 11, 12], 11), ([20, 20, 3], 10), ([15], 8)):
        assert longest_copied(pack([[*beginning, *tail]]), training).tolist() == [expected]


def test_copies_in_thousands_of_sentences_are_those_that_the_ngram_counts_know():
    """The longest order of which some n-gram of the sentence is found: no ranks, no neighbours."""
    random = np.random.default_rng(0)
    hypotheses, training = (
        Sequences.from_lists(
            random.zipf(1.3, n).clip(max=3000).tolist() for n in random.integers(0, 20, 6000)
        )
        for _ in range(2)
    )
    counts, known = count_ngrams(hypotheses, 19), count_ngrams(training, 19)
    expected = np.zeros(len(hypotheses), np.int64)
    for n, (order, numbers) in enumerate(zip(counts.orders, counts.find_in(known), strict=True), 1):
        expected[order.holders[order.spread(numbers) != ABSENT]] = n
    assert expected.mean() > 2
    assert (longest_copied(hypotheses, training) == expected).all()


def test_no_copy_spans_two_training_sentences_and_none_comes_from_the_hypotheses():
    hypotheses, training = pack([[1, 2, 3, 4], [1, 2, 3, 4], [], [7]]), pack([[1, 2], [3, 4]])
    assert longest_copied(hypotheses, training).tolist() == [2, 2, 0, 0]
    extreme = [-(2**31), 2**31 - 1]
    assert longest_copied(pack([extreme]), pack([[0, *extreme]])).tolist() == [2]
