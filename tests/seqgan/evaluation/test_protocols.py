import numpy as np
import pytest

from seqgan.evaluation.ngrams import number_words
from seqgan.evaluation.protocols import PROTOCOLS, score_by_protocol
from seqgan.text.sequences import Sequences
from seqgan.text.tokenizers import build_tokenizer
from tests.references.bleu import nltk_bleu
from tests.shared_data import shared_data
from tests.text_values import text_values

RNG = np.random.default_rng(0)
TEXTS = [[RNG.zipf(1.5, RNG.integers(1, 9)).clip(max=60).tolist() for _ in range(700)] for _ in range(2)]
HYPOTHESES, REFERENCES = (Sequences.from_lists(text) for text in TEXTS)


def test_all_is_our_own_way():
    values = score_by_protocol("all", HYPOTHESES, REFERENCES).values
    expected = text_values(HYPOTHESES, REFERENCES)
    assert dict(values) == {name: expected[name] for name in values}
    assert len(values) == 8


def test_first_500():
    score = score_by_protocol("first-500", HYPOTHESES, REFERENCES, orders=(3,))
    some = slice(0, 700, 100)
    per_sentence = np.mean([nltk_bleu(TEXTS[1][:500], sentence, (3,)) for sentence in TEXTS[0][some]])
    few = Sequences.from_lists(TEXTS[0][some])
    assert score_by_protocol("first-500", few, REFERENCES, orders=(3,)).values["bleu_3"] == pytest.approx(
        per_sentence
    )
    alone = text_values(Sequences.from_lists(TEXTS[0][:500]), REFERENCES)
    assert score.values["self_bleu_3"] == pytest.approx(alone["self_bleu_3"])
    assert str(score.signature).startswith("protocol:first-500|hypotheses:700|references:500|case:kept|")


def test_first_200_are_scored_against_all_and_among_all():
    score = score_by_protocol("first-200-lower", HYPOTHESES, REFERENCES, tokenizer="treebank", orders=(3,))
    first = Sequences.from_lists(TEXTS[0][:200])
    assert score.values["bleu_3"] == pytest.approx(text_values(first, REFERENCES)["bleu_3"])
    assert "references:700|tokenizer:treebank|case:lower|" in str(score.signature)


@pytest.mark.slow
def test_self_bleu_of_the_first_200_is_against_all_others():
    text = TEXTS[0][:230]
    sequences = Sequences.from_lists(text)
    score = score_by_protocol("first-200-lower", sequences, REFERENCES, orders=(3,))
    against_others = [nltk_bleu(text[:i] + text[i + 1 :], text[i], (3,)) for i in range(200)]
    assert score.values["self_bleu_3"] == pytest.approx(np.mean(against_others))


def test_fewer_sentences_than_a_protocol_takes_are_all_taken():
    few = Sequences.from_lists(TEXTS[0][:20])
    values = [dict(score_by_protocol(name, few, few).values) for name in PROTOCOLS]
    assert values[0] == values[1] == values[2]


def test_wrong_use_is_named():
    with pytest.raises(
        ValueError, match="--protocol: there is no 'texygen'; choose one of all, first-500, first-200-lower"
    ):
        score_by_protocol("texygen", HYPOTHESES, REFERENCES)
    with pytest.raises(ValueError, match="references: there are none"):
        score_by_protocol("all", HYPOTHESES, Sequences.from_lists([]))


def test_the_number_of_references_matters_more_than_anything():
    """Real captions against real captions: five hundred references instead of ten thousand cost a quarter."""
    tokenizer = build_tokenizer("treebank")
    texts = [
        [tokenizer.tokenize(line) for line in shared_data(f"coco/{part}.txt").read_text().splitlines()[:5000]]
        for part in ("train", "test")
    ]
    hypotheses, references = number_words(*texts)
    scores = [
        score_by_protocol(name, hypotheses, references).values["bleu_4"] for name in ("all", "first-500")
    ]
    assert scores[1] < 0.75 * scores[0]
