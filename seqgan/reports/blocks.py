"""The blocks of a report, in whatever format: sections of text, tables, figures and samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cell:
    """One field of a table."""

    text: str = ""
    note: str = ""
    """Smaller, below the text: an interval, a unit; each line by itself."""
    tone: str = ""
    """``better``, ``worse``, ``different``, or nothing."""


@dataclass(frozen=True)
class Table:
    """A header and rows of the same width; a row of one cell is a heading over those that follow."""

    caption: str
    header: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    numeric: bool = True
    """Whether all but the first field of a row are numbers."""


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text to read or to copy as it is."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A drawing, as an ``<svg>`` element."""

    title: str
    caption: str
    svg: str
    description: str = ""
    """Its content in words, for those who do not see it."""


Size = Literal["small", "medium", "wide"]


@dataclass(frozen=True)
class Figures:
    """Drawings of one size, side by side as far as there is room."""

    figures: Sequence[Figure]
    size: Size = "small"


Pieces = Sequence[tuple[str, bool]]  # a sentence in pieces, and whether each stands in its neighbour too


@dataclass(frozen=True)
class Sample:
    """A sentence, its nearest training sentence, and how far apart they are."""

    sentence: Pieces
    nearest: Pieces
    distance: int
    """Edits between them, in tokens."""
    num_tokens: int
    """Of the longer of the two: the most that the distance could be."""


@dataclass(frozen=True)
class Samples:
    """Sentences of several sources side by side."""

    columns: Sequence[tuple[Cell, Sequence[Sample]]]


@dataclass(frozen=True)
class Details:
    """Blocks that are shown on demand."""

    summary: str
    blocks: Sequence["Block"]


Block = Table | Paragraph | Code | Figures | Samples | Details


@dataclass(frozen=True)
class Section:
    """A heading and the blocks below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    sections: Sequence[Section]
