"""Corpora of the text that a test gives."""

from pathlib import Path
from typing import Any

from seqgan.text.files_corpus import FileCorpusSettings
from seqgan.text.prepared import PreparedCorpus


def file_settings(path: Path, content: str | bytes, **options: Any) -> FileCorpusSettings:
    """Write a text file and return the settings of its corpus, cut at white space, all words known."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    given: dict[str, Any] = {"tokenizer": "whitespace", "min_count": 1}
    return FileCorpusSettings(path=path, **given | options)


def words(corpus: PreparedCorpus, part: str) -> list[str]:
    """Return the sequences of a part with a space between their tokens."""
    sequences = corpus.sequences(part)
    return [" ".join(corpus.vocabulary.decode(sequences[i])) for i in range(len(sequences))]
