"""The corpus ``file``: text files of the user's, one sequence a line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from seqgan.config.ranges import Range
from seqgan.text.lines import Lines, read_lines
from seqgan.text.preparation import TextCorpusSettings, Texts, prepare_texts
from seqgan.text.prepared import PreparedCorpus


@dataclass(frozen=True, kw_only=True)
class FileCorpusSettings(TextCorpusSettings):
    """Settings of a corpus in UTF-8 text files, one sequence a line, plain or gzip."""

    kind: str = "file"
    path: Path | None = None
    """Training lines; the other parts are drawn from it unless they have a file."""
    validation_path: Path | None = None
    """Validation lines."""
    test_path: Path | None = None
    """Test lines."""
    test_size: Annotated[float, Range(minimum=0, open=True)] = 0.1
    """Test part drawn from the training lines where no file is given: a share below 1, or a number."""


def prepare_files(settings: FileCorpusSettings) -> PreparedCorpus:
    """Prepare the files that the settings name.

    Raises:
        ValueError: No training file is named, or a file cannot be used.
    """
    return prepare_texts(read_parts(settings, read_lines), settings, test_size=settings.test_size)


def read_parts(settings: FileCorpusSettings, read: Callable[[Path], Lines]) -> Texts:
    """Read the file of each part that the settings name.

    Raises:
        ValueError: No training file is named, or a file cannot be used.
    """
    if settings.path is None:
        raise ValueError("--corpus.path: names no file; it must be a text file with one sequence a line")
    given = {"validation": settings.validation_path, "test": settings.test_path}
    parts = {name: read(path) for name, path in given.items() if path is not None}
    return Texts(train=read(settings.path), **parts)
