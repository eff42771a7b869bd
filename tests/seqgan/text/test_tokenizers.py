import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import NLTKWordTokenizer

from seqgan.text.docstrings import standard_library_sentences, standard_library_sources
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


class Faulty:
    """Returns or raises what a test asks for."""

    tokens: object = None
    text: object = "text"

    def tokenize(self, text: str) -> object:
        if isinstance(self.tokens, Exception):
            raise self.tokens
        return self.tokens

    def detokenize(self, tokens) -> object:
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


class NotBuilt(Faulty):
    def __init__(self) -> None:
        raise RuntimeError("no model\nat hand")


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


@pytest.mark.slow
def test_treebank_equals_nltk_on_captions():
    lines = shared_data("coco/test.txt").read_text().splitlines()[::4]
    lines = [" ".join(line.split()) for line in lines]
    tokenizer = build_tokenizer("treebank")
    assert [tokenizer.tokenize(line) for line in lines] == [
        NLTKWordTokenizer().tokenize(line) for line in lines
    ]
    same = sum(tokenizer.detokenize(tokenizer.tokenize(line)) == line for line in lines)
    assert same / len(lines) > 0.98


TOKENIZED = {
    'he liked " the lord of the rings " trilogy .': 'he liked "the lord of the rings" trilogy.',
    "it isn ' t the dog ' s , i ' m sure .": "it isn't the dog's, i'm sure.",
    "we can ' t say they ' ve won .": "we can't say they've won.",
    '" yes , " he said , " i do . "': '"yes," he said, "i do."',
    "ten % of $ 5 ( or less ) ; no more !": "ten% of $5 (or less); no more!",
}


@pytest.mark.parametrize("text", TOKENIZED)
def test_text_that_was_tokenized_before_reads_as_it_is_usually_written(text):
    """The tokens are those of the usual text, so that they stay the same when it is cut again."""
    tokenizer = build_tokenizer("treebank")
    tokens = tokenizer.tokenize(text)
    assert tokenizer.detokenize(tokens) == TOKENIZED[text]
    assert tokenizer.tokenize(TOKENIZED[text]) == tokens


@pytest.mark.parametrize("text", ["the letters ' s ' and ' t ' .", "a ' quoted ' word", "he ' s", "n ' t"])
def test_quoted_letters_are_no_clitics(text):
    tokens = build_tokenizer("treebank").tokenize(text)
    clitics = {"he ' s": ["he", "'s"], "n ' t": ["n't"]}
    assert tokens == clitics.get(text, text.split())


@pytest.mark.slow
def test_treebank_cuts_ordinary_text_as_nltk_does():
    folder = next(path.parent for path in standard_library_sources() if path.parent.name == "email")
    tokenizer = build_tokenizer("treebank")
    sentences = [s for s in standard_library_sentences(folder) if not re.search(r'\s"\s', s)]
    assert len(sentences) > 200
    for sentence in [*SENTENCES, *sentences]:
        assert tokenizer.tokenize(sentence) == NLTKWordTokenizer().tokenize(sentence)


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


def test_a_file_names_a_users_tokenizer(tmp_path):
    (tmp_path / "own.py").write_text(
        "class Own:\n"
        "    def tokenize(self, text): return text.split('_')\n"
        "    def detokenize(self, tokens): return '_'.join(tokens)\n"
    )
    tokenizer = build_tokenizer(f"{tmp_path / 'own.py'}:Own")
    assert tokenizer.tokenize("a_b") == ["a", "b"]
    with pytest.raises(ValueError, match=r"--corpus\.tokenizer: .*nowhere\.py"):
        build_tokenizer(f"{tmp_path / 'nowhere.py'}:Own")


@pytest.mark.parametrize(
    "tokens", [None, "a b", ("a", "b"), [1], ["a", None], ["a", ""], RuntimeError("two\nlines"), KeyError(3)]
)
def test_a_users_tokenizer_that_fails_is_named_in_one_line(monkeypatch, tokens):
    monkeypatch.setattr(Faulty, "tokens", tokens)
    name = f"{__name__}:Faulty"
    with pytest.raises(ValueError, match="tokenize") as caught:
        build_tokenizer(name).tokenize("some text")
    message = str(caught.value)
    assert message.startswith(f"--corpus.tokenizer: {name}.tokenize") and "'some text'" in message
    assert "\n" not in message


@pytest.mark.parametrize("text", [None, b"a", ["a"], RuntimeError("two\nlines")])
def test_a_users_tokenizer_that_returns_no_text_is_named_in_one_line(monkeypatch, text):
    monkeypatch.setattr(Faulty, "text", text)
    name = f"{__name__}:Faulty"
    with pytest.raises(ValueError, match="detokenize") as caught:
        build_tokenizer(name, lower_case=True).detokenize(["a"])
    message = str(caught.value)
    assert message.startswith(f"--corpus.tokenizer: {name}.detokenize") and "\n" not in message


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
        f"{__name__}:NotBuilt",
        "math:pi",
    ],
)
def test_unknown_tokenizer_names_the_flag(name):
    with pytest.raises(ValueError, match=r"--corpus\.tokenizer") as caught:
        build_tokenizer(name)
    assert "\n" not in str(caught.value)
