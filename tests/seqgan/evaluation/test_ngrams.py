"""N-gram counts against counting by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgan.evaluation import ngrams
from seqgan.evaluation.ngrams import ABSENT, count_ngrams, number_words, stable_argsort
from seqgan.text.sequences import Sequences
from tests.references.ngrams import naive_counts

SENTENCE = st.lists(st.integers(-3, 3), max_size=9)
CORPUS = st.lists(SENTENCE, max_size=12)
EXTREME = st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1])


def spelled(counts):
    """Every n-gram of every order as a tuple of tokens, decoded from its key."""
    tokens = counts.orders[0].keys
    words = [[(int(token),) for token in tokens]]
    for order in counts.orders[1:]:
        prefixes, last = np.divmod(order.keys, len(tokens))
        words.append([words[-1][p] + (int(tokens[t]),) for p, t in zip(prefixes, last, strict=True)])
    return words


def as_counter(order, words):
    numbers = order.spread(np.arange(len(order.keys)))
    rows = zip(numbers, order.holders, order.counts, strict=True)
    return Counter({(words[g], int(holder)): int(count) for g, holder, count in rows})


def check_against_naive(corpus, max_order=5):
    counts = count_ngrams(Sequences.from_lists(corpus), max_order)
    for n, words in enumerate(spelled(counts), 1):
        assert words == sorted(set(words))  # distinct, in lexicographic order
        assert as_counter(counts.order(n), words) == naive_counts(corpus, n)
        assert counts.totals(n).tolist() == [max(len(s) - n + 1, 0) for s in corpus]


@given(CORPUS)
def test_counts_equal_naive_counting(corpus):
    check_against_naive(corpus)


@pytest.mark.slow
@given(CORPUS)
def test_counts_sorted_in_parts_equal_naive_counting(corpus):
    """As where a key and its position do not fit one 64-bit number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "PACKED_BITS", 8)
        check_against_naive(corpus)


@pytest.mark.slow
@given(st.lists(st.lists(EXTREME, max_size=6), max_size=6))
def test_extreme_ids_are_counted_all_the_same(corpus):
    check_against_naive(corpus, max_order=3)


@pytest.mark.slow
@given(CORPUS, CORPUS)
def test_find_in_gives_the_number_of_the_same_ngram(first, second):
    here, there = (count_ngrams(Sequences.from_lists(c), 4) for c in (first, second))
    for words, other_words, numbers in zip(spelled(here), spelled(there), here.find_in(there), strict=True):
        expected = [other_words.index(w) if w in other_words else ABSENT for w in words]
        assert numbers.tolist() == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3), max_size=30))
def test_stable_argsort_is_stable_whatever_the_width(keys):
    assert stable_argsort(np.array(keys, np.int64)).tolist() == sorted(range(len(keys)), key=keys.__getitem__)


def test_stable_argsort_of_narrow_integers_does_not_overflow_them():
    keys = np.random.default_rng(0).integers(0, 100_000, 70_000).astype(np.int32)
    assert (stable_argsort(keys) == np.argsort(keys, kind="stable")).all()


@pytest.mark.parametrize("bits", range(50, 63))
def test_stable_argsort_around_the_limit_of_packing(bits):
    keys = np.array([2**bits - 1, 0, 2**bits - 1, 0, 1] * 50)
    assert (stable_argsort(keys) == np.argsort(keys, kind="stable")).all()


def test_keys_too_wide_for_packing_are_sorted_in_parts(monkeypatch):
    parts = []
    monkeypatch.setattr(ngrams, "stable_argsort", lambda keys: parts.append(keys) or stable_argsort(keys))
    assert stable_argsort(np.array([5000, 3, 5000, -3])).tolist() == [3, 1, 0, 2]
    assert stable_argsort(np.array([2**62 - 1, 0])).tolist() == [1, 0]
    assert stable_argsort(np.array([2**62, 2**62 - 1])).tolist() == [1, 0]
    assert not parts
    assert stable_argsort(np.array([2**62, 0])).tolist() == [1, 0]
    assert [part.tolist() for part in parts] == [[0, 0], [1, 0]]


def test_no_ngram_spans_two_sequences():
    counts = count_ngrams(Sequences.from_lists([[1, 2], [], [3], [1, 2]]), 2)
    assert spelled(counts)[1] == [(1, 2)]
    assert counts.order(2).holders.tolist() == [0, 3]


def test_reduce_and_spread():
    order = count_ngrams(Sequences.from_lists([[7, 7, 8], [7, 8, 8, 8]]), 1).order(1)
    assert order.reduce(np.maximum, order.counts).tolist() == [2, 3]
    assert order.reduce(np.add, order.counts).tolist() == [3, 4]
    assert order.spread(np.array([10, 20])).tolist() == [10, 10, 20, 20]


def test_words_have_one_number_in_all_corpora():
    first, second = number_words([["a", "b"], []], [["c", "a"]])
    assert first.ids.tolist() == [0, 1]
    assert first.lengths.tolist() == [2, 0]
    assert second.ids.tolist() == [2, 0]


def test_from_padded_keeps_what_the_mask_shows():
    tokens = np.array([[4, 5, 0], [0, 0, 0], [6, 7, 8]])
    mask = np.array([[True, True, False], [False] * 3, [True] * 3])
    sequences = Sequences.from_padded(tokens, mask)
    assert sequences.ids.tolist() == [4, 5, 6, 7, 8]
    assert sequences.lengths.tolist() == [2, 0, 3]


@pytest.mark.parametrize("corpus", [[], [[]], [[], []]])
def test_empty_sets_hold_nothing(corpus):
    counts = count_ngrams(Sequences.from_lists(corpus), 3)
    assert [len(order.keys) for order in counts.orders] == [0, 0, 0]
    assert len(counts.sequences) == len(corpus)


def test_more_tokens_than_keys_have_room_for_are_refused(monkeypatch):
    """The largest key of that many tokens, each of its own type, fits 64 bits; that of one more does not."""
    assert (ngrams.MAX_TOKENS**2 - 1).bit_length() == 63 < ((ngrams.MAX_TOKENS + 1) ** 2 - 1).bit_length()
    monkeypatch.setattr(ngrams, "MAX_TOKENS", 4)
    assert count_ngrams(Sequences.from_lists([[1, 2], [3, 4]]), 2).max_order == 2
    with pytest.raises(ValueError, match="sequences: 5 tokens are too many; at most 4"):
        count_ngrams(Sequences.from_lists([[1, 2], [3, 4, 5]]), 2)


def test_orders_out_of_range_are_named():
    sequences = Sequences.from_lists([[1]])
    with pytest.raises(ValueError, match="max_order: 0"):
        count_ngrams(sequences, 0)
    for n in (0, 4, -1):
        with pytest.raises(ValueError, match=f"order {n} .* from 1 to 3"):
            count_ngrams(sequences, 3).order(n)
