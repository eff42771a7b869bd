"""What a report of runs says, from the table of both sides to the commands that make it all again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import seqgan
from seqgan.config.schema import to_settings
from seqgan.config.toml import flatten, to_toml
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.run_folder import REAL_TEXT
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
    Table,
)
from seqgan.reports.comparison import (
    Column,
    columns_of,
    compare_runs,
    measure_runs,
)
from seqgan.reports.figures import require_matplotlib, to_svg
from seqgan.reports.learning_curves import draw_learning_curves, read_history
from seqgan.reports.measurements import Measurement
from seqgan.reports.pictures import Picture, draw_pictures, known_envelopes
from seqgan.reports.report_tables import differences_of, over_seeds, reached
from seqgan.reports.reproduction import original_config, training_command
from seqgan.reports.samples import Neighbourhood
from seqgan.reports.sweep import sweep
from seqgan.sampling.decoding import Decoding
from seqgan.text.prepared import PARTS

WIDE = 8.0  # inches of a figure that takes all the width of a page


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
        Section("What the generators reach", list(reached(columns))),
        Section("Over seeds", list(over_seeds(runs, measured))),
        Section("Differences", differences_of(compare_runs(runs, measured, quiet=quiet))),
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
        f"Corpus of kind {experiment.settings.corpus.kind}: {train:,} training, {validation:,} validation "
        f"and {test:,} test sequences of at most {corpus.max_length} tokens; vocabulary of "
        f"{corpus.vocabulary.size:,}. Measured with seqgan {seqgan.__version__}."
    )


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
            Cell(f"{alarm.times}, and still rings" if alarm.still_rings else str(alarm.times)),
            Cell(alarm.meaning),
        ]
        for label, experiment in runs.items()
        for alarm in find_alarms(read_history(experiment).rows)
    ]
    if not rows:
        return Paragraph("None rang in training.")
    header = [Cell(title) for title in ("run", "alarm", "first rang", "times", "meaning and remedy")]
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
