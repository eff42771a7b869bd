"""The corpus ``tiny``: 442 short English sentences that come with the package."""

from dataclasses import dataclass
from importlib import resources
from typing import Annotated

from seqgan.config.ranges import Range
from seqgan.text.lines import Lines
from seqgan.text.preparation import TextCorpusSettings, Texts, prepare_texts
from seqgan.text.prepared import PreparedCorpus


@dataclass(frozen=True, kw_only=True)
class TinyCorpusSettings(TextCorpusSettings):
    """Settings of the small corpus that comes with the package, for tests and first looks."""

    kind: str = "tiny"
    test_size: Annotated[float, Range(minimum=0, open=True)] = 0.1
    """Test part: a share below 1, or a number of sentences."""


def prepare_tiny(settings: TinyCorpusSettings) -> PreparedCorpus:
    """Prepare ``tiny.txt``, which lies beside this file, also in the wheel."""
    text = resources.files(__package__).joinpath("tiny.txt").read_text(encoding="utf-8")
    texts = Texts(train=Lines("tiny.txt", text.splitlines()))
    return prepare_texts(texts, settings, test_size=settings.test_size)
