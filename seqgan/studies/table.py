"""One table of several runs: a row for each generator, with mean ± standard deviation over the seeds.

Runs that differ by their seed only make one row. The figures are those that `train` has left in the runs, as
far as all were measured with samples of one number; what is missing is measured.
"""

import argparse
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqgan.evaluation.bootstrap import Spread
from seqgan.evaluation.metrics import EVALUATION, find_metric
from seqgan.evaluation.signature import Score
from seqgan.reports.tables import unknown_words
from seqgan.sampling.decoding import Decoding
from seqgan.studies import processes
from seqgan.studies.records import describe_estimator
from seqgan.studies.runs import Runs

AUC, MINUTES = "auc_held_out", "processor_minutes"
TITLES = {
    "jeffreys": "Jeffreys",
    AUC: "held-out AUC",
    MINUTES: "processor minutes",
}  # of the others, their meaning as far as it is short
ORACLE = ("nll_oracle", "nll_test", "jeffreys", "bleu_4", "self_bleu_4")
TEXT = ("nll_test", "bleu_4", "self_bleu_4", "backward_bleu_4", "reverse_perplexity")
GENERATORS = ("mle-best", "adversarial-last")
ONE_DRAW = "Behind ± stands the standard deviation over training seeds on one draw of data."


@dataclass(frozen=True)
class Source:
    """One generator of a run, sampled in one way; by default at the temperature of the run's settings."""

    run: Path
    generator: str
    decoding: Decoding | None = None


@dataclass(frozen=True)
class ScoreTable:
    """Scores by row, one for each seed, all measured with samples of one number."""

    rows: Mapping[str, Sequence[Score]]
    estimators: Sequence[str] = ()
    """How actions were judged in the runs, in words, each way once."""

    def markdown(self, metrics: Sequence[str], *, corner: str = "", digits: int = 3) -> str:
        """Return a row for each title and a column for each metric; what was not measured is ``–``."""
        lines = [f"| {corner} |" + "".join(f" {title_of(name)} |" for name in metrics)]
        lines.append("|---|" + "---:|" * len(metrics))
        for title, scores in self.rows.items():
            columns = [[score.values.get(name, math.nan) for score in scores] for name in metrics]
            cells = [cell(values, name, digits) for values, name in zip(columns, metrics, strict=True)]
            lines.append(f"| {title} |" + "".join(f" {text} |" for text in cells))
        return "\n".join(lines)

    def notes(self) -> str:
        """Return what belongs under the table: what ± means, estimators, unknown words, and signatures."""
        several = any(len(scores) > 1 for scores in self.rows.values())
        estimators = f"Actions were judged by {'; '.join(self.estimators)}." if self.estimators else ""
        about = " ".join(filter(None, [ONE_DRAW if several else "", estimators, unknown_words(self.rows)]))
        found = dict.fromkeys(str(score.signature) for scores in self.rows.values() for score in scores)
        return "\n\n".join(filter(None, [about, *(f"`signature: {signature}`" for signature in found)]))

    def choose(
        self, asked: Sequence[str] | None, oracle: Sequence[str], text: Sequence[str]
    ) -> Sequence[str]:
        """Return the metrics asked for, or those for oracles or for text, as the scores show."""
        has_oracle = any("nll_oracle" in score.values for scores in self.rows.values() for score in scores)
        return asked or (oracle if has_oracle else text)


def measure_rows(plan: Mapping[str, Sequence[Source]]) -> ScoreTable:
    """Measure what has not been measured of the sources of each row, or read it.

    Raises:
        ValueError: A run or a generator is missing or damaged, or two runs are of different corpora.
    """
    runs = Runs.open([source.run for sources in plan.values() for source in sources])
    labels = {folder.path: label for label, folder in runs.folders.items()}
    rows = {
        row: [runs.measure((labels[s.run], s.generator), s.decoding).score for s in sources]
        for row, sources in plan.items()
    }
    trained = [
        labels[s.run] for sources in plan.values() for s in sources if not s.generator.startswith("mle")
    ]
    words = [describe_estimator(runs.folders[label].read_settings()) for label in trained]
    return ScoreTable(rows, [*dict.fromkeys(filter(None, words))])


def plan_of(runs: Iterable[Path]) -> dict[str, list[Source]]:
    """Return a row for each generator that all runs have that differ by their seed alone, each model once.

    Raises:
        ValueError: There is none.
    """
    opened = Runs.open(list(runs))
    plan: dict[str, list[Source]] = {}
    shown = set()
    for group in opened.by_seed():
        labels = list(group.values())
        common = labels[0].removesuffix(f"-seed{next(iter(group))}") if len(labels) > 1 else labels[0]
        folders = [opened.folders[label] for label in labels]
        for name in GENERATORS:
            marks = tuple(opened.fingerprint((label, name)) for label in labels)
            if marks in shown or not all(name in folder.find_generators() for folder in folders):
                continue  # runs of one pre-training share its generator
            shown.add(marks)
            title = f"{common}, {name}"
            title = f"{folders[0].path}, {name}" if title in plan else title
            plan[title] = [Source(folder.path, name) for folder in folders]
    if not plan:
        raise ValueError("RUN: no generator was found in all runs that differ by their seed only")
    return plan


def title_of(metric: str) -> str:
    """Return the first words of a metric's meaning."""
    return TITLES.get(metric) or re.split(r", | \(| by | with ", find_metric(metric).label)[0]


def cell(values: Sequence[float], metric: str, digits: int = 3) -> str:
    """Return the mean over runs, with their standard deviation if there are several."""
    if not all(map(math.isfinite, values)):
        return "–"
    return spread_text(Spread.of(values), metric, digits)


def spread_text(spread: Spread, metric: str, digits: int = 3, sign: str = "") -> str:
    """Return mean and, if there is one, deviation; of perplexities and minutes two digits less."""
    digits = max(0, digits - 2) if metric.endswith(("perplexity", "minutes")) else digits
    deviation = "" if math.isnan(spread.deviation) else f" ± {spread.deviation:.{digits}f}"
    return f"{spread.mean:{sign}.{digits}f}{deviation}"


def add_metrics_flag(parser: argparse.ArgumentParser) -> None:
    """Add ``--metrics``, which is checked at once."""
    parser.add_argument(
        "--metrics",
        type=known_metric,
        nargs="+",
        metavar="NAME",
        help="the columns, such as nll_test bleu_f1_5: names of seqgan/evaluation/metrics.py",
    )


def known_metric(name: str) -> str:
    """Return the name, if there is such a metric."""
    if name not in EVALUATION:
        raise argparse.ArgumentTypeError(f"no metric {name!r}; seqgan/evaluation/metrics.py lists them")
    return name


def main(arguments: Sequence[str]) -> None:
    """Read the flags and print the table as Markdown."""
    parser = processes.Parser(prog="table", description=__doc__)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="run folders whose training is done"
    )
    add_metrics_flag(parser)
    given = parser.parse_args(arguments)
    found = measure_rows(plan_of(given.runs))
    metrics = found.choose(given.metrics, ORACLE, TEXT)
    print(f"{found.markdown(metrics, corner='generator')}\n\n{found.notes()}")


if __name__ == "__main__":
    sys.exit(processes.main("table", main, sys.argv[1:]))
