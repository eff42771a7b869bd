"""Where the lines of a corpus come from: text files, docstrings, caption files."""

import codecs
import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.text.docstrings import standard_library_sentences
from seqgan.text.vocabulary import read_bytes


@dataclass(frozen=True, kw_only=True)
class TextCorpusSettings(KindSettings):
    """Settings of every corpus that is made from text, one sequence a line."""

    tokenizer: str = "treebank"
    """treebank, whitespace, characters, or an import path package.module:Class."""
    lower_case: bool = False
    """Read the text in lower case."""
    min_count: Annotated[int, Range(minimum=1)] = 1
    """Tokens seen less often than this in the training part become UNK."""
    max_vocabulary_size: Annotated[int | None, Range(minimum=5)] = None
    """Most tokens in the vocabulary, PAD, BOS, EOS and UNK included; the rarest become UNK."""
    max_length: Annotated[int, Range(minimum=2)] = 40
    """Most tokens in a sequence, EOS included."""
    long_sequences: Literal["drop", "truncate"] = "drop"
    """What happens to longer ones; truncated they have no EOS. Either way they are counted."""
    validation_size: Annotated[float, Range(minimum=0, open=True)] = 0.1
    """Validation part drawn from the training lines where no file is given: a share below 1, or a number."""
    split_seed: int = 0
    """Seed of the split into parts; not the seed of the run, so that runs share their parts."""


@dataclass(frozen=True, kw_only=True)
class FileCorpusSettings(TextCorpusSettings):
    """Settings of a corpus in UTF-8 text files, one sequence a line, plain or gzip."""

    kind: str = "file"
    """Which corpus: file, docstrings, coco, oracle, or an import path package.module:name."""
    path: Path | None = None
    """Training lines; the other parts are drawn from it unless they have a file."""
    validation_path: Path | None = None
    """Validation lines."""
    test_path: Path | None = None
    """Test lines."""
    test_size: Annotated[float, Range(minimum=0, open=True)] = 0.1
    """Test part drawn from the training lines where no file is given: a share below 1, or a number."""


@dataclass(frozen=True, kw_only=True)
class DocstringsCorpusSettings(TextCorpusSettings):
    """Settings of the corpus of docstring sentences of this Python's standard library."""

    kind: str = "docstrings"
    """Which corpus: file, docstrings, coco, oracle, or an import path package.module:name."""
    test_size: Annotated[float, Range(minimum=0, open=True)] = 0.1
    """Test part: a share below 1, or a number of sentences."""


@dataclass(frozen=True, kw_only=True)
class CocoCorpusSettings(TextCorpusSettings):
    """Settings of the Image COCO captions of the Texygen benchmark."""

    kind: str = "coco"
    """Which corpus: file, docstrings, coco, oracle, or an import path package.module:name."""
    path: Path | None = None
    """Folder that holds train.txt and test.txt (scripts/download_coco.sh fetches them)."""
    lower_case: bool = True
    """Read the text in lower case."""
    min_count: Annotated[int, Range(minimum=1)] = 2
    """Tokens seen less often than this in the training part become UNK."""


@dataclass(frozen=True)
class Lines:
    """Lines of text, and the name of their source for messages."""

    source: str
    lines: list[str]


@dataclass(frozen=True)
class Texts:
    """The lines of a corpus; a part that is None is to be drawn from the training lines."""

    train: Lines
    validation: Lines | None = None
    test: Lines | None = None


def read_files(settings: FileCorpusSettings) -> Texts:
    """The lines of the files that the settings name.

    Raises:
        ValueError: No training file is named, or a file cannot be used.
    """
    if settings.path is None:
        raise ValueError("--corpus.path: names no file; it must be a text file with one sequence a line")
    given = {"validation": settings.validation_path, "test": settings.test_path}
    parts = {name: read_lines(path) for name, path in given.items() if path is not None}
    return Texts(train=read_lines(settings.path), **parts)


def read_docstrings(settings: DocstringsCorpusSettings) -> Texts:
    """Sentences from the standard library.

    Raises:
        ValueError: This Python comes without the sources of its library.
    """
    sentences = standard_library_sentences()
    if not sentences:
        raise ValueError(
            f"--corpus.kind: {settings.kind} finds no Python sources in this installation; choose file"
        )
    return Texts(train=Lines("docstrings", sentences))


def read_coco(settings: CocoCorpusSettings) -> Texts:
    """The two caption files of the Texygen benchmark.

    Raises:
        ValueError: No folder is named, or it lacks them.
    """
    if settings.path is None:
        raise ValueError("--corpus.path: names no folder; it must hold train.txt and test.txt of Image COCO")
    return Texts(train=read_lines(settings.path / "train.txt"), test=read_lines(settings.path / "test.txt"))


def read_lines(path: Path) -> Lines:
    """The lines of a UTF-8 file, plain or gzip; any line ends, with or without byte order mark.

    Raises:
        ValueError: The file is missing, a folder, empty, binary, not UTF-8 or a damaged gzip file.
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
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + len(data) - len(error.object)
        raise ValueError(f"{path}: is not UTF-8 ({_position(data, offset)}: {error.reason})") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Lines(str(path), lines[:-1] if lines[-1] == "" else lines)


def _position(data: bytes, offset: int) -> str:
    line = 1 + len(re.findall(rb"\r\n|\r|\n", data[:offset]))
    return f"line {line}, byte {offset}"
