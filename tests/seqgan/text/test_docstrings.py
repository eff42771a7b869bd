import time

import pytest

from seqgan.text.docstrings import (
    is_prose,
    paragraphs,
    plain_text,
    split_sentences,
    standard_library_sentences,
    standard_library_sources,
)
from seqgan.text.tokenizers import build_tokenizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sentences():
    start = time.process_time()
    sentences = standard_library_sentences()
    assert time.process_time() - start < 30  # about 3 s without the run-time type checks
    return sentences


def test_there_are_thousands_of_distinct_sentences(sentences):
    assert 6_000 < len(sentences) < 20_000  # Python versions differ
    assert len(set(sentences)) == len(sentences)


def test_extraction_is_repeatable(sentences):
    folder = next(path.parent for path in standard_library_sources() if path.parent.name == "json")
    assert standard_library_sentences(folder) == standard_library_sentences(folder)
    assert set(standard_library_sentences(folder)) <= set(sentences)


def test_they_read_as_sentences(sentences):
    for sentence in sentences:
        assert sentence[0].isupper() and sentence.endswith(".")
        assert sentence.isascii() and not set(sentence) & set("`*_=<>[]{}\\|\n")
        assert 3 <= len(sentence.split()) <= 40
    letters = sum(c.isalpha() or c == " " for sentence in sentences for c in sentence)
    assert letters / sum(map(len, sentences)) > 0.95


def test_tests_and_installed_packages_are_left_out():
    folders = {part for path in standard_library_sources() for part in path.parts}
    assert not folders & {"test", "tests", "idle_test", "site-packages"}
    assert "json" in folders


def test_they_come_from_the_whole_library(sentences):
    for word in ("JSON", "socket", "calendar", "thread", "regular expression", "decimal"):
        assert any(word in sentence for sentence in sentences)


def test_a_module_of_known_docstrings(tmp_path):
    (tmp_path / "module.py").write_text(
        '''"""Read and write poems.  Use `load` to read *one* poem, e.g. a short one.

    >>> load("x").
    A doctest result that is not prose.

- A bullet may go on over
  two lines of text.
- it also may not

name     The table says nothing of value.
"""
def load(path):
    """Load the poem at ``path``. Returns None if there is none. Load(x) -> y. Read and write poems."""
raise SystemExit("never run")
'''
    )
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "binary.py").write_bytes(b"\0\xff")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "module.py").write_text('"""This one is a test and left out."""')
    assert standard_library_sentences(tmp_path) == [
        "Read and write poems.",
        "Use load to read one poem, e.g. a short one.",
        "A bullet may go on over two lines of text.",
        "Load the poem at path.",
        "Returns None if there is none.",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "lower case is a fragment.",
        "No full stop at the end of this",
        "Too short.",
        "The __init__ method is a detail.",
        "Compute x = y + z for the caller.",
        "This (bracket is never closed.",
        'This "quote is never closed.',
        "Values are 1 2 3 4 5 6 7.",
        "The HTTPServer and the HTTPRequestHandler are SocketServer classes.",
        "Valid names: red, green, blue.",
        "XXX This must be rewritten.",
    ],
)
def test_what_is_no_prose_is_left_out(sentence):
    assert not is_prose(sentence)


def test_sentences_break_at_capitals_but_not_after_abbreviations():
    text = "This is one, e.g. A thing. Is this two? Yes it is. It is by J. Smith et al. And so on."
    assert split_sentences(text) == [
        "This is one, e.g. A thing.",
        "Is this two?",
        "Yes it is.",
        "It is by J. Smith et al. And so on.",
    ]


def test_markup_goes_and_words_stay():
    assert plain_text("Use :class:`Foo`, ``bar`` or *baz*  `now'.") == "Use Foo, bar or baz now."
    assert plain_text("Compute 2 * 3 * 4.") == "Compute 2 * 3 * 4."


def test_paragraphs_follow_blank_lines_and_indents():
    text = "One\ntwo\n\nthree\n    four\n    five\n- six\n  seven"
    assert list(paragraphs(text)) == ["One two", "three", "four five", "six seven"]


def test_treebank_gives_back_nearly_every_sentence(sentences):
    tokenizer = build_tokenizer("treebank")
    sample = sentences[::20]
    same = sum(tokenizer.detokenize(tokenizer.tokenize(sentence)) == sentence for sentence in sample)
    assert same / len(sample) > 0.96
