"""A report as Markdown: the same text, tables and samples; of figures their captions."""

import re

from seqgan.reports.blocks import (
    Block,
    Cell,
    Code,
    Details,
    Document,
    Figures,
    Paragraph,
    Pieces,
    Samples,
    Table,
)


def markdown(document: Document) -> str:
    """Return the whole report; all text is escaped, so that none of it is taken for markup."""
    parts = [f"# {_text(document.title)}", _text(document.subtitle)]
    for section in document.sections:
        parts += [f"## {_text(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return _text(block.text)
        case Code():
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", block.text)), default=0))
            return f"{fence}\n{block.text.rstrip()}\n{fence}"
        case Table():
            return _table(block)
        case Figures():
            return "\n".join(
                f"- {_text(f.title)}: {_text(f.description or f.caption)}" for f in block.figures
            )
        case Samples():
            return "\n\n".join(
                f"{_cell(title)}:\n\n"
                + "\n".join(
                    f"{i}. {_pieces(s.sentence)} (distance {s.distance} of {s.num_tokens}: "
                    f"{_pieces(s.nearest)})"
                    for i, s in enumerate(samples, 1)
                )
                for title, samples in block.columns
            )
        case Details():
            return "\n\n".join([_text(block.summary) + ":", *map(_block, block.blocks)])


def _table(table: Table) -> str:
    width = len(table.header)
    aligned = ["---", *(["---:" if table.numeric else "---"] * (width - 1))]
    rows = [[_cell(cell) for cell in row] + [""] * (width - len(row)) for row in table.rows]
    lines = [" | ".join(cells) for cells in ([_cell(c) for c in table.header], aligned, *rows)]
    return "\n".join([_text(table.caption), "", *(f"| {line} |" for line in lines)])


def _cell(cell: Cell) -> str:
    return _text(f"{cell.text} {cell.note}".strip())


def _pieces(sentence: Pieces) -> str:
    return _text("".join(text for text, _ in sentence))


def _text(text: str) -> str:
    """Return one line in which nothing is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))
