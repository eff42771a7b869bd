"""The report of a study of runs, from a sentence and a picture to the commands that make it again."""

from collections.abc import Iterator, Sequence

import seqgan
from seqgan.config.toml import Settings, flatten, to_toml
from seqgan.experiment.measurements import Measurement
from seqgan.reports.alarms import find_alarms
from seqgan.reports.blocks import (
    Block,
    Cell,
    Code,
    Details,
    Document,
    Figure,
    Figures,
    Paragraph,
    Samples,
    Section,
    Size,
    Table,
)
from seqgan.reports.figures import require_matplotlib, to_svg
from seqgan.reports.findings import Findings, RunRecord
from seqgan.reports.learning_curves import draw_learning_curves
from seqgan.reports.overview import overview
from seqgan.reports.pictures import Picture, draw_pictures
from seqgan.reports.report_tables import differences_of, over_seeds, reached

WIDE = 8.0  # inches of a figure that takes all the width of a page
ABOUT_SAMPLES = (
    "The first sentences of each sample, none chosen. Below each stands the training sentence at the "
    "smallest edit distance between tokens, exactly; what both have in common, in order, is marked."
)
ABOUT_COMMANDS = (
    "On the same machine and with the same versions, these make the same runs, and this report again."
)


def build_report(findings: Findings, commands: Sequence[str] = ()) -> Document:
    """Build the document that shows the findings.

    ``commands`` made it; those that make the runs are added.

    Raises:
        ValueError: There are curves to draw, but matplotlib is not installed.
    """
    pictures = draw_pictures(findings.curves, findings.known) if findings.curves else []
    first, others = _figures(pictures[:1]), _figures(pictures[1:])
    sections = [
        Section("In short", list(overview(findings, first[0] if first else None))),
        Section("What the generators reach", list(reached(findings.columns, findings.runs))),
        Section("Over seeds", list(over_seeds(findings.seeds))),
        Section("Differences", differences_of(findings.comparisons)),
        Section("Quality against diversity", others),
        Section("Learning curves", _learning_curves(findings.runs)),
        Section("Samples", [Paragraph(ABOUT_SAMPLES), Samples(findings.samples)] if findings.samples else []),
        Section("Alarms", [_alarms(findings.runs)]),
        Section("Settings", list(_settings(findings.runs))),
        Section("Commands", _commands(findings.runs, commands)),
    ]
    labels = [run.label for run in findings.runs]
    return Document(
        f"{'Runs' if len(labels) > 1 else 'Run'} {', '.join(labels)}",
        f"{findings.corpus} Measured with seqgan {seqgan.__version__}.",
        [section for section in sections if section.blocks],
    )


def label_measurements(findings: Findings) -> list[tuple[str, Measurement]]:
    """Return all measurements of a report with what they are called, each once."""
    labelled = [(f"{column.origin}: {column.title}", column.measurement) for column in findings.columns]
    labelled += [(curve.label, m) for curve in findings.curves for m in curve.measurements]
    different: dict[str, tuple[str, Measurement]] = {}
    for label, m in labelled:
        different.setdefault(f"{m.run} {m.generator} {m.decoding}", (label, m))
    return list(different.values())


def _figures(pictures: Sequence[Picture]) -> list[Figures]:
    """Return the pictures of medium size together, then the wide ones."""
    drawn: dict[Size, list[Figure]] = {"medium": [], "wide": []}
    for picture in pictures:
        svg = to_svg(picture.figure, transparent=True)
        size: Size = "wide" if picture.figure.get_figwidth() > WIDE else "medium"
        drawn[size].append(Figure(picture.title, picture.caption, svg))
    return [Figures(figures, size) for size, figures in drawn.items() if figures]


def _learning_curves(runs: Sequence[RunRecord]) -> list[Block]:
    try:
        require_matplotlib()
    except ValueError as error:
        return [Paragraph(f"Not drawn: {error}.")]
    curves = draw_learning_curves({run.label: run.history for run in runs})
    return [Figures(figures) for figures in curves.values() if figures] or [Paragraph("Nothing was logged.")]


def _alarms(runs: Sequence[RunRecord]) -> Block:
    rows = [
        [
            Cell(run.label),
            Cell(alarm.name),
            Cell(f"step {alarm.first_step}, {alarm.phase}"),
            Cell(f"{alarm.times}, and still rings" if alarm.still_rings else str(alarm.times)),
            Cell(alarm.meaning),
        ]
        for run in runs
        for alarm in find_alarms(run.history.rows)
    ]
    if not rows:
        return Paragraph("None rang in training.")
    header = [Cell(title) for title in ("run", "alarm", "first rang", "times", "meaning and remedy")]
    return Table("Alarms that rang in training", header, rows, numeric=False)


def _settings(runs: Sequence[RunRecord]) -> Iterator[Block]:
    """Yield the settings of the first run, and before them how those of the others differ."""
    first, *others = runs
    if others:
        rows = [row for run in others for row in _rows_of_settings(first.settings, run)]
        header = [Cell("setting"), Cell(first.label), Cell("here")]
        yield Table(f"Settings that differ from those of {first.label}", header, rows, numeric=False)
    yield Details(f"All settings of {first.label}", [Code(to_toml(first.settings))])


def _rows_of_settings(first: Settings, run: RunRecord) -> Iterator[list[Cell]]:
    base, own = flatten(first), flatten(run.settings)
    differ = [name for name in {**base, **own} if base.get(name, "–") != own.get(name, "–")]
    yield [Cell(run.label + ("" if differ else ": as the first"))]
    for name in differ:
        yield [Cell(name), Cell(str(base.get(name, "–"))), Cell(str(own.get(name, "–")))]


def _commands(runs: Sequence[RunRecord], commands: Sequence[str]) -> list[Block]:
    lines = [run.command for run in runs]
    return [Paragraph(ABOUT_COMMANDS), Code("\n".join([*lines, *commands]))]
