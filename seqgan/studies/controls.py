"""Train an algorithm beside its controls over several seeds; print its gain over the best of them.

Everything that `train` takes may be given too, but --run, --seed and --pretrained. The controls start from
the pre-training of the algorithm's run of the same seed: advantages that are constant, random, or the true
ones dealt out anew (see --estimator.control), and a discriminator that stays as it was pre-trained. Beside
them stand the MLE model mixed with n-grams of its training text, in the share under which the validation text
is likeliest, and the algorithm's model mixed likewise. Interrupted, and called again, it goes on.
"""

import argparse
import csv
import dataclasses
import io
import math
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqgan.evaluation.bootstrap import Gain, Spread, gain_over_controls
from seqgan.evaluation.metrics import lower_is_better
from seqgan.evaluation.signature import Score
from seqgan.experiment.measurements import MIXED, SHARE
from seqgan.runtime.files import write_atomically
from seqgan.runtime.tracking import read_rows
from seqgan.sampling.decoding import Decoding
from seqgan.studies import processes, table
from seqgan.studies.table import ScoreTable, Source

MLE, ALGORITHM, FROZEN = "MLE", "algorithm", "frozen"
WITH_NGRAMS = " + n-grams"
SHUFFLES = ("constant", "random", "shuffled")
CONTROLS = (*SHUFFLES, FROZEN)
ORACLE = ("nll_oracle", "nll_test", "jeffreys")
TEXT = ("nll_test", "bleu_5", "self_bleu_5", "bleu_f1_5", "ms_jaccard_4", "reverse_perplexity")
RESERVED = ("--run", "--seed", "--pretrained")
ABOUT = (
    "A gain above 0 is better; the runs of one seed share their pre-training. A score of neighbouring tokens "
    "could at least have mixed the MLE model with n-grams: what counts is the gain over that mixture and, in "
    "the last column, with both models mixed."
)
Scores = Mapping[str, Sequence[Score]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An algorithm and its controls, with several seeds; the runs of a seed share their pre-training."""

    package: str
    """The package that trains."""
    runs: Path
    """The folder of the runs, each ROW-seedN."""
    flags: Sequence[str]
    """Those of `train`, the preset among them."""
    seeds: int = 1
    """Their number: 0, 1, ..."""
    controls: Sequence[str] = CONTROLS
    """The controls among ``CONTROLS``."""

    def rows(self) -> dict[str, list[str]]:
        """Return the flags of the algorithm and of each control; without refreshes none is frozen.

        Raises:
            ValueError: The flags name a control already.
            Stopped: A flag does not exist or does not fit.
        """
        settings = tomllib.loads(processes.output("-m", self.package, "config", *self.flags))
        control = settings["estimator"].get("control", "none")
        if control != "none":
            raise ValueError(f"--estimator.control: {control} is a control; give what it is to control")
        rows = {ALGORITHM: list(self.flags)}
        for name in self.controls:
            rows[name] = [*self.flags, "--estimator.control", name]
        if FROZEN in rows:
            rows[FROZEN] = [*self.flags, "--adversarial.discriminator-refreshes", "0"]
        if not settings["adversarial"]["discriminator_refreshes"]:
            rows.pop(FROZEN, None)
        return rows

    def path(self, row: str, seed: int) -> Path:
        """Return the run folder."""
        return self.runs / f"{row}-seed{seed}"

    def train(self) -> None:
        """Train every run to its end, seed by seed; what is done is not done again."""
        rows = self.rows()
        for seed in range(self.seeds):
            for row, flags in rows.items():
                shared = [] if row == ALGORITHM else ["--pretrained", str(self.path(ALGORITHM, seed))]
                run = ["--run", str(self.path(row, seed)), "--seed", str(seed), *shared]
                train(self.package, *flags, *run)

    def sources(self, row: str, decoding: Decoding | None = None) -> list[Source]:
        """Return the generators of a row, seed by seed: after the adversarial phase; of MLE, before it."""
        base = row.removesuffix(WITH_NGRAMS)
        run, name = (ALGORITHM, "mle-best") if base == MLE else (base, "adversarial-last")
        name += MIXED if row.endswith(WITH_NGRAMS) else ""
        return [Source(self.path(run, seed), name, decoding) for seed in range(self.seeds)]

    def measure(self) -> ScoreTable:
        """Measure every row, with the discriminator's AUC in those where it went on learning."""
        controls = [row for row in self.rows() if row != ALGORITHM]
        names = [MLE, MLE + WITH_NGRAMS, ALGORITHM, ALGORITHM + WITH_NGRAMS, *controls]
        found = table.measure_rows({name: self.sources(name) for name in names})
        rows: dict[str, Sequence[Score]] = dict(found.rows)
        for row in (ALGORITHM, *controls):
            aucs = [last_auc(self.path(row, seed)) for seed in range(self.seeds)]
            rows[row] = [
                dataclasses.replace(score, values={**score.values, table.AUC: auc})
                for score, auc in zip(rows[row], aucs, strict=True)
            ]
        return dataclasses.replace(found, rows=rows)


def train(package: str, *flags: str) -> None:
    """Run ``python -m PACKAGE train`` without its report, and say what is started."""
    if "--quiet" not in flags:
        print(f"{package} train {' '.join(flags)}", file=sys.stderr, flush=True)
    processes.call("-m", package, "train", *flags, show=False)


def last_auc(run: Path) -> float:
    """Return the last AUC on held-out text in the adversarial phase; NaN where no discriminator learned."""
    name = f"discriminator/{table.AUC}"
    rows = read_rows(run / "metrics.jsonl")
    found = [row[name] for row in rows if row["phase"] == "adversarial" and row.get(name) is not None]
    return float(found[-1]) if found else math.nan


def gain(rows: Scores, metric: str, system: str, controls: Sequence[str]) -> Gain:
    """Return a row's gain over the best of the controls.

    Raises:
        ValueError: Neither side of the metric is better, or it was not measured in every run.
    """
    values = {row: [score.values.get(metric, math.nan) for score in rows[row]] for row in (system, *controls)}
    return gain_over_controls(values.pop(system), values, lower_is_better=lower_is_better(metric))


def gain_table(rows: Scores, metrics: Sequence[str]) -> str:
    """Return a line for each metric with a better side: gains over the controls and over the mixture."""
    mixed, mixed_mle = ALGORITHM + WITH_NGRAMS, MLE + WITH_NGRAMS
    titles = ["gain", "best control", "gain", "pooled sd", "gain in sd", "seed by seed"]
    titles += ["over MLE", f"over {mixed_mle}", "both with n-grams"]
    lines = [f"| {' | '.join(titles)} |", "|---|---|" + "---:|" * (len(titles) - 2)]
    controls = [row for row in rows if row not in (MLE, mixed_mle, ALGORITHM, mixed)]
    for metric in metrics:
        try:
            best = gain(rows, metric, ALGORITHM, controls)
            pairs = [(ALGORITHM, MLE), (ALGORITHM, mixed_mle), (mixed, mixed_mle)]
            others = [gain(rows, metric, system, [bar]).paired for system, bar in pairs]
        except ValueError:
            continue
        spreads = [Spread(best.value, math.nan, 1), best.paired, *others]
        texts = [table.spread_text(spread, metric, 4, "+") for spread in spreads]
        pooled = table.cell([best.pooled_deviation], metric, 4)
        ratio = "–" if math.isnan(best.in_deviations) else f"{best.in_deviations:+.1f}"
        cells = [table.title_of(metric), best.control, texts[0], pooled, ratio, *texts[1:]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_csv(rows: Scores) -> str:
    """Return all that was measured, a line for each run."""
    names = list(dict.fromkeys(name for scores in rows.values() for score in scores for name in score.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "seed", *names, "signature"])
    for row, scores in rows.items():
        for seed, score in enumerate(scores):
            writer.writerow([row, seed, *(score.values.get(name, "") for name in names), score.signature])
    return text.getvalue()


def report(comparison: Comparison, asked: Sequence[str] | None = None) -> str:
    """Return both tables and their notes; all figures go to ``controls.csv``."""
    found = comparison.measure()
    rows = found.rows
    write_atomically(comparison.runs / "controls.csv", lambda file: file.write(as_csv(rows).encode()))
    metrics = found.choose(asked, ORACLE, TEXT)
    several = comparison.seeds > 1
    number = f"{comparison.seeds} seeds" if several else "1 seed"
    shares = ", ".join(
        f"{row.removesuffix(WITH_NGRAMS)} {table.cell([score.values[SHARE] for score in scores], '', 2)}"
        for row, scores in rows.items()
        if row.endswith(WITH_NGRAMS)
    )
    spread = (
        "pooled: of the algorithm and that control."
        if several
        else "One seed: there is no standard deviation, and no gain counts yet."
    )
    command = shlex.join([comparison.package, "train", *comparison.flags])
    parts = [
        found.markdown([*metrics, table.AUC], corner=f"{comparison.package}, {number}"),
        gain_table(rows, metrics),
        f"The algorithm: `{command}`. {ABOUT} {spread} Shares of the n-grams: {shares}.",
        found.notes(),
    ]
    return "\n\n".join(parts)


def main(arguments: Sequence[str]) -> None:
    """Read the flags, train what is left, and print."""
    parser = processes.Parser(
        prog="controls",
        description=__doc__,
        usage="%(prog)s [leakgan] --preset NAME [FLAGS] [FLAGS of train]",
    )
    parser.add_argument("package", help=argparse.SUPPRESS)
    parser.add_argument("--preset", required=True, help="settings to start from, as in train")
    parser.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, ... (default 3)")
    parser.add_argument("--runs", type=Path, help="folder of the runs (default runs/controls-NAME)")
    table.add_metrics_flag(parser)
    given, flags = parser.parse_known_args(arguments)
    if given.seeds < 1:
        parser.error(f"--seeds: {given.seeds} is out of range; it must be at least 1")
    for flag in flags:
        if flag.split("=")[0] in RESERVED:
            parser.error(f"{flag.split('=')[0]}: is set for each run; give --runs and --seeds instead")
    name = given.preset if given.package == "seqgan" else f"{given.package}-{given.preset}"
    comparison = Comparison(
        package=given.package,
        runs=given.runs or Path("runs") / f"controls-{name}",
        flags=["--preset", given.preset, *flags],
        seeds=given.seeds,
    )
    comparison.train()
    print(report(comparison, given.metrics))


if __name__ == "__main__":
    sys.exit(processes.main("controls", main, sys.argv[1:]))
