"""Lines of text from files: UTF-8, plain or gzip."""

import codecs
import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqgan.text.vocabulary import read_bytes


@dataclass(frozen=True)
class Lines:
    """Lines of text, and the name of their source for messages."""

    source: str
    lines: list[str]
    prompts: list[str] | None = None
    """What each line completes, where lines are completions."""
    columns: Mapping[str, list[Any]] = field(default_factory=dict)
    """An entry for each line, by column."""
    numbers: list[int] | None = None
    """Where each line begins in its source; by default 1, 2, ..."""

    def name(self, row: int) -> str:
        """Return source and line of a row that is counted from 0."""
        return f"{self.source}, line {row + 1 if self.numbers is None else self.numbers[row]}"


def read_lines(path: Path) -> Lines:
    """Return the lines of a UTF-8 file, plain or gzip; any line ends, with or without byte order mark.

    Raises:
        ValueError: The file is missing, a folder, empty, binary, not UTF-8 or a damaged gzip file.
    """
    # Not splitlines(), which also breaks at form feeds and U+2028.
    lines = read_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Lines(str(path), lines[:-1] if lines[-1] == "" else lines)


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, plain or gzip, without byte order mark.

    Raises:
        ValueError: As of :func:`read_lines`.
    """
    data = read_bytes(path)
    if path.suffix == ".gz" or data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: is no gzip file or a damaged one: {error}") from error
    if not data.strip():
        raise ValueError(f"{path}: is empty; it must hold one sequence a line")
    if b"\0" in data:
        raise ValueError(
            f"{path}: is binary ({_position(data, data.index(0))} is NUL); it must be UTF-8 text"
        )
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + len(data) - len(error.object)
        raise ValueError(f"{path}: is not UTF-8 ({_position(data, offset)}: {error.reason})") from error


def _position(data: bytes, offset: int) -> str:
    line = 1 + len(re.findall(rb"\r\n|\r|\n", data[:offset]))
    return f"line {line}, byte {offset}"
