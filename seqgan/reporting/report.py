"""What a report of runs says, from the table of both sides to the commands that make it all again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import seqgan
from seqgan.config import flatten, to_settings, to_toml
from seqgan.decoding import Decoding
from seqgan.experiment import Experiment
from seqgan.metrics import ORDERS
from seqgan.reporting.alarms import find_alarms
from seqgan.reporting.blocks import (
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
    Table,
)
from seqgan.reporting.comparison import (
    PAIRED,
    UNPAIRED,
    Column,
    Comparison,
    Name,
    columns_of,
    compare_runs,
    measure_runs,
    seed_groups,
    spreads,
)
from seqgan.reporting.figures import require_matplotlib, to_svg
from seqgan.reporting.learning_curves import draw_learning_curves, read_history
from seqgan.reporting.measurements import REAL_TEXT, Measurement
from seqgan.reporting.pictures import WIDTH_OF_INTERVAL, Picture, draw_pictures, known_envelopes
from seqgan.reporting.reproduction import original_config, training_command
from seqgan.reporting.samples import Neighbourhood
from seqgan.reporting.sweep import sweep
from seqgan.reporting.tables import MEANINGS, SUMMARY
from seqgan.text.prepared import PARTS

GROUPS = {
    "Likelihoods and divergences": (
        *("nll_oracle", "nll_test", "kl_q_p", "kl_p_q", "jeffreys", "jensen_shannon", "entropy"),
    ),
    **{f"BLEU-{n}": (f"bleu_{n}", f"self_bleu_{n}", f"backward_bleu_{n}", f"bleu_f1_{n}") for n in ORDERS},
    "Perplexity": ("forward_perplexity", "reverse_perplexity"),
    **{f"{n}-grams": (f"ms_jaccard_{n}", f"ngram_js_{n}", f"distinct_{n}") for n in ORDERS},
    "Sentences": ("unique", "novelty", "longest_copied"),
    "Features and language model": (
        *("frechet_distance", "mauve", "language_model_perplexity", "language_model_perplexity_real"),
    ),
    "Length": ("mean_length", "length_deviation", "length_distance"),
}
SIDES = {  # the longest beginning of a metric's name that is here says which side it shows
    **dict.fromkeys(("nll_oracle", "kl_q_p", "bleu", "forward_perplexity"), "quality"),
    **{"language_model_perplexity": "quality", "language_model_perplexity_real": ""},
    **dict.fromkeys(("nll_test", "kl_p_q", "self_bleu", "backward_bleu"), "diversity"),
    **dict.fromkeys(("reverse_perplexity", "distinct", "unique"), "diversity"),
    **dict.fromkeys(("jeffreys", "jensen_shannon", "bleu_f1", "ms_jaccard", "ngram_js"), "both sides"),
    **dict.fromkeys(("frechet_distance", "mauve"), "both sides"),
}
WIDE = 8.0  # inches of a figure that takes all the width of a page
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


@dataclass(frozen=True)
class Report:
    """A document, and the measurements behind it with what they are called."""

    document: Document
    measurements: Sequence[tuple[str, Measurement]]


def build_report(
    runs: Mapping[str, Experiment],
    *,
    commands: Sequence[str] = (),
    ways: Sequence[Decoding] = (),
    checkpoints: Sequence[str] = (),
    num_samples: int = 10,
    quiet: bool = False,
) -> Report:
    """Measure what has not been measured, and put it into words.

    ``runs`` go by their labels. ``ways`` to sample are for the pictures; without any there are none.
    ``commands`` made the report; those that make the runs are added.

    Raises:
        ValueError: A run has no generator or not that checkpoint, or there is nothing to draw with.
    """
    measured = measure_runs(runs, checkpoints=checkpoints, quiet=quiet)
    columns = columns_of(runs, measured)
    curves = sweep(list(runs.values()), ways, checkpoints=checkpoints, quiet=quiet) if ways else []
    first = next(iter(runs.values()))
    pictures = draw_pictures(curves, known_envelopes(first)) if curves else []
    sections = [
        Section("What the generators reach", list(_reached(columns))),
        Section("Over seeds", list(_over_seeds(runs, measured))),
        Section("Differences", _differences(compare_runs(runs, measured, quiet=quiet))),
        Section("Learning curves", _learning_curves(runs)),
        Section("Quality against diversity", _pictures(pictures)),
        Section("Samples", _samples(first, columns, num_samples)),
        Section("Alarms", [_alarms(runs)]),
        Section("Settings", list(_settings(runs))),
        Section("Commands", _commands(runs, commands)),
    ]
    document = Document(
        f"{'Runs' if len(runs) > 1 else 'Run'} {', '.join(runs)}",
        _about(first),
        [section for section in sections if section.blocks],
    )
    labelled = [(f"{column.origin}: {column.title}", column.measurement) for column in columns]
    listed = {(m.run, m.generator, m.decoding) for m in measured.values()}
    labelled += [
        (curve.label, m)
        for curve in curves
        for m in curve.measurements
        if (m.run, m.generator, m.decoding) not in listed
    ]
    return Report(document, labelled)


def _about(experiment: Experiment) -> str:
    corpus = experiment.corpus
    train, validation, test = (len(corpus.sequences(part)) for part in PARTS)
    return (
        f"Corpus of kind {experiment.config.corpus.kind}: {train:,} training, {validation:,} validation and "
        f"{test:,} test sequences of at most {corpus.max_length} tokens; vocabulary of "
        f"{corpus.vocabulary.size:,}. Measured with seqgan {seqgan.__version__}."
    )


# Tables of metrics.


def number(name: str, value: float) -> str:
    """A metric's value with four decimals, or two of a perplexity."""
    return f"{value:.2f}" if "perplexity" in name else f"{value:.4f}"


def metric_cell(name: str) -> Cell:
    """A metric's name, and below it which side it shows and which direction is better."""
    meaning, _, direction = MEANINGS[name].partition(" (")
    title, _, unit = meaning.partition(", ")
    side = max((start for start in SIDES if name.startswith(start)), key=len, default="")
    notes = [unit, SIDES.get(side, ""), f"{direction.rstrip(')')} is better" if direction else ""]
    return Cell(title, ", ".join(note for note in notes if note))


def _reached(columns: Sequence[Column]) -> Iterator[Block]:
    yield Paragraph(BOTH_SIDES)
    letters = _signature_letters(columns)
    header = [Cell("metric"), *(Cell(column.title, _header_note(column, letters)) for column in columns)]
    measurements = [column.measurement for column in columns]
    yield Table("Quality beside diversity", header, _rows(SUMMARY, measurements))
    yield _signatures(letters)
    rows = [
        row
        for title, names in GROUPS.items()
        if (found := _rows(names, measurements))
        for row in ([Cell(title)], *found)
    ]
    yield Details("All metrics", [Table("All metrics", header, rows)])


def _header_note(column: Column, letters: Mapping[str, str]) -> str:
    letter = letters[str(column.measurement.score.signature)]
    return column.origin + ("" if letter == "A" else f"\nsignature {letter}")


def _rows(names: Sequence[str], measurements: Sequence[Measurement]) -> list[list[Cell]]:
    there = [name for name in names if any(name in m.score.values for m in measurements)]
    return [[metric_cell(name), *(_value_cell(m, name) for m in measurements)] for name in there]


def _value_cell(measurement: Measurement, name: str) -> Cell:
    score = measurement.score
    if name not in score.values:
        return Cell("–")
    error = score.standard_errors.get(name)
    return Cell(
        number(name, score.values[name]),
        "" if error is None else f"± {number(name, WIDTH_OF_INTERVAL * error)}",
    )


def _signature_letters(columns: Sequence[Column]) -> dict[str, str]:
    """A letter for each signature among the columns."""
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


def _over_seeds(runs: Mapping[str, Experiment], measured: Mapping[Name, Measurement]) -> Iterator[Block]:
    for labels in seed_groups(runs):
        found = spreads(runs, measured, labels)
        names = [name for name in SUMMARY if any(name in spread for spread in found.values())]
        rows = [
            [
                metric_cell(name),
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
            f"{', '.join(labels)}: mean ± standard deviation of {len(labels)} runs that differ in their seed",
            [Cell("metric"), *(Cell(generator) for generator in found)],
            rows,
        )


def _differences(comparisons: Sequence[Comparison]) -> list[Block]:
    if not comparisons:
        return []
    found = [{d.metric: d for d in comparison.differences} for comparison in comparisons]
    rows: list[list[Cell]] = []
    for title, names in (("Over references, paired", PAIRED), ("Over own samples", UNPAIRED)):
        there = [name for name in names if any(name in column for column in found)]
        rows += [[Cell(title)]] if there else []
        for name in there:
            cells = [Cell("–") for _ in found]
            for i, column in enumerate(found):
                if name in column:
                    interval, verdict = column[name].interval, column[name].verdict
                    bounds = f"[{interval.low:+.4f}, {interval.high:+.4f}]"
                    cells[i] = Cell(f"{interval.value:+.4f}", f"{bounds}\n{verdict}".strip(), verdict)
            rows.append([metric_cell(name), *cells])
    header = [Cell("metric"), *(Cell(comparison.title) for comparison in comparisons)]
    return [Paragraph(ABOUT_DIFFERENCES), Table("Differences of means", header, rows)]


def _pictures(pictures: Sequence[Picture]) -> list[Block]:
    wide = [picture.figure.get_figwidth() > WIDE for picture in pictures]
    drawn = [Figure(picture.title, picture.caption, to_svg(picture.figure)) for picture in pictures]
    medium = [figure for figure, is_wide in zip(drawn, wide, strict=True) if not is_wide]
    others = [figure for figure, is_wide in zip(drawn, wide, strict=True) if is_wide]
    return [*([Figures(medium, "medium")] if medium else []), *([Figures(others, "wide")] if others else [])]


# What was seen in training, and what came out.


def _learning_curves(runs: Mapping[str, Experiment]) -> list[Block]:
    histories = {label: read_history(experiment) for label, experiment in runs.items()}
    try:
        require_matplotlib()
    except ValueError as error:
        return [Paragraph(f"Not drawn: {error}.")]
    drawn = [Figures(figures) for figures in draw_learning_curves(histories).values() if figures]
    return [*drawn] or [Paragraph("Nothing was logged.")]


def _samples(first: Experiment, columns: Sequence[Column], number: int) -> list[Block]:
    if not number:
        return []
    neighbourhood = Neighbourhood(first.corpus, first.language)
    shown = [column for column in columns if column.measurement.generator != REAL_TEXT]
    sources = [
        (Cell(c.title, c.origin), [neighbourhood.sample(s) for s in c.measurement.sentences[:number]])
        for c in shown
    ]
    sources.append((Cell("test text", "real sentences, not trained on"), neighbourhood.test_samples(number)))
    about = (
        "The first sentences of each sample, none chosen. Below each stands the training sentence at the "
        "smallest edit distance between tokens, exactly; what both have in common, in order, is marked."
    )
    return [Paragraph(about), Samples(sources)]


def _alarms(runs: Mapping[str, Experiment]) -> Block:
    rows = [
        [
            Cell(label),
            Cell(alarm.name),
            Cell(f"step {alarm.first_step}, {alarm.phase}"),
            Cell(f"{alarm.num_ringing} of {alarm.num_rows}"),
            Cell(alarm.meaning),
        ]
        for label, experiment in runs.items()
        for alarm in find_alarms(read_history(experiment).rows)
    ]
    if not rows:
        return Paragraph("None rang in training.")
    header = [Cell(title) for title in ("run", "alarm", "first rang", "rows", "it rings while")]
    return Table("Alarms that rang in training", header, rows, numeric=False)


# How it is made.


def _settings(runs: Mapping[str, Experiment]) -> Iterator[Block]:
    (first_label, first), *others = runs.items()
    configs = {label: to_settings(original_config(experiment)) for label, experiment in runs.items()}
    base = {"framework": first.framework.name, **flatten(configs[first_label])}
    if others:
        rows = []
        for label, experiment in others:
            own = {"framework": experiment.framework.name, **flatten(configs[label])}
            differ = [name for name in {**base, **own} if base.get(name, "–") != own.get(name, "–")]
            rows.append([Cell(label + ("" if differ else ": as the first"))])
            rows += [
                [Cell(name), Cell(str(base.get(name, "–"))), Cell(str(own.get(name, "–")))] for name in differ
            ]
        header = [Cell("setting"), Cell(first_label), Cell("here")]
        yield Table(f"What differs from {first_label}", header, rows, numeric=False)
    text = to_toml({"framework": base["framework"], **configs[first_label]})
    yield Details(f"All settings of {first_label}", [Code(text)])


def _commands(runs: Mapping[str, Experiment], commands: Sequence[str]) -> list[Block]:
    lines = [training_command(experiment) for experiment in runs.values()]
    return [
        Paragraph(
            "On the same machine and with the same versions, these make the runs and this report again."
        ),
        Code("\n".join([*lines, *commands])),
    ]
