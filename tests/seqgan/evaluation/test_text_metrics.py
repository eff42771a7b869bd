"""All metrics of text together: naive counting, degenerate input, order and copies, a million sentences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgan.evaluation.texts import RealText
from seqgan.text.sequences import Sequences
from tests.seqgan.evaluation.test_bleu import nltk_bleu, nltk_self_bleu
from tests.seqgan.evaluation.test_kneser_ney import Plain
from tests.seqgan.evaluation.test_overlap import naive_jaccard, naive_jensen_shannon, naive_longest, ngrams
from tests.text_values import text_values

pytestmark = pytest.mark.slow

ORDERS = (2, 3, 4, 5)
SENTENCE = st.lists(st.integers(0, 4), max_size=8)
SENTENCES = st.lists(SENTENCE, min_size=2, max_size=6)
REAL = st.lists(SENTENCE, min_size=1, max_size=6)
TEXTS = st.tuples(SENTENCES, REAL, st.lists(SENTENCE, max_size=4))


def measure(hypotheses, references, training):
    real = RealText(Sequences.from_lists(references), Sequences.from_lists(training))
    return text_values(Sequences.from_lists(hypotheses), real)


def naive_perplexity(training, text, words):
    """By 5-grams over the references' words, UNK and EOS."""
    closed = [[[w if w in words else "unknown" for w in s] + ["end"] for s in t] for t in (training, text)]
    model = Plain(closed[0], 5, len(words) + 2, None)
    log_prob = sum(model.log_prob(sentence) for sentence in closed[1])
    return math.exp(-log_prob / sum(map(len, closed[1])))


def naive_metrics(hypotheses, references, training):
    scores = {
        "bleu": np.mean([nltk_bleu(references, h) for h in hypotheses], 0),
        "self_bleu": np.mean(nltk_self_bleu(hypotheses), 0),
        "backward_bleu": np.mean([nltk_bleu(hypotheses, r) for r in references], 0),
    }
    values = {f"{name}_{n}": v for name, row in scores.items() for n, v in zip(ORDERS, row, strict=True)}
    for n in ORDERS:
        forward, backward = values[f"bleu_{n}"], values[f"backward_bleu_{n}"]
        values[f"bleu_f1_{n}"] = 2 / (1 / forward + 1 / backward) if forward and backward else 0
        values[f"distinct_{n}"] = len(ngrams(hypotheses, n)) / max(ngrams(hypotheses, n).total(), 1)
        values[f"ms_jaccard_{n}"] = naive_jaccard(hypotheses, references, n)
        values[f"ngram_js_{n}"] = naive_jensen_shannon(hypotheses, references, n)
    lengths = [
        sorted(len(s) for s in a * len(b)) for a, b in ((hypotheses, references), (references, hypotheses))
    ]
    words = {w for s in references for w in s}
    return values | {
        "unique": len({tuple(h) for h in hypotheses}) / len(hypotheses),
        "novelty": sum(h not in training for h in hypotheses) / len(hypotheses),
        "longest_copied": np.mean([naive_longest(h, training) for h in hypotheses]),
        "mean_length": np.mean([len(h) for h in hypotheses]),
        "length_deviation": np.std([len(h) for h in hypotheses]),
        "length_distance": np.mean(np.abs(np.subtract(*lengths))),
        "forward_perplexity": naive_perplexity(references, hypotheses, words),
        "reverse_perplexity": naive_perplexity(hypotheses, references, words),
    }


@given(TEXTS)
def test_every_metric_equals_nltk_or_naive_counting(texts):
    found = measure(*texts)
    expected = naive_metrics(*texts)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(TEXTS, st.randoms(use_true_random=False))
def test_the_order_of_sentences_does_not_matter(texts, random):
    shuffled = [random.sample(text, len(text)) for text in texts]
    assert measure(*shuffled) == pytest.approx(measure(*texts), rel=1e-9, abs=1e-12)


@given(TEXTS)
def test_every_word_may_have_another_number(texts):
    numbers = [-7, 2**31 - 1, 0, 99, -(2**31)]
    renamed = [[[numbers[w] for w in s] for s in text] for text in texts]
    assert measure(*renamed) == pytest.approx(measure(*texts), rel=1e-9, abs=1e-12)


@given(TEXTS)
def test_copies_of_all_sentences(texts):
    """Of the references nothing but their own perplexities notices; of the hypotheses diversity does."""
    hypotheses, references, training = texts
    before, more_real = measure(*texts), measure(hypotheses, references * 3, training * 2)
    for name in before.keys() - {"forward_perplexity", "reverse_perplexity"}:
        assert more_real[name] == pytest.approx(before[name], abs=1e-9), name
    assert more_real["reverse_perplexity"] == pytest.approx(before["reverse_perplexity"])
    twice = measure(hypotheses * 2, references, training)
    for name, value in twice.items():
        if name.startswith(("unique", "distinct")):
            assert value == pytest.approx(before[name] / 2)
        elif name.startswith("self_bleu"):
            assert value >= before[name] - 1e-12
        elif name != "reverse_perplexity":
            assert value == pytest.approx(before[name], abs=1e-9), name


DEGENERATE = {
    "all empty": ([[], []], [[]], []),
    "empty hypotheses": ([[], []], [[1, 2, 3]], [[1]]),
    "empty references": ([[1, 2], [3]], [[], []], [[]]),
    "all equal": ([[1, 2, 3, 4, 5, 6]] * 3, [[1, 2, 3, 4, 5, 6]] * 2, [[1, 2, 3, 4, 5, 6]]),
    "one token": ([[1], [1]], [[1]], [[1]]),
    "one token, repeated": ([[1] * 9, [1] * 2], [[1] * 4], [[1] * 5]),
    "one reference": ([[1, 2], [2, 3]], [[2]], [[3]]),
    "unknown words alone": ([[8, 9], [9, 8]], [[1, 2, 3]], [[1, 2, 3]]),
}


@pytest.mark.parametrize("texts", DEGENERATE.values(), ids=DEGENERATE)
def test_degenerate_text_has_the_same_values_by_naive_counting(texts):
    found = measure(*texts)
    assert all(math.isfinite(value) for value in found.values())
    assert found == pytest.approx(naive_metrics(*texts), rel=1e-9, abs=1e-9)


def test_a_million_sentences():
    """Half of them copies of 250 real ones, half of 250 with other words: every value is known exactly."""
    rng = np.random.default_rng(0)
    real = np.unique(rng.integers(0, 400, (600, 5)), axis=0)[:500]
    distinct = np.concatenate([real[:250], real[250:] + 1000])
    hypotheses = Sequences.from_array(rng.permutation(np.repeat(distinct, 2000, axis=0)))
    few = text_values(Sequences.from_array(distinct), RealText(Sequences.from_array(real)))
    found = text_values(hypotheses, RealText(Sequences.from_array(real), Sequences.from_array(real)))
    assert len(hypotheses) == 1_000_000
    assert found["unique"] == 500 / 1_000_000
    assert found["novelty"] == 0.5
    assert found["longest_copied"] == 2.5
    assert (found["mean_length"], found["length_deviation"], found["length_distance"]) == (5, 0, 0)
    for n in ORDERS:
        assert found[f"bleu_{n}"] == pytest.approx(0.5, abs=1e-9)
        assert found[f"self_bleu_{n}"] == pytest.approx(1, abs=1e-9)
        assert found[f"distinct_{n}"] == pytest.approx(few[f"distinct_{n}"] / 2000)
    unchanged = ("backward_bleu", "ms_jaccard", "ngram_js", "forward_perplexity")
    for name in few:
        if name.startswith(unchanged):
            assert found[name] == pytest.approx(few[name], rel=1e-9), name
