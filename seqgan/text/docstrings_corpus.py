"""The corpus ``docstrings``: sentences from the docstrings of the running Python's standard library."""

from dataclasses import dataclass
from typing import Annotated

from seqgan.config.ranges import Range
from seqgan.text.docstrings import standard_library_sentences
from seqgan.text.lines import Lines
from seqgan.text.preparation import TextCorpusSettings, Texts, prepare_texts
from seqgan.text.prepared import PreparedCorpus


@dataclass(frozen=True, kw_only=True)
class DocstringsCorpusSettings(TextCorpusSettings):
    """Settings of the corpus of docstring sentences of this Python's standard library."""

    kind: str = "docstrings"
    test_size: Annotated[float, Range(minimum=0, open=True)] = 0.1
    """Test part: a share below 1, or a number of sentences."""


def prepare_docstrings(settings: DocstringsCorpusSettings) -> PreparedCorpus:
    """Prepare the sentences of the standard library.

    Raises:
        ValueError: This Python comes without the sources of its library.
    """
    sentences = standard_library_sentences()
    if not sentences:
        raise ValueError(
            f"--corpus.kind: {settings.kind} finds no Python sources in this installation; choose file"
        )
    texts = Texts(train=Lines("docstrings", sentences))
    return prepare_texts(texts, settings, test_size=settings.test_size)
