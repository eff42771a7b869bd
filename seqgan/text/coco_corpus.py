"""The corpus ``coco``: the image captions of the Texygen benchmark (Zhu et al. 2018)."""

from dataclasses import dataclass
from pathlib import Path

from seqgan.text.lines import read_lines
from seqgan.text.preparation import TextCorpusSettings, Texts, prepare_texts
from seqgan.text.prepared import PreparedCorpus


@dataclass(frozen=True, kw_only=True)
class CocoCorpusSettings(TextCorpusSettings):
    """Settings of the Image COCO captions of the Texygen benchmark."""

    kind: str = "coco"
    path: Path | None = None
    """Folder that holds train.txt and test.txt (scripts/download_coco.sh fetches them)."""
    lower_case: bool = True
    """Read the text in lower case."""


def prepare_coco(settings: CocoCorpusSettings) -> PreparedCorpus:
    """Prepare the two caption files; the validation part is drawn from the training captions.

    Raises:
        ValueError: No folder is named, or it lacks them.
    """
    folder = settings.path
    if folder is None:
        raise ValueError("--corpus.path: names no folder; it must hold train.txt and test.txt of Image COCO")
    texts = Texts(train=read_lines(folder / "train.txt"), test=read_lines(folder / "test.txt"))
    return prepare_texts(texts, settings)
