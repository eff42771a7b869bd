"""The tables of a report: what generators reach, over seeds, and how far they are apart."""

from collections.abc import Iterator, Mapping, Sequence

from seqgan.evaluation.metric import Metric
from seqgan.evaluation.metrics import find_metric, measured_metrics
from seqgan.experiment.measurements import Measurement
from seqgan.reports.blocks import Block, Cell, Details, Paragraph, Table
from seqgan.reports.findings import Column, Comparison, Difference, RunRecord, SeedGroup
from seqgan.reports.pictures import Z_95
from seqgan.reports.tables import SUMMARY

BOTH_SIDES = (
    "Each quality stands beside the diversity that it can be bought with: judge both, or the metrics of both "
    "sides. Behind ± is half a 95 % interval over sentences (1.96 standard errors) where the metric has one; "
    "neither another seed of the training nor other test text is in it."
)
ABOUT_DIFFERENCES = (
    "Brackets hold 95 % intervals of the bootstrap over sentences, paired where both generators are measured "
    "with the same references. Where an interval excludes 0 the two are told apart, and the cell says which "
    "is better; one in twenty does so by chance. Sentences of one sample bear on each other's self-BLEU: its "
    "intervals are too narrow."
)


def number(name: str, value: float) -> str:
    """Return a metric's value with four decimals, or two of a perplexity."""
    return f"{value:.2f}" if "perplexity" in name else f"{value:.4f}"


def metric_cell(metric: Metric) -> Cell:
    """Return a metric's name, and below it which side it shows and which direction is better."""
    side = metric.side if metric.side in ("quality", "diversity", "both sides") else ""
    notes = [metric.unit, side, f"{metric.better} is better" if metric.better else ""]
    return Cell(metric.meaning, ", ".join(note for note in notes if note))


def reached(columns: Sequence[Column], runs: Sequence[RunRecord]) -> Iterator[Block]:
    """Build the table of what each generator reaches, its signatures, and all metrics on demand."""
    yield Paragraph(BOTH_SIDES)
    letters = _signature_letters(columns)
    header = [Cell("metric"), *(Cell(column.title, _header_note(column, letters)) for column in columns)]
    measurements = [column.measurement for column in columns]
    metrics = measured_metrics(m.score for m in measurements)
    summary = [metric for metric in metrics if metric.in_summary]
    yield Table("Quality beside diversity", header, _rows(summary, measurements))
    yield _signatures(letters)
    yield from _estimators(runs)
    rows = [
        row
        for heading in dict.fromkeys(metric.heading for metric in metrics)
        for row in (
            [Cell(heading)],
            *_rows([metric for metric in metrics if metric.heading == heading], measurements),
        )
    ]
    yield Details("All metrics", [Table("All metrics", header, rows)])


def _estimators(runs: Sequence[RunRecord]) -> Iterator[Block]:
    """Say by which estimator each run was trained."""
    runs = [run for run in runs if run.estimator]
    if runs:
        yield Paragraph(
            "Actions were judged by: " + "; ".join(f"{r.label}, {r.estimator}" for r in runs) + "."
        )


def _header_note(column: Column, letters: Mapping[str, str]) -> str:
    letter = letters[str(column.measurement.score.signature)]
    return column.origin + ("" if letter == "A" else f"\nsignature {letter}")


def _rows(metrics: Sequence[Metric], measurements: Sequence[Measurement]) -> list[list[Cell]]:
    return [[metric_cell(metric), *(_value_cell(m, metric.name) for m in measurements)] for metric in metrics]


def _value_cell(measurement: Measurement, name: str) -> Cell:
    score = measurement.score
    if name not in score.values:
        return Cell("–")
    error = score.standard_errors.get(name)
    return Cell(
        number(name, score.values[name]),
        "" if error is None else f"± {number(name, Z_95 * error)}",
    )


def _signature_letters(columns: Sequence[Column]) -> dict[str, str]:
    """Return a letter for each signature among the columns."""
    found = dict.fromkeys(str(column.measurement.score.signature) for column in columns)
    return {signature: chr(ord("A") + i) for i, signature in enumerate(found)}


def _signatures(letters: Mapping[str, str]) -> Block:
    if len(letters) == 1:
        return Paragraph(f"Signature of all columns: {next(iter(letters))}")
    parts = [dict(part.partition(":")[::2] for part in signature.split("|")) for signature in letters]
    names = dict.fromkeys(name for part in parts for name in part)
    differ = [name for name in names if len({part.get(name) for part in parts}) > 1]
    return Table(
        f"The columns' signatures differ in {', '.join(differ)}: A, unless a column names another",
        [Cell("signature"), Cell("how the column was measured")],
        [[Cell(letter), Cell(signature)] for signature, letter in letters.items()],
        numeric=False,
    )


def over_seeds(groups: Sequence[SeedGroup]) -> Iterator[Block]:
    """Build for each group a table of means and deviations of runs that differ in their seed only."""
    for group in groups:
        found, labels = group.spreads, group.labels
        names = [name for name in SUMMARY if any(name in spread for spread in found.values())]
        rows = [
            [
                metric_cell(find_metric(name)),
                *(
                    Cell(number(name, s[name].mean), f"± {number(name, s[name].deviation)}")
                    if name in s
                    else Cell("–")
                    for s in found.values()
                ),
            ]
            for name in names
        ]
        yield Table(
            f"{', '.join(labels)}: mean ± standard deviation over {len(labels)} training seeds on one draw "
            "of data",
            [Cell("metric"), *(Cell(generator) for generator in found)],
            rows,
        )


def differences_of(comparisons: Sequence[Comparison]) -> list[Block]:
    """Build the table of differences with their intervals; nothing where there are none."""
    if not comparisons:
        return []
    found = [{d.metric.name: d for d in comparison.differences} for comparison in comparisons]
    metrics = {d.metric.name: d.metric for comparison in comparisons for d in comparison.differences}
    rows = [
        [
            metric_cell(metric),
            *(_difference_cell(column[name]) if name in column else Cell("–") for column in found),
        ]
        for name, metric in metrics.items()
    ]
    header = [Cell("metric"), *(Cell(f"{c.first} − {c.second}") for c in comparisons)]
    return [Paragraph(ABOUT_DIFFERENCES), Table("Differences of means", header, rows)]


def _difference_cell(difference: Difference) -> Cell:
    interval, verdict = difference.interval, difference.verdict
    if interval is None:
        other = f"{difference.incomparable}:\nno verdict"
        return Cell(f"{difference.values[0] - difference.values[1]:+.4f}", other)
    bounds = f"[{interval.low:+.4f}, {interval.high:+.4f}]"
    return Cell(f"{interval.value:+.4f}", f"{bounds}\n{verdict}".strip(), verdict)
