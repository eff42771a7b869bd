"""Diversity, the collected text metrics, and what is printed beside them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqgan
from seqgan.evaluation.bleu import References
from seqgan.evaluation.diversity import distinct, unique_share
from seqgan.evaluation.metrics import EVALUATION, measure_texts
from seqgan.evaluation.ngrams import count_ngrams, number_words
from seqgan.evaluation.signature import Estimate, Score, Signature
from seqgan.evaluation.texts import RealText, TextPair
from seqgan.text.sequences import Sequences
from tests.text_values import text_values

CORPUS = st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=9)


@given(CORPUS, st.integers(1, 5))
def test_equal_to_naive_counting(corpus, n):
    sequences = Sequences.from_lists(corpus)
    ngrams = [tuple(s[i : i + n]) for s in corpus for i in range(len(s) - n + 1)]
    assert distinct(count_ngrams(sequences, n), n) == (len(set(ngrams)) / len(ngrams) if ngrams else 0)
    assert unique_share(sequences) == len(set(map(tuple, corpus))) / len(corpus)


def test_known_values():
    sequences = Sequences.from_lists([[1, 2, 1, 2], [1, 2], [1, 2]])
    counts = count_ngrams(sequences, 2)
    assert distinct(counts, 1) == 2 / 8
    assert distinct(counts, 2) == 2 / 5
    assert unique_share(sequences) == 2 / 3
    nothing = Sequences.from_lists([])
    assert distinct(count_ngrams(nothing, 2), 2) == unique_share(nothing) == 0


def test_means_come_with_standard_errors_and_the_sentences_behind_them():
    """Of 1, 2 and 6: deviation √7 with n - 1; a figure of a set has neither."""
    estimate = Estimate.mean(np.array([1.0, 2, 6]))
    assert (estimate.value, estimate.standard_error) == pytest.approx((3, (7 / 3) ** 0.5))
    assert math.isnan(Estimate.mean(np.array([4.0])).standard_error)
    hypotheses, references = map(Sequences.from_lists, ([[1, 2, 3], [4]], [[1, 2, 3, 5], [4], [9]]))
    metrics = measure_texts(TextPair(hypotheses, RealText(references)))
    np.testing.assert_allclose(metrics["mean_length"].sentence_values, [3, 1])
    assert len(metrics["backward_bleu_2"].sentence_values) == 3
    for name, estimate in metrics.items():
        if estimate.sentence_values is not None:
            assert estimate.value == pytest.approx(estimate.sentence_values.mean(), rel=1e-14), name
    score = Score.from_estimates(metrics, Signature())
    assert "distinct_2" in score.values and "distinct_2" not in score.standard_errors
    assert "bleu_2" in score.standard_errors and "bleu_2" in score.sentence_values


def test_equal_tokens_in_unequal_cuts_are_unequal_sequences():
    assert unique_share(Sequences.from_lists([[1], [1, 1], [], [], [1]])) == 3 / 5


WORDS = [["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "e"]], [["a", "b", "c", "d", "e", "f"], ["g"]]


def test_text_metrics_collects_them_all():
    hypotheses, references = number_words(*WORDS)
    metrics = text_values(hypotheses, references)
    expected = (
        {f"bleu_{n}": np.exp(1 - 6 / 5) for n in range(2, 6)}
        | {f"self_bleu_{n}": 1 for n in range(2, 6)}
        | {"distinct_2": 4 / 8, "distinct_3": 3 / 6, "distinct_4": 2 / 4, "distinct_5": 1 / 2}
        | {"unique": 1 / 2, "mean_length": 5, "length_deviation": 0, "length_distance": (1 + 4) / 2}
    )
    # Unigrams: five are there once a sentence and, of the references, half as often; f and g are not.
    jaccards = [(5 / 2) / (5 + 2 / 2), (4 / 2) / (4 + 1 / 2), (3 / 2) / (3 + 1 / 2)]
    expected |= {
        "ms_jaccard_2": np.prod(jaccards[:2]) ** (1 / 2),
        "ms_jaccard_3": np.prod(jaccards) ** (1 / 3),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert text_values(hypotheses, RealText(references)) == metrics
    assert json.loads(json.dumps(metrics)) == metrics
    assert list(metrics) == [n for n, m in EVALUATION.items() if m.measure and n in metrics]  # in its order


def test_backward_bleu_scores_each_reference_against_all_hypotheses():
    hypotheses, references = number_words(*WORDS)
    metrics = text_values(hypotheses, references)
    swapped = References(hypotheses).sentence_bleu(count_ngrams(references, 5)).mean(0)
    # Of six tokens five match, of five bigrams four, ...; the other reference has no word in common.
    expected = [np.prod([(6 - k) / (7 - k) for k in range(1, n + 1)]) ** (1 / n) / 2 for n in range(2, 6)]
    np.testing.assert_allclose(swapped, expected)
    for n, value in zip(range(2, 6), expected, strict=True):
        assert metrics[f"backward_bleu_{n}"] == pytest.approx(value)
        harmonic = 2 / (1 / value + 1 / metrics[f"bleu_{n}"])
        assert metrics[f"bleu_f1_{n}"] == pytest.approx(harmonic)
    nothing = text_values(Sequences.from_lists([[90], [91]]), references)
    assert nothing["bleu_2"] == nothing["backward_bleu_2"] == nothing["bleu_f1_2"] == 0


def test_copies_are_looked_for_in_the_training_text_alone():
    hypotheses, references, training = number_words(*WORDS, [["x", "b", "c"], ["a", "b", "c", "d", "e"]])
    assert not {"novelty", "longest_copied"} & text_values(hypotheses, references).keys()
    metrics = text_values(hypotheses, RealText(references, training))
    assert (metrics["novelty"], metrics["longest_copied"]) == (0, 5)
    metrics = text_values(hypotheses, RealText(references, training.select(np.array([0]))))
    assert (metrics["novelty"], metrics["longest_copied"]) == (1, 2)


def test_perplexities_take_words_that_the_references_lack_as_one_and_end_sentences():
    references = Sequences.from_lists([[4, 7], [4]])
    real = RealText(references)
    closed = real.closed(Sequences.from_lists([[7, 9, 4], [], [-5, 2**31 - 1]]))
    assert closed.ids.tolist() == [1, 2, 0, 3, 3, 2, 2, 3]
    assert closed.offsets.tolist() == [0, 4, 5, 8]
    same = text_values(Sequences.from_lists([[4, 7], [4]]), real)
    assert same["forward_perplexity"] == same["reverse_perplexity"]
    narrow = text_values(Sequences.from_lists([[4, 7], [4, 7]]), real)
    strange = text_values(Sequences.from_lists([[4, 7], [4], [50, 51, 52]]), real)
    assert narrow["forward_perplexity"] < same["forward_perplexity"] < strange["forward_perplexity"]
    assert narrow["reverse_perplexity"] > same["reverse_perplexity"] < strange["reverse_perplexity"]


def test_bleu_is_the_mean_over_sentences_not_over_the_corpus():
    hypotheses, references = Sequences.from_lists([[1], [2, 3, 4]]), Sequences.from_lists([[1], [5, 6, 7]])
    assert text_values(hypotheses, references)["bleu_2"] == pytest.approx((0.316228 + 0) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("num_hypotheses", "num_references", "message"),
    [(0, 1, "self-BLEU: 0"), (1, 1, "self-BLEU: 1"), (2, 0, "references: there are none")],
)
def test_too_few_sentences(num_hypotheses, num_references, message):
    hypotheses, references = (Sequences.from_lists([[1, 2]] * n) for n in (num_hypotheses, num_references))
    with pytest.raises(ValueError, match=message):
        text_values(hypotheses, references)


def test_signature_says_what_applies_and_nothing_else():
    signature = Signature(
        hypotheses=10000,
        references=9,
        tokenizer="treebank",
        case="kept",
        smoothing="method1",
        temperature=1.0,
    )
    assert str(signature) == (
        "hypotheses:10000|references:9|tokenizer:treebank|case:kept|smoothing:method1|temperature:1"
        f"|version:{seqgan.__version__}"
    )
    assert str(Signature(references=0, temperature=0.75, version="2")) == (
        "references:0|temperature:0.75|version:2"
    )
    assert str(Signature.parse(str(signature))) == str(signature)
    truncated = Signature(references=3, top_k=5, top_p=0.9, temperature="0.6667(leakgan-official)")
    assert Signature.parse(str(truncated)) == truncated
    with pytest.raises(ValueError, match="has unknown parts: colour"):
        Signature.parse("references:3|colour:red")


def test_score_as_scalars_and_as_json():
    score = Score.from_estimates({"nll_test": Estimate(7.5, 0.25)}, Signature(version="2"))
    assert score.scalars("evaluation") == {"evaluation/nll_test": 7.5}
    assert score.as_json() == {"nll_test": 7.5, "nll_test_error": 0.25, "signature": "version:2"}
    assert Score({"bleu_2": 0.5}, Signature(version="2")).as_json() == {
        "bleu_2": 0.5,
        "signature": "version:2",
    }
