"""Corpora that were prepared before: read again as long as nothing has changed that they depend on."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import seqgan
from seqgan.config.kinds import KindSettings
from seqgan.config.schema import to_settings
from seqgan.config.toml import to_toml
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.tokenizers import TOKENIZERS
from seqgan.text.vocabulary import read_bytes


def prepare_corpus(
    settings: KindSettings, build: Callable[[Any], PreparedCorpus], cache: Path | None = None
) -> PreparedCorpus:
    """Return ``build(settings)``, read from ``cache`` where it was prepared before.

    Only what is built in is kept there, since of anything else it is not known what it depends on: the
    caller leaves ``cache`` out for other kinds, and other tokenizers are noticed here. So are pipes, whose
    paths say nothing of what comes through them.

    Raises:
        ValueError: Its text or its settings cannot be used, or ``build`` returns no corpus; names the file or
            flag.
    """
    is_own = getattr(settings, "tokenizer", "treebank") not in TOKENIZERS
    if cache is None or is_own or any(_is_stream(path) for path in _paths(settings)):
        return _checked(build(settings), settings.kind)
    folder = cache / f"{settings.kind}-{_corpus_key(settings)}"
    if (folder / "corpus.json").exists():
        return PreparedCorpus.load(folder)
    corpus = _checked(build(settings), settings.kind)
    corpus.save(folder)
    return corpus


def _checked(corpus: object, kind: str) -> PreparedCorpus:
    """Return what a corpus's function returned, if it is a corpus."""
    if not isinstance(corpus, PreparedCorpus):
        raise ValueError(f"--corpus.kind: {kind!r} returns a {type(corpus).__name__}, no PreparedCorpus")
    return corpus


def _corpus_key(settings: KindSettings) -> str:
    """Return a key of the settings, the content of the files that they name, and what reads them."""
    values = to_settings(settings)
    digest = hashlib.sha256(f"{to_toml(values)}{seqgan.__version__}{sys.version}".encode())
    for path in [Path(__file__).parent, *_paths(settings)]:
        for file in sorted(path.glob("*.*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(read_bytes(file))
    return digest.hexdigest()[:12]


def _paths(settings: KindSettings) -> list[Path]:
    """Return the files and folders that the settings name."""
    return [value for value in to_settings(settings).values() if isinstance(value, Path)]


def _is_stream(path: Path) -> bool:
    """Return whether a path is there and is neither a file nor a folder, such as a pipe."""
    return path.exists() and not (path.is_file() or path.is_dir())
