"""Each piece of advice rings on a staged text, is silent once it is followed, and on a text that suits."""

import dataclasses
import random

import pytest

from seqgan.text.files_corpus import FileCorpusSettings, prepare_files
from seqgan.text.prepared import PreparedCorpus


def prose(number: int, *, end: str = ".", vocabulary: int = 60) -> str:
    """Sentences of 6 to 12 words, each word often seen."""
    rng = random.Random(0)
    words = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(vocabulary)]
    return "\n".join(" ".join(rng.choices(words, k=rng.randint(6, 12))) + end for _ in range(number))


def expressions(number: int, joined_by: str = "") -> str:
    """Sums of three numbers."""
    rng = random.Random(0)
    sums = ("+".join(str(rng.randint(100, 9999)) for _ in range(3)) for _ in range(number))
    return "\n".join(joined_by.join(line) for line in sums)


def prepare(tmp_path, text: str, **options) -> tuple[FileCorpusSettings, PreparedCorpus]:
    (tmp_path / "text").write_text(text)
    settings = FileCorpusSettings(path=tmp_path / "text", **({"max_length": 16} | options))
    return settings, prepare_files(settings)


CASES = {
    "tokenized already": (prose(1500, end=" ."), {}, {"tokenizer": "whitespace"}),
    "punctuation in words": (prose(1500), {"tokenizer": "whitespace"}, {"tokenizer": "treebank"}),
    "spaces between characters": (
        expressions(1500, " "),
        {"tokenizer": "characters", "max_length": 40},
        {"tokenizer": "whitespace", "max_length": 16},
    ),
    "formulas as words": (expressions(1500), {}, {"tokenizer": "characters"}),
    "unknown words not trained": (
        prose(1400) + "\n" + "\n".join(f"wab wac new{n}" for n in range(400)),
        {"min_count": 1},
        {"min_count": 2},
    ),
    "too long": (prose(1500), {"max_length": 9}, {"max_length": 14}),
    "much room": (prose(1500), {"max_length": 60}, {"max_length": 14}),
    "large vocabulary": (
        "\n".join(f"a{n} b{n} c{n} d{n}." for n in range(7000)) + "\n" + prose(1),
        {"min_count": 1, "max_length": 7, "validation_size": 0.02, "test_size": 0.02},
        None,
    ),
    "few sequences": (prose(200), {}, None),
    "few held out": (prose(1500), {"validation_size": 20.0}, {"validation_size": 150.0}),
}
SAID = {
    "tokenized already": "--corpus.tokenizer whitespace",
    "punctuation in words": "--corpus.tokenizer treebank",
    "spaces between characters": "--corpus.tokenizer whitespace",
    "formulas as words": "--corpus.tokenizer characters",
    "unknown words not trained": "--corpus.min-count 2",
    "too long": "99 % have at most 14 tokens",
    "much room": "--corpus.max-length 14",
    "large vocabulary": "--corpus.max-vocabulary-size 20000",
    "few sequences": "160 training sequences are few",
    "few held out": "--corpus.validation-size",
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_advice_rings_and_is_silent_once_followed(tmp_path, case):
    text, options, remedy = CASES[case]
    settings, corpus = prepare(tmp_path, text, **options)
    advice = corpus.advice()
    assert sum(SAID[case] in line for line in advice) == 1, advice
    assert all("\n" not in line for line in advice)
    if remedy is not None:
        followed = prepare_files(dataclasses.replace(settings, **remedy)).advice()
        assert followed == []


def test_a_text_that_suits_gets_no_advice(tmp_path):
    _, corpus = prepare(tmp_path, prose(1500))
    assert corpus.advice() == []


def test_a_remedy_for_the_length_keeps_every_sequence(tmp_path):
    settings, corpus = prepare(tmp_path, prose(1500), max_length=60)
    shorter = prepare_files(dataclasses.replace(settings, max_length=14))
    assert shorter.report["dropped"] == 0
    assert prepare_files(dataclasses.replace(settings, max_length=13)).report["dropped"] > 0
    assert corpus.report["train/tokens"] == shorter.report["train/tokens"]


def test_copies_between_given_files_are_noticed(tmp_path):
    lines = prose(1500).splitlines()
    (tmp_path / "test").write_text("\n".join(lines[:100]))
    _, corpus = prepare(tmp_path, "\n".join(lines), test_path=tmp_path / "test")
    (advice,) = corpus.advice()
    assert "of 100 test sequences are also in the training part" in advice
