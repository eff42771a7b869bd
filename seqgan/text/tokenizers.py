"""Tokenizers: text to a list of tokens, and back to text for people to read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from nltk.tokenize import NLTKWordTokenizer
from nltk.tokenize.treebank import TreebankWordDetokenizer

from seqgan.config.kinds import load_object


@runtime_checkable
class Tokenizer(Protocol):
    """A tokenizer; a class named by an import path or a file is built without arguments."""

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of one line of text."""

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Return text that reads naturally; white space need not come back exactly."""


# Lines on which all rules but two do nothing: a comma before a space is a token, and so is a last full stop.
_PLAIN = re.compile(r"(?:[A-Za-z0-9 -]++|,(?= ))*+\.? *+")
_NOT_PLAIN = re.compile(r"--|\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b", re.IGNORECASE)


class TreebankTokenizer:
    """Words and punctuation by Penn Treebank rules, as nltk has them; needs no download.

    One line is taken as one sentence: a full stop inside the line stays with its word. In text that was
    tokenized before, where marks stand between spaces, nltk knows neither clitics nor closing quotation
    marks; here they get the tokens that they have in ordinary text.
    """

    def __init__(self) -> None:
        self._tokenizer = NLTKWordTokenizer()
        self._detokenizer = TreebankWordDetokenizer()

    def tokenize(self, text: str) -> list[str]:
        """Return words, clitics (``n't``, ``'s``) and punctuation; double quotes become two of one kind."""
        if _PLAIN.fullmatch(text) and not _NOT_PLAIN.search(text):  # over ten times faster
            return text.replace(",", " ,").replace(".", " .").split()
        tokens = self._tokenizer.tokenize(text)
        return join_clitics(pair_quotes(tokens) if '"' in text else tokens)

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Return text by nltk's detokenizer, after gluing what it leaves apart (see :func:`glue`)."""
        return str(self._detokenizer.detokenize(glue(tokens)))


class WhitespaceTokenizer:
    """The parts between white space: integer ids, and text that is tokenized already."""

    def tokenize(self, text: str) -> list[str]:
        """Return the parts between runs of white space."""
        return text.split()

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Return the tokens with one space between them."""
        return " ".join(tokens)


class CharacterTokenizer:
    """Every Unicode character, spaces included: Chinese, SMILES, code."""

    def tokenize(self, text: str) -> list[str]:
        """Return the characters."""
        return list(text)

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Return the characters joined; exactly the text they came from."""
        return "".join(tokens)


@dataclass(frozen=True)
class LowerCasing:
    """A tokenizer that sees the text in lower case."""

    tokenizer: Tokenizer

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of the lower-cased text."""
        return self.tokenizer.tokenize(text.lower())

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Return the text of the tokenizer below; capitals do not come back."""
        return self.tokenizer.detokenize(tokens)


@dataclass(frozen=True)
class CheckedTokenizer:
    """A user's tokenizer, each of whose results is checked.

    Raises:
        ValueError: It fails, or returns anything but tokens or text; names it and the input, in one line.
    """

    tokenizer: Tokenizer
    name: str
    """As the user names it, with the flag."""

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens, which must be a list of texts that are not empty."""
        tokens = self._call("tokenize", text)
        if not isinstance(tokens, list) or not all(isinstance(t, str) and t for t in tokens):
            raise ValueError(
                f"{self.name}.tokenize must return a list of texts that are not empty; "
                f"for {_shorten(text)} it returned {_shorten(tokens)}"
            )
        return tokens

    def detokenize(self, tokens: Sequence[str]) -> str:
        """Return the text of the tokens."""
        text = self._call("detokenize", tokens)
        if not isinstance(text, str):
            raise ValueError(
                f"{self.name}.detokenize must return a text; "
                f"for {_shorten(tokens)} it returned {_shorten(text)}"
            )
        return text

    def _call(self, method: str, argument: Any) -> Any:
        try:
            return getattr(self.tokenizer, method)(argument)
        except Exception as error:  # somebody else's code may fail in any way
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(f"{self.name}.{method} failed on {_shorten(argument)}: {reason}") from error


def _shorten(value: Any) -> str:
    """Return at most 80 characters of the representation, on one line."""
    text = " ".join(repr(value).splitlines())
    return text if len(text) <= 80 else f"{text[:77]}..."


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "treebank": TreebankTokenizer,
    "whitespace": WhitespaceTokenizer,
    "characters": CharacterTokenizer,
}


def build_tokenizer(name: str, *, lower_case: bool = False, flag: str = "--corpus.tokenizer") -> Tokenizer:
    """Return the tokenizer of this name: from the table, or a class of the user's.

    That is named by its import path ``package.module:Class`` or by its file ``path/to/file.py:Class``.

    Raises:
        ValueError: There is none; names the flag and the built-in names.
    """
    tokenizer = TOKENIZERS[name]() if name in TOKENIZERS else _load_tokenizer(name, flag)
    return LowerCasing(tokenizer) if lower_case else tokenizer


def _load_tokenizer(name: str, flag: str) -> Tokenizer:
    if not all(name.rpartition(":")):
        choices = ", ".join(TOKENIZERS)
        raise ValueError(
            f"{flag}: no tokenizer {name!r}; choose {choices}, package.module:Class or file.py:Class"
        )
    build = load_object(name, flag)
    try:
        tokenizer = build()
    except Exception as error:  # somebody else's code may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{flag}: cannot build the tokenizer {name!r}: {reason}") from error
    if not isinstance(tokenizer, Tokenizer):
        raise ValueError(f"{flag}: {name!r} is no tokenizer: it lacks tokenize or detokenize")
    return CheckedTokenizer(tokenizer, f"{flag}: {name}")


def pair_quotes(tokens: Sequence[str]) -> list[str]:
    """Make every second opening quotation mark a closing one, where there is none that closes.

    A mark between two spaces may open or close, and nltk takes all such as opening (``).
    """
    paired = list(tokens)
    if "''" not in paired:
        marks = [position for position, token in enumerate(paired) if token == "``"]
        for position in marks[1::2]:
            paired[position] = "''"
    return paired


_CUT_CLITICS = frozenset(["s", "S", "m", "M", "d", "D", "ll", "LL", "re", "RE", "ve", "VE"])
_CLITICS = frozenset(["n't", "N'T", *(f"'{letters}" for letters in _CUT_CLITICS)])


def join_clitics(tokens: Sequence[str]) -> list[str]:
    """Join clitics that are cut at their apostrophe: ``dog ' s`` to ``dog 's``, ``isn ' t`` to ``is n't``.

    A quoted letter stays as it is: ``the ' s ' ending``.
    """
    joined = list(tokens)
    for position in reversed([place for place, token in enumerate(tokens) if token == "'"]):
        word, rest, following = (
            joined[i] if 0 <= i < len(joined) else "" for i in (position - 1, position + 1, position + 2)
        )
        if following == "'" or not word.isalnum():
            continue
        if rest in _CUT_CLITICS:
            joined[position : position + 2] = [f"'{rest}"]
        elif word[-1] + rest in ("nt", "NT"):
            joined[position - 1 : position + 2] = [*filter(None, [word[:-1]]), f"{word[-1]}'{rest}"]
    return joined


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
