"""One table of several runs: a row for each generator, with mean ± standard deviation over the seeds.

Runs that differ by their seed only make one row. The figures are those that `train` has left in the runs;
what it has not measured is measured.
"""

import argparse
import dataclasses
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import processes

from seqgan.config.schema import to_settings
from seqgan.config.toml import to_toml
from seqgan.evaluation.bootstrap import Spread
from seqgan.evaluation.metrics import METRICS
from seqgan.evaluation.signature import Score
from seqgan.experiment.experiment import open_run
from seqgan.reports.measurements import measure
from seqgan.sampling.decoding import Decoding

AUC = "auc_held_out"
TITLES = {"jeffreys": "Jeffreys", AUC: "held-out AUC"}  # of the others, their meaning as far as it is short
ORACLE = ("nll_oracle", "nll_test", "jeffreys", "bleu_4", "self_bleu_4")
TEXT = ("nll_test", "bleu_4", "self_bleu_4", "backward_bleu_4", "reverse_perplexity")
GENERATORS = ("mle-best", "adversarial-last")


def main() -> None:
    """Read the flags and print the table as Markdown."""
    parser = processes.Parser(prog="table", description=__doc__)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="run folders whose training is done"
    )
    add_metrics_flag(parser)
    arguments = parser.parse_args()
    rows = rows_of(arguments.runs)
    print(markdown(rows, chosen_metrics(arguments.metrics, rows, ORACLE, TEXT), corner="generator"))
    print(f"\n{signature_lines(rows)}")


def add_metrics_flag(parser: argparse.ArgumentParser) -> None:
    """``--metrics``, which is checked at once."""
    parser.add_argument(
        "--metrics",
        type=known_metric,
        nargs="+",
        metavar="NAME",
        help="the columns, such as nll_test bleu_f1_5: names of seqgan/metrics.py without evaluation/",
    )


def known_metric(name: str) -> str:
    """The name, if there is such a metric."""
    if f"evaluation/{name}" not in METRICS:
        raise argparse.ArgumentTypeError(f"no metric {name!r}; seqgan/metrics.py lists them")
    return name


def chosen_metrics(
    asked: Sequence[str] | None,
    rows: Mapping[str, Sequence[Score]],
    oracle: Sequence[str],
    text: Sequence[str],
) -> Sequence[str]:
    """What was asked for, or what suits the corpus: whether there is an oracle shows in the scores."""
    has_oracle = any("nll_oracle" in score.values for scores in rows.values() for score in scores)
    return asked or (oracle if has_oracle else text)


def rows_of(runs: Iterable[Path]) -> dict[str, list[Score]]:
    """The generators of the runs, those that differ by their seed alone together, each figure once."""
    groups: dict[str, dict[int, Path]] = {}
    for path in runs:
        experiment = open_run(path)
        settings = dataclasses.replace(experiment.settings, seed=0)
        key = f"{experiment.framework.name}\n{to_toml(to_settings(settings))}"
        groups.setdefault(key, {}).setdefault(experiment.settings.seed, path)
    rows: dict[str, list[Score]] = {}
    for group in groups.values():
        seed, first = next(iter(group.items()))
        common = first.name if len(group) == 1 else first.name.removesuffix(f"-seed{seed}")
        for name in GENERATORS:
            if all((path / "checkpoints" / f"{name}.pt").exists() for path in group.values()):
                scores = [score_of(path, name) for path in group.values()]
                shown = name == "mle-best" and any(as_values(s) == as_values(scores) for s in rows.values())
                if not shown:  # runs of one pre-training share its generator
                    title = f"{common}, {name}"
                    rows[f"{first}, {name}" if title in rows else title] = scores
    if not rows:
        raise ValueError("RUN: no generator was found in all runs that differ by their seed only")
    return rows


def as_values(scores: Iterable[Score]) -> list[Mapping[str, float]]:
    """The figures alone."""
    return [score.values for score in scores]


def score_of(run: Path, name: str, decoding: Decoding | None = None) -> Score:
    """What a generator reaches on the test text, by default at the temperature of the run's settings."""
    return measure(open_run(run), name, decoding).score


def markdown(
    rows: Mapping[str, Sequence[Score]], metrics: Sequence[str], *, corner: str = "", digits: int = 3
) -> str:
    """A row for each title, a column for each metric, of which any that was not measured is ``–``."""
    lines = [f"| {corner} |" + "".join(f" {title_of(name)} |" for name in metrics)]
    lines.append("|---|" + "---:|" * len(metrics))
    for title, scores in rows.items():
        cells = [
            cell([score.values.get(name, math.nan) for score in scores], name, digits) for name in metrics
        ]
        lines.append(f"| {title} |" + "".join(f" {text} |" for text in cells))
    return "\n".join(lines)


def title_of(metric: str) -> str:
    """The first words of what it means."""
    meaning = METRICS.get(f"evaluation/{metric}", metric)
    return TITLES.get(metric) or re.split(r", | \(| by | with ", meaning)[0]


def cell(values: Sequence[float], metric: str, digits: int = 3) -> str:
    """The mean over runs, with their standard deviation if there are several."""
    if not all(map(math.isfinite, values)):
        return "–"
    return spread_text(Spread.of(values), metric, digits)


def spread_text(spread: Spread, metric: str, digits: int = 3, sign: str = "") -> str:
    """Mean and, if there is one, deviation; two digits less of perplexities; ``sign`` is + or nothing."""
    digits = max(0, digits - 2) if metric.endswith("perplexity") else digits
    deviation = "" if math.isnan(spread.deviation) else f" ± {spread.deviation:.{digits}f}"
    return f"{spread.mean:{sign}.{digits}f}{deviation}"


def signature_lines(rows: Mapping[str, Iterable[Score]]) -> str:
    """How the figures were measured, each way once."""
    found = dict.fromkeys(str(score.signature) for scores in rows.values() for score in scores)
    return "\n".join(f"`signature: {signature}`" for signature in found)


if __name__ == "__main__":
    sys.exit(processes.main("table", main))
