"""Tokenizers: text to a list of tokens, and back to text for people to read."""

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from nltk.tokenize import NLTKWordTokenizer
from nltk.tokenize.treebank import TreebankWordDetokenizer


@runtime_checkable
class Tokenizer(Protocol):
    """What a tokenizer must offer. A class named by an import path is built without arguments."""

    def tokenize(self, text: str) -> list[str]:
        """The tokens of one line of text."""

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Text that reads naturally; white space need not come back exactly."""


# Lines on which all rules but two do nothing: a comma before a space is a token, and so is a last full stop.
_PLAIN = re.compile(r"(?:[A-Za-z0-9 -]++|,(?= ))*+\.? *+")
_NOT_PLAIN = re.compile(r"--|\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b", re.IGNORECASE)


class TreebankTokenizer:
    """Words and punctuation by Penn Treebank rules, as nltk has them; needs no download.

    One line is taken as one sentence: a full stop inside the line stays with its word.
    """

    def __init__(self) -> None:
        self._tokenizer = NLTKWordTokenizer()
        self._detokenizer = TreebankWordDetokenizer()

    def tokenize(self, text: str) -> list[str]:
        """Words, clitics (``n't``, ``'s``) and punctuation; double quotes become two of one kind."""
        if _PLAIN.fullmatch(text) and not _NOT_PLAIN.search(text):  # over ten times faster
            return text.replace(",", " ,").replace(".", " .").split()
        return [str(token) for token in self._tokenizer.tokenize(text)]

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Text by nltk's detokenizer, after gluing what it leaves apart (see :func:`glue`)."""
        return str(self._detokenizer.detokenize(glue(tokens)))


class WhitespaceTokenizer:
    """Whatever stands between white space: integer ids, and text that is tokenized already."""

    def tokenize(self, text: str) -> list[str]:
        """The parts between runs of white space."""
        return text.split()

    def detokenize(self, tokens: Sequence[str]) -> str:
        """The tokens with one space between them."""
        return " ".join(tokens)


class CharacterTokenizer:
    """Every Unicode character, spaces included: Chinese, SMILES, code."""

    def tokenize(self, text: str) -> list[str]:
        """The characters."""
        return list(text)

    def detokenize(self, tokens: Sequence[str]) -> str:
        """The characters joined; exactly the text they came from."""
        return "".join(tokens)


@dataclass(frozen=True)
class LowerCasing:
    """A tokenizer that sees the text in lower case."""

    tokenizer: Tokenizer

    def tokenize(self, text: str) -> list[str]:
        """The tokens of the lower-cased text."""
        return self.tokenizer.tokenize(text.lower())

    def detokenize(self, tokens: Sequence[str]) -> str:
        """As the tokenizer below does it; capitals do not come back."""
        return self.tokenizer.detokenize(tokens)


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "treebank": TreebankTokenizer,
    "whitespace": WhitespaceTokenizer,
    "characters": CharacterTokenizer,
}


def build_tokenizer(name: str, *, lower_case: bool = False, flag: str = "--corpus.tokenizer") -> Tokenizer:
    """The tokenizer of this name: from the table, or the class at an import path ``package.module:Class``.

    Raises:
        ValueError: There is none; names the flag and the built-in names.
    """
    tokenizer = TOKENIZERS[name]() if name in TOKENIZERS else _import_tokenizer(name, flag)
    return LowerCasing(tokenizer) if lower_case else tokenizer


def _import_tokenizer(name: str, flag: str) -> Tokenizer:
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        choices = ", ".join(TOKENIZERS)
        raise ValueError(f"{flag}: no tokenizer {name!r}; choose {choices} or package.module:Class")
    try:
        tokenizer = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{flag}: cannot build the tokenizer {name!r}: {error}") from error
    if not isinstance(tokenizer, Tokenizer):
        raise ValueError(f"{flag}: {name!r} is no tokenizer: it lacks tokenize or detokenize")
    return tokenizer


_CLITICS = frozenset(["n't", "'s", "'S", "'re", "'ve", "'ll", "'d", "'m", "N'T"])


def glue(tokens: Sequence[str]) -> list[str]:
    """Join tokens that belong together but that nltk's detokenizer would leave apart.

    These are clitics before the end of a sentence (``does n't .``), single quotes around words
    (``' r '``), the brackets of a call (``close ( )``) and repeated full stops (``. .``).
    """
    glued: list[str] = []
    quote_is_open = False
    for position, token in enumerate(tokens):
        previous = tokens[position - 1] if position else ""
        following = tokens[position + 1] if position + 1 < len(tokens) else ""
        after_opening_quote = previous == "'" and quote_is_open
        closing_quote = token == "'" and quote_is_open
        call = (token, following) == ("(", ")") or (previous, token) == ("(", ")")
        full_stops = token in (".", "..")
        if position and (after_opening_quote or closing_quote or call or full_stops or token in _CLITICS):
            glued[-1] += token
        else:
            glued.append(token)
        if token == "'":
            quote_is_open = not quote_is_open and "'" in tokens[position + 1 :]
    return glued
