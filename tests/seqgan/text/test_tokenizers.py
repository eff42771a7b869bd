import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer

from seqgan.text.tokenizers import TOKENIZERS, build_tokenizer, glue
from tests.shared_data import shared_data


class Reversed:
    """A user's own tokenizer, named by its import path."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()[::-1]

    def detokenize(self, tokens) -> str:
        return " ".join(tokens[::-1])


class NoTokenizer:
    pass


SENTENCES = [
    "The cat doesn't like it.",
    'He said "hello, world" (twice) and left.',
    "It defaults to 'r', which isn't binary.",
    "Close the file with close().",
    "It's 5% of the neighbour's share; that's all!",
    "Two men at an airport..",
    "They can't, won't and shouldn't.",
    "We don't.",
    "Use 'a', 'b c' or 'x'.",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_treebank_sentences_come_back_as_written(sentence):
    tokenizer = build_tokenizer("treebank")
    assert tokenizer.detokenize(tokenizer.tokenize(sentence)) == sentence


def test_treebank_known_tokens():
    tokens = build_tokenizer("treebank").tokenize('He said "I can\'t", twice.')
    assert tokens == ["He", "said", "``", "I", "ca", "n't", "''", ",", "twice", "."]


def test_treebank_equals_nltk_on_captions():
    lines = shared_data("coco/test.txt").read_text().splitlines()[::4]
    lines = [" ".join(line.split()) for line in lines]
    tokenizer = build_tokenizer("treebank")
    assert [tokenizer.tokenize(line) for line in lines] == [
        NLTKWordTokenizer().tokenize(line) for line in lines
    ]
    same = sum(tokenizer.detokenize(tokenizer.tokenize(line)) == line for line in lines)
    assert same / len(lines) > 0.98


PIECES = [
    "a",
    "Cat",
    "3",
    " ",
    "  ",
    ",",
    ", ",
    ".",
    " .",
    "-",
    "--",
    "cannot",
    "Wanna",
    "gonna",
    "n't",
    "'",
    ":",
    "é",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(" a1,.-", max_size=9))
def test_treebank_equals_nltk_on_plain_lines_and_on_those_that_nearly_are(line):
    assert build_tokenizer("treebank").tokenize(line) == NLTKWordTokenizer().tokenize(line)


@given(st.text(max_size=60))
def test_characters_and_white_space_lose_nothing(text):
    characters = build_tokenizer("characters")
    assert characters.detokenize(characters.tokenize(text)) == text
    assert all(len(token) == 1 for token in characters.tokenize(text))
    words = build_tokenizer("whitespace")
    assert words.detokenize(words.tokenize(text)).split() == text.split()


@given(st.lists(st.text(max_size=5), max_size=12), st.sampled_from(sorted(TOKENIZERS)))
def test_any_generated_tokens_can_be_read(tokens, name):
    assert isinstance(build_tokenizer(name).detokenize(tokens), str)


@given(st.lists(st.sampled_from(["'", ".", "(", ")", "word", "n't", "''", "``", "..."]), max_size=10))
def test_glue_only_joins(tokens):
    assert "".join(glue(tokens)) == "".join(tokens)
    assert len(glue(tokens)) <= len(tokens)


def test_lower_case_is_seen_by_every_tokenizer():
    for name in TOKENIZERS:
        tokenizer = build_tokenizer(name, lower_case=True)
        assert tokenizer.tokenize("ABC Été") == build_tokenizer(name).tokenize("abc été")


def test_import_path_names_a_users_tokenizer():
    tokenizer = build_tokenizer(f"{__name__}:Reversed", lower_case=True)
    assert tokenizer.tokenize("One two") == ["two", "one"]
    assert tokenizer.detokenize(["two", "one"]) == "one two"


@pytest.mark.parametrize(
    "name",
    [
        "words",
        "",
        ":",
        "x:",
        ":x",
        ".a:b",
        "no_such_module:X",
        "json:X",
        f"{__name__}:NoTokenizer",
        "math:pi",
    ],
)
def test_unknown_tokenizer_names_the_flag(name):
    with pytest.raises(ValueError, match=r"--corpus\.tokenizer") as caught:
        build_tokenizer(name)
    assert "\n" not in str(caught.value)
