"""Corpora that were prepared before: read again as long as nothing has changed that they depend on."""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import seqgan
from seqgan.config.kinds import KindSettings
from seqgan.config.schema import Component, find_component, to_settings
from seqgan.config.toml import to_toml
from seqgan.text.prepared import PreparedCorpus


def prepare_corpus(
    settings: KindSettings, kinds: Mapping[str, Component], cache: Path | None = None
) -> PreparedCorpus:
    """The corpus that the settings describe, read from ``cache`` where it was prepared before.

    Only the built-in ``kinds`` are kept there: of any other it is not known what it depends on.

    Raises:
        ValueError: Its text or its settings cannot be used; names the file or flag.
    """
    build = find_component(settings.kind, kinds, "corpus.kind").build
    if cache is None or settings.kind not in kinds:
        return cast(PreparedCorpus, build(settings))
    folder = cache / f"{settings.kind}-{_corpus_key(settings)}"
    if (folder / "corpus.json").exists():
        return PreparedCorpus.load(folder)
    corpus = cast(PreparedCorpus, build(settings))
    corpus.save(folder)
    return corpus


def _corpus_key(settings: KindSettings) -> str:
    """Changes with the settings, the content of the files that they name, and what reads them."""
    values = to_settings(settings)
    digest = hashlib.sha256(f"{to_toml(values)}{seqgan.__version__}{sys.version}".encode())
    for path in (value for value in values.values() if isinstance(value, Path)):
        files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
        for file in (file for file in files if file.is_file()):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
