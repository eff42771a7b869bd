"""Tables of scores as Markdown and CSV, and their signatures."""

import csv
import io
import statistics
from collections.abc import Mapping, Sequence

from seqgan.evaluation.metric import Metric
from seqgan.evaluation.metrics import EVALUATION, measured_metrics
from seqgan.evaluation.signature import Score
from seqgan.experiment.measurements import Measurement

SUMMARY = tuple(name for name, metric in EVALUATION.items() if metric.in_summary)
"""The rows that are shown first, quality beside diversity; `evaluate` shows everything."""


def table(columns: Mapping[str, Score], *, short: bool = False) -> str:
    """Return metrics as rows and generators as columns, in Markdown, with ``short`` those of the summary.

    Behind a value stands its interval, where it has one.
    """
    metrics = measured_metrics(columns.values(), short=short)
    label_width = max(len(metric.label) for metric in metrics)
    cells = [[_cell(score, metric.name) for score in columns.values()] for metric in metrics]
    titles_and_cells = zip(columns, *cells, strict=True)
    widths = [max(8, *map(len, column)) for column in titles_and_cells]
    lines = [
        _row("metric".ljust(label_width), [t.rjust(w) for t, w in zip(columns, widths, strict=True)]),
        _row("-" * label_width, ["-" * (w - 1) + ":" for w in widths]),
    ]
    for metric, row in zip(metrics, cells, strict=True):
        texts = [text.rjust(w) for text, w in zip(row, widths, strict=True)]
        lines.append(_row(metric.label.ljust(label_width), texts))
    return "\n".join(lines)


def in_words(
    columns: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    verdicts: Mapping[str, str],
    extra: Mapping[str, Mapping[str, float]],
    metrics: Mapping[str, Metric] = EVALUATION,
) -> str:
    """Return a table in Markdown with some metrics as rows, and in words what has changed.

    ``columns`` are the values of each generator by metric, ``verdicts`` the words by metric or label,
    ``extra`` further rows: values of each generator by the row's label.
    """
    shown = [metrics[name] for name in names if any(name in values for values in columns.values())]
    rows = [
        (m.label, [values.get(m.name) for values in columns.values()], verdicts.get(m.name, ""))
        for m in shown
    ]
    for label, values in extra.items():
        if values:
            rows.append((label, [values.get(title) for title in columns], verdicts.get(label, "")))
    texts = [["", *columns, "change"]]
    for label, found, words in rows:
        texts.append([label, *("" if v is None else f"{v:.3f}" for v in found), words])
    widths = [max(len(row[place]) for row in texts) for place in range(len(texts[0]))]
    lines = [
        _row(row[0].ljust(widths[0]), [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)])
        for row in texts
    ]
    rule = _row("-" * widths[0], ["-" * (width - 1) + ":" for width in widths[1:]])
    return "\n".join([lines[0], rule, *lines[1:]])


def unknown_words(columns: Mapping[str, Sequence[Score]]) -> str:
    """Return in one line the share of unknown words among all generated ones, over runs; else nothing."""
    shares = {
        title: statistics.fmean(score.values["unknown"] for score in scores)
        for title, scores in columns.items()
        if scores and all("unknown" in score.values for score in scores)
    }
    found = ", ".join(f"{title} {share:.1%}" for title, share in shares.items())
    return f"Unknown words among all words: {found}." if found else ""


def csv_text(labelled: Sequence[tuple[str, Measurement]]) -> str:
    """Return a line for each measurement, with every metric, its standard error, and the signature."""
    names = [metric.name for metric in measured_metrics(m.score for _, m in labelled)]
    with_errors = [n for n in names if any(n in m.score.standard_errors for _, m in labelled)]
    about = ["label", "run", "generator", "temperature", "top_k", "top_p"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*about, *names, *(f"{n}_error" for n in with_errors), "signature"])
    for label, m in labelled:
        way = (m.decoding.temperature, m.decoding.top_k, m.decoding.top_p)
        values = [m.score.values.get(n) for n in names]
        errors = [m.score.standard_errors.get(n) for n in with_errors]
        writer.writerow([label, m.run, m.generator, *way, *values, *errors, m.score.signature])
    return text.getvalue()


def _cell(score: Score, name: str) -> str:
    """Return a value with its interval; empty where it was not measured."""
    if name not in score.values:
        return ""
    interval = score.intervals.get(name)
    bounds = f" [{interval.low:.4f}, {interval.high:.4f}]" if interval else ""
    return f"{score.values[name]:.4f}{bounds}"


def _row(label: str, cells: Sequence[str]) -> str:
    return f"| {label} | {' | '.join(cells)} |"


def signatures(columns: Mapping[str, Score]) -> str:
    """Return how the numbers were made: once where all columns agree, else column by column."""
    found = {title: str(score.signature) for title, score in columns.items()}
    if len(set(found.values())) == 1:
        return f"signature: {next(iter(found.values()))}"
    return "\n".join(f"signature of {title}: {signature}" for title, signature in found.items())
