"""Vocabularies: tokens to numbers and back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsInt

from seqgan.runtime.terminal import printable

SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
PAD, BOS, EOS, UNK = range(4)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The token that each number stands for, and the numbers with a meaning of their own.

    A *text* vocabulary starts with PAD 0, BOS 1, EOS 2 and UNK 3. These are numbers, not strings:
    the text ``<eos>`` in a corpus becomes an ordinary token with a number of its own. A vocabulary of
    *integers* has no special tokens; its start token may be emitted like any other.
    """

    tokens: tuple[str, ...]
    num_specials: int
    pad_id: int
    bos_id: int
    eos_id: int | None
    unk_id: int | None
    forbidden: tuple[int, ...]
    """Tokens that a generator must never emit."""

    @classmethod
    def text(cls, tokens: Iterable[str]) -> "Vocabulary":
        """Build a vocabulary of the four special tokens, then ``tokens`` in the order given.

        Raises:
            ValueError: A token is empty or occurs twice.
        """
        ordinary = tuple(tokens)
        if not all(ordinary) or len(set(ordinary)) < len(ordinary):
            raise ValueError("the tokens of a vocabulary must be distinct and not empty")
        return cls(
            tokens=SPECIALS + ordinary,
            num_specials=len(SPECIALS),
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            forbidden=(PAD, BOS),
        )

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], *, min_count: int = 1, max_size: int | None = None
    ) -> "Vocabulary":
        """Build a vocabulary of the tokens that occur at least ``min_count`` times, most frequent first.

        Tokens of equal count are ordered by code points. ``max_size`` bounds :attr:`size`, special tokens
        included: the rarest tokens fall out.
        """
        kept = sorted((-count, token) for token, count in counts.items() if count >= min_count)
        room = None if max_size is None else max(0, max_size - len(SPECIALS))
        return cls.text(token for _, token in kept[:room])

    @classmethod
    def integers(cls, size: int, bos_id: int = 0) -> "Vocabulary":
        """Build a vocabulary of the tokens "0" to "size - 1"; every sequence starts from ``bos_id``.

        There are no special tokens. Padding is 0 as well: masks decide what is real, not numbers.

        Raises:
            ValueError: No token at all, or ``bos_id`` is none of them.
        """
        if not 0 <= bos_id < size:
            raise ValueError(f"a vocabulary of {size} integers has no start token {bos_id}")
        return cls(
            tokens=tuple(map(str, range(size))),
            num_specials=0,
            pad_id=0,
            bos_id=bos_id,
            eos_id=None,
            unk_id=None,
            forbidden=(),
        )

    @property
    def size(self) -> int:
        """Number of tokens, special ones included."""
        return len(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The number of every ordinary token."""
        return {token: i for i, token in enumerate(self.tokens) if i >= self.num_specials}

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Return the numbers of the tokens, UNK for those unknown, and EOS at the end where there is one.

        Raises:
            ValueError: A token is unknown and the vocabulary has no UNK.
        """
        numbers = [self.ids.get(token, self.unk_id) for token in tokens] + [self.eos_id] * (
            self.eos_id is not None
        )
        if None in numbers:
            raise ValueError(
                f"token {tokens[numbers.index(None)]!r} is none of the integers below {self.size}"
            )
        return [number for number in numbers if number is not None]

    def decode(self, ids: Iterable[SupportsInt]) -> list[str]:
        """Return the tokens up to EOS, which is left out as are PAD and BOS.

        Raises:
            ValueError: A number is outside the vocabulary.
        """
        tokens = []
        for number in map(int, ids):
            if not 0 <= number < self.size:
                raise ValueError(f"token id {number} is outside the vocabulary of {self.size}")
            if number == self.eos_id:
                break
            if number not in self.forbidden:
                tokens.append(self.tokens[number])
        return tokens

    def to_json(self) -> str:
        """Return the vocabulary as JSON text; equal vocabularies give equal text."""
        if self.num_specials:
            content: dict[str, Any] = {"kind": "text", "tokens": self.tokens[self.num_specials :]}
        else:
            content = {"kind": "integers", "size": self.size, "bos_id": self.bos_id}
        return json.dumps({"format": 1, **content}, ensure_ascii=False, indent=0) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "vocabulary") -> "Vocabulary":
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: It is anything else; names ``source``.
        """
        content = parse_json(text, source)
        try:
            match content:
                case {"format": 1, "kind": "text", "tokens": [*tokens]} if len(content) == 3:
                    if all(type(token) is str for token in tokens):
                        return cls.text(tokens)
                case {"format": 1, "kind": "integers", "size": int(size), "bos_id": int(bos_id)}:
                    if len(content) == 4 and type(size) is type(bos_id) is int and size <= 2**24:
                        return cls.integers(size, bos_id)
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
        raise ValueError(f"{source}: is no vocabulary of format 1")

    def save(self, path: Path) -> None:
        """Write :meth:`to_json` to a file."""
        path.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read a file that :meth:`save` wrote.

        Raises:
            ValueError: It is missing or damaged; names the file.
        """
        return cls.from_json(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        ValueError: It cannot be read; names it and says why.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # the latter of a path that holds NUL
        place = "" if path.is_absolute() else f" (from the folder {Path.cwd()})"
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{printable(str(path))}: cannot be read{place}: {reason}") from error


def parse_json(text: str | bytes, source: str) -> dict[str, Any]:
    """Return the JSON object in ``text``.

    Raises:
        ValueError: There is none; names ``source``.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: is damaged or no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{source}: holds no JSON object")
    return content
