"""A report as one HTML page that needs nothing else: no network, no script, no file beside it."""

import base64
from collections.abc import Sequence
from html import escape

from seqgan.reports.blocks import (
    Block,
    Cell,
    Code,
    Details,
    Document,
    Figure,
    Figures,
    Paragraph,
    Pieces,
    Sample,
    Samples,
    Section,
    Table,
)
from seqgan.reports.page_style import STYLE

# Nothing may be loaded, whatever text has come into the page; drawings are part of it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(document: Document) -> str:
    """Return the whole page; all text is escaped."""
    sections = [(f"section-{i}", section) for i, section in enumerate(document.sections, 1)]
    links = "".join(f'<li><a href="#{i}">{escape(section.title)}</a></li>' for i, section in sections)
    body = "\n".join(_section(i, section) for i, section in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(document.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(document.title)}</h1>
<p>{escape(document.subtitle)}</p>
<nav aria-label="Contents"><ol>{links}</ol></nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def _section(identifier: str, section: Section) -> str:
    heading = f'<h2 id="{identifier}-title">{escape(section.title)}</h2>'
    blocks = "\n".join(map(_block, section.blocks))
    return (
        f'<section id="{identifier}" aria-labelledby="{identifier}-title">\n{heading}\n{blocks}\n</section>'
    )


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return f"<p>{escape(block.text)}</p>"
        case Code():
            return f'<pre tabindex="0"><code>{escape(block.text)}</code></pre>'
        case Table():
            return _table(block)
        case Figures():
            return f'<div class="figures {block.size}">{"".join(map(_figure, block.figures))}</div>'
        case Samples():
            return f'<div class="samples">{"".join(_samples(*column) for column in block.columns)}</div>'
        case Details():
            inside = "\n".join(map(_block, block.blocks))
            return f"<details><summary>{escape(block.summary)}</summary>\n{inside}\n</details>"


def _table(table: Table) -> str:
    header = "".join(_cell(cell, 'th scope="col"') for cell in table.header)
    rows = "\n".join(_row(row, len(table.header)) for row in table.rows)
    kind = ' class="numeric"' if table.numeric else ""
    return (
        f'<figure class="table"><figcaption>{escape(table.caption)}</figcaption>\n'
        f"{_region(table.caption)}<table{kind}>\n"
        f"<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div></figure>"
    )


def _row(cells: Sequence[Cell], width: int) -> str:
    label, *values = cells
    if not values:
        heading = f'th scope="colgroup" colspan="{width}"'
        return f"<tr>{_cell(label, heading)}</tr>"
    fields = [_cell(label, 'th scope="row"'), *(_cell(cell, "td") for cell in values)]
    return f"<tr>{''.join(fields)}</tr>"


def _cell(cell: Cell, element: str) -> str:
    tone = f' class="{cell.tone}"' if cell.tone else ""
    notes = "".join(f"<small>{escape(line)}</small>" for line in cell.note.splitlines())
    return f"<{element}{tone}>{escape(cell.text)}{notes}</{element.split()[0]}>"


def _figure(figure: Figure) -> str:
    """Return the drawing as data of an image: several in one page would clash by the ids inside them."""
    data = base64.b64encode(figure.svg.encode()).decode()
    words = escape(". ".join(filter(None, (figure.title, figure.description))), quote=True)
    return (
        f'<figure>{_region(figure.title)}<img src="data:image/svg+xml;base64,{data}" alt="{words}"></div>'
        f"<figcaption><strong>{escape(figure.title)}.</strong> {escape(figure.caption)}</figcaption></figure>"
    )


def _region(label: str) -> str:
    """Return the beginning of a box that scrolls by itself, by keyboard too."""
    return f'<div class="scroll" role="region" aria-label="{escape(label, quote=True)}" tabindex="0">'


def _samples(title: Cell, samples: Sequence[Sample]) -> str:
    items = "\n".join(f"<li>{_sample(sample)}</li>" for sample in samples)
    return f'<section class="card">{_cell(title, "h3")}<ol>{items}</ol></section>'


def _sample(sample: Sample) -> str:
    far = f"distance {sample.distance} of {sample.num_tokens}" if sample.distance else "a copy"
    return (
        f"<p>{_pieces(sample.sentence)}</p>"
        f'<p class="nearest">{_pieces(sample.nearest)} <span>{far}</span></p>'
    )


def _pieces(sentence: Pieces) -> str:
    return "".join(f"<mark>{escape(text)}</mark>" if mark else escape(text) for text, mark in sentence)
