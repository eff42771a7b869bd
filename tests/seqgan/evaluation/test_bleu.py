"""BLEU and self-BLEU against nltk, sentence by sentence, and against known values."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from seqgan.evaluation import ngrams
from seqgan.evaluation.bleu import References, sentence_self_bleu
from seqgan.evaluation.ngrams import count_ngrams, number_words
from seqgan.text.sequences import Sequences
from tests.shared_data import shared_data

pytestmark = pytest.mark.slow

ORDERS = (2, 3, 4, 5)
SENTENCE = st.lists(st.integers(0, 4), max_size=12) | st.integers(0, 4).map(lambda token: [token] * 7)
CORPUS = st.lists(SENTENCE, min_size=1, max_size=8)


def nltk_bleu(references, hypothesis, orders=ORDERS):
    weights = [(1 / n,) * n for n in orders]
    return np.broadcast_to(
        sentence_bleu(references, hypothesis, weights, SmoothingFunction().method1), len(orders)
    )


def nltk_self_bleu(corpus, orders=ORDERS):
    return [nltk_bleu(corpus[:i] + corpus[i + 1 :], s, orders) for i, s in enumerate(corpus)]


def bleu(hypotheses, references, orders=ORDERS):
    counts = count_ngrams(Sequences.from_lists(hypotheses), max(orders))
    return References(Sequences.from_lists(references), max(orders)).sentence_bleu(counts, orders)


def self_bleu(corpus, orders=ORDERS):
    return sentence_self_bleu(count_ngrams(Sequences.from_lists(corpus), max(orders)), orders)


@given(CORPUS, CORPUS)
def test_bleu_equals_nltk_for_every_sentence(hypotheses, references):
    expected = [nltk_bleu(references, h) for h in hypotheses]
    np.testing.assert_allclose(bleu(hypotheses, references), expected, rtol=0, atol=1e-12)


@given(st.lists(SENTENCE, min_size=2, max_size=9))
def test_self_bleu_equals_nltk_for_every_sentence(corpus):
    np.testing.assert_allclose(self_bleu(corpus), nltk_self_bleu(corpus), rtol=0, atol=1e-12)


@given(CORPUS, CORPUS, st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_any_orders_in_any_sequence(hypotheses, references, orders):
    expected = [nltk_bleu(references, h, orders) for h in hypotheses]
    np.testing.assert_allclose(bleu(hypotheses, references, orders), expected, rtol=0, atol=1e-12)


@given(CORPUS, CORPUS, st.randoms(use_true_random=False))
def test_order_of_sentences_does_not_matter(hypotheses, references, random):
    shuffled = random.sample(references, len(references))
    permutation = random.sample(range(len(hypotheses)), len(hypotheses))
    scores = bleu([hypotheses[i] for i in permutation], shuffled)
    assert (scores == bleu(hypotheses, references)[permutation]).all()


@given(CORPUS, CORPUS)
def test_references_given_twice_change_nothing(hypotheses, references):
    assert (bleu(hypotheses, references * 2) == bleu(hypotheses, references)).all()


@given(CORPUS, CORPUS)
def test_sorting_keys_in_parts_changes_nothing(hypotheses, references):
    """As where a key and its position do not fit one 64-bit number."""
    expected = bleu(hypotheses, references), self_bleu([*hypotheses, *references])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "PACKED_BITS", 10)
        found = bleu(hypotheses, references), self_bleu([*hypotheses, *references])
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours == theirs).all()


@given(CORPUS)
def test_self_bleu_of_a_doubled_set_is_bleu_against_itself(corpus):
    assert (self_bleu(corpus * 2)[: len(corpus)] == bleu(corpus, corpus)).all()


def test_known_values():
    one_token = 0.1 ** (1 - 1 / np.arange(2, 6))
    np.testing.assert_allclose(one_token, [0.316228, 0.215443, 0.177828, 0.158489], atol=1e-6)
    np.testing.assert_allclose(bleu([[7]], [[7]])[0], one_token, atol=1e-12)
    assert (bleu([[7] * 5, [7] * 6], [[7] * 6]).round(12)[1] == 1).all()
    assert (self_bleu([[7] * 5] * 3) == 1).all()  # copies
    assert (self_bleu([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]) == 0).all()  # nothing in common
    assert (bleu([[], [1, 2, 3]], [[4, 5]]) == 0).all()  # empty; no common unigram
    assert (bleu([[], [1]], [[]]) == 0).all()  # an empty reference


EDGE_CASES = {
    "empty": ([], [[1, 2, 3]]),
    "empty reference": ([1, 2], [[]]),
    "no unigram in common": ([8, 9], [[1, 2, 3]]),
    "one identical token": ([7], [[7]]),
    "one token of a longer reference": ([7], [[7, 8, 9]]),
    "five identical tokens": ([7] * 5, [[7] * 5]),
    "six identical tokens": ([7] * 6, [[7] * 6]),
    "five of six": ([7] * 5, [[7] * 6]),
    "four between three and five": ([1, 2, 3, 4], [[1, 2, 3, 4, 5], [1, 2, 3]]),
    "four between five and three": ([1, 2, 3, 4], [[1, 2, 3], [1, 2, 3, 4, 5]]),
    "longer than all": ([1, 2, 3, 4, 5, 6, 7], [[1, 2, 3], [4, 5]]),
    "clipped": ([7, 7, 7, 8], [[7, 7, 8], [7, 8, 8]]),
    "no bigram in common": ([1, 3, 2], [[1, 2, 3]]),
}


@pytest.mark.parametrize(("hypothesis", "references"), EDGE_CASES.values(), ids=EDGE_CASES)
def test_every_edge_case_equals_nltk(hypothesis, references):
    expected = nltk_bleu(references, hypothesis)
    np.testing.assert_allclose(bleu([hypothesis], references)[0], expected, rtol=0, atol=1e-9)
    # by self-BLEU the same: the first sentence has the others as its references
    np.testing.assert_allclose(self_bleu([hypothesis, *references])[0], expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(self_bleu([*references, hypothesis])[-1], expected, rtol=0, atol=1e-9)


def test_the_closest_reference_length_is_the_shorter_of_two():
    """Of 3 and 5 a sentence of 4 takes 3 and is not too short; against 5 alone it is."""
    assert bleu([[1, 2, 3, 4]], [[1, 2, 3], [2, 3, 4, 5, 6]], (1,))[0, 0] == 1
    assert bleu([[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], (1,))[0, 0] == pytest.approx(np.exp(1 - 5 / 4))
    # left out, the only sentence of length 4 has 3 and 5 to choose from; the one of 3 has only longer ones
    scores = self_bleu([[1, 2, 3, 4], [1, 2, 3], [2, 3, 4, 1, 1]], (1,))
    assert scores[0, 0] == 1
    assert scores[1, 0] == pytest.approx(np.exp(1 - 4 / 3))


def test_leaving_out_the_holder_of_the_largest_count():
    """Token 7 occurs 3, 2 and 1 times: leaving the 3 out only 2 match, leaving the 2 out all do."""
    scores = self_bleu([[7, 7, 7], [7, 7, 8], [7, 9, 9]], (1,))[:, 0]
    np.testing.assert_allclose(scores, [2 / 3, 2 / 3, 1 / 3])


def test_clipping_is_by_one_reference_not_by_their_sum():
    assert bleu([[7, 7, 8]], [[7, 1, 1], [7, 8, 1]], (1,))[0, 0] == pytest.approx(2 / 3)


def test_references_are_counted_once_and_used_often():
    references = References(Sequences.from_lists([[1, 2, 3, 4, 5], [3, 3, 1]]))
    assert len(references) == 2
    for hypotheses in ([[1, 2, 3]], [[3, 3, 99, -5], [2**31 - 1]], []):
        scores = references.sentence_bleu(count_ngrams(Sequences.from_lists(hypotheses), 6))
        assert scores.shape == (len(hypotheses), 4)
        for score, hypothesis in zip(scores, hypotheses, strict=True):
            expected = nltk_bleu([[1, 2, 3, 4, 5], [3, 3, 1]], hypothesis)
            np.testing.assert_allclose(score, expected, rtol=0, atol=1e-12)


def test_wrong_use_is_a_clear_error():
    with pytest.raises(ValueError, match="references: there are none"):
        References(Sequences.from_lists([]))
    for corpus in ([], [[1, 2]]):
        with pytest.raises(ValueError, match=f"self-BLEU: {len(corpus)} sentence"):
            self_bleu(corpus)
    counts = count_ngrams(Sequences.from_lists([[1, 2], [1]]), 3)
    for orders in ((2, 4), (0, 1)):
        with pytest.raises(ValueError, match=r"order [40] was not counted"):
            sentence_self_bleu(counts, orders)
        with pytest.raises(ValueError, match=r"order [40] was not counted"):
            References(Sequences.from_lists([[1]]), 5).sentence_bleu(counts, orders)
    with pytest.raises(ValueError, match="order 5 was not counted"):
        References(Sequences.from_lists([[1]]), 4).sentence_bleu(count_ngrams(counts.sequences, 5), (5,))


@given(st.lists(st.integers(0, 4), min_size=5, max_size=12), CORPUS)
def test_sacrebleu_agrees_where_it_is_defined(hypothesis, references):
    """Its closest length and its smoothing agree from n tokens on; below it counts fewer orders."""
    bleu_module = pytest.importorskip("sacrebleu.metrics")
    references = [r for r in references if r] or [[0]]
    for n, score in zip(ORDERS, bleu([hypothesis], references)[0], strict=True):
        metric = bleu_module.BLEU(
            max_ngram_order=n, smooth_method="floor", smooth_value=0.1, tokenize="none", effective_order=True
        )
        sentences = [" ".join(map(str, sentence)) for sentence in [hypothesis, *references]]
        expected = metric.sentence_score(sentences[0], sentences[1:]).score / 100
        assert score == pytest.approx(expected, abs=1e-9)


def captions(name):
    lines = shared_data(f"coco/{name}.txt").read_text().splitlines()
    tokenizer = NLTKWordTokenizer()
    return [tokenizer.tokenize(line) for line in lines]


def test_captions_equal_nltk_and_take_no_time():
    """Ten thousand against ten thousand: a few sentences by nltk (about 0.3 s each), all of them here."""
    hypotheses, references = captions("train"), captions("test")
    hypothesis_ids, reference_ids = number_words(hypotheses, references)
    start = time.perf_counter()
    counts = count_ngrams(hypothesis_ids, 5)
    scores = References(reference_ids).sentence_bleu(counts)
    self_scores = sentence_self_bleu(counts)
    assert time.perf_counter() - start < 2  # 0.03 s on an idle core
    for i in (0, 4321, 9999):
        expected = nltk_bleu(references, hypotheses[i])
        np.testing.assert_allclose(scores[i], expected, rtol=0, atol=1e-12)
        others = hypotheses[:i] + hypotheses[i + 1 :]
        np.testing.assert_allclose(self_scores[i], nltk_bleu(others, hypotheses[i]), rtol=0, atol=1e-12)
