"""Train an algorithm beside its controls over several seeds; print its gain over the best of them.

Everything that `train` takes may be given too, but --run, --seed and --pretrained. The controls start from
the pre-training of the algorithm's run of the same seed: a constant reward, a random one, the discriminator's
own dealt out anew among the sequences, and a discriminator that stays as it was pre-trained. Interrupted,
and called again, it goes on.
"""

import argparse
import csv
import dataclasses
import io
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import processes
import table

from seqgan.cli import parse
from seqgan.config.schema import validate
from seqgan.evaluation.bootstrap import Gain, Spread, gain_over_controls
from seqgan.evaluation.metrics import lower_is_better
from seqgan.evaluation.signature import Score
from seqgan.experiment.frameworks import find_experiment
from seqgan.runtime.files import write_atomically
from seqgan.runtime.tracking import read_rows
from seqgan.sampling.decoding import Decoding

MLE, ALGORITHM, FROZEN = "MLE", "algorithm", "frozen"
REWARDS = ("constant", "random", "shuffled")
CONTROLS = (*REWARDS, FROZEN)
ORACLE = ("nll_oracle", "nll_test", "jeffreys")
TEXT = ("nll_test", "bleu_5", "self_bleu_5", "bleu_f1_5", "ms_jaccard_4", "reverse_perplexity")
RESERVED = ("--run", "--seed", "--pretrained")
Scores = Mapping[str, Sequence[Score]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """An algorithm and its controls, with several seeds; the runs of a seed share their pre-training."""

    package: str
    """Which framework trains."""
    runs: Path
    """Where the runs go, as ROW-seedN."""
    flags: Sequence[str]
    """Those of `train`, the preset among them."""
    seeds: int = 1
    """How many: 0, 1, ..."""
    controls: Sequence[str] = CONTROLS
    """Which of them."""

    def rows(self) -> dict[str, list[str]]:
        """The flags of the algorithm and of each control; an algorithm that freezes has no frozen control.

        Raises:
            ValueError: A flag does not exist or does not fit, or the algorithm's reward is a control.
        """
        settings = parse("train", list(self.flags), find_experiment(self.package).framework).settings
        validate(settings)
        if settings.reward.kind in REWARDS:
            raise ValueError(
                f"--reward.kind: {settings.reward.kind} is a control; give what it is to control"
            )
        transform = getattr(settings.reward, "transform", None)
        rows = {ALGORITHM: list(self.flags)}
        for control in self.controls:
            rows[control] = [*without_reward(self.flags), "--reward.kind", control]
            if control == "shuffled" and transform is not None:
                rows[control] += ["--reward.transform", transform]
            elif control == FROZEN:
                rows[control] = [*self.flags, "--adversarial.discriminator-refreshes", "0"]
        if not settings.adversarial.discriminator_refreshes:
            rows.pop(FROZEN, None)
        return rows

    def path(self, row: str, seed: int) -> Path:
        """The run folder."""
        return self.runs / f"{row}-seed{seed}"

    def train(self) -> None:
        """Train every run to its end, seed by seed; what is done is not done again."""
        rows = self.rows()
        for seed in range(self.seeds):
            for row, flags in rows.items():
                shared = [] if row == ALGORITHM else ["--pretrained", str(self.path(ALGORITHM, seed))]
                run = ["--run", str(self.path(row, seed)), "--seed", str(seed), *shared]
                train(self.package, *flags, *run)

    def scores(self, row: str, decoding: Decoding | None = None) -> list[Score]:
        """What a row reaches, seed by seed: after the adversarial phase; of ``MLE``, before it."""
        folder, name = (ALGORITHM, "mle-best") if row == MLE else (row, "adversarial-last")
        return [table.score_of(self.path(folder, seed), name, decoding) for seed in range(self.seeds)]

    def all_scores(self) -> dict[str, list[Score]]:
        """Every row's, with the discriminator's AUC in those where it went on learning."""
        found = {MLE: self.scores(MLE)}
        for row in self.rows():
            aucs = [last_auc(self.path(row, seed)) for seed in range(self.seeds)]
            found[row] = [
                dataclasses.replace(score, values={**score.values, table.AUC: auc})
                for score, auc in zip(self.scores(row), aucs, strict=True)
            ]
        return found


def train(package: str, *flags: str) -> None:
    """``python -m PACKAGE train``, without its report; says what it starts."""
    if "--quiet" not in flags:
        print(f"{package} train {' '.join(flags)}", file=sys.stderr, flush=True)
    processes.call("-m", package, "train", *flags, show=False)


def without_reward(flags: Sequence[str]) -> list[str]:
    """The flags but those of the reward, each of which has one value."""
    kept: list[str] = []
    words = iter(flags)
    for word in words:
        if not word.startswith("--reward."):
            kept.append(word)
        elif "=" not in word:
            next(words, None)
    return kept


def last_auc(run: Path) -> float:
    """The discriminator's last AUC on held-out text in the adversarial phase; NaN where it took no part."""
    name = f"discriminator/{table.AUC}"
    rows = read_rows(run / "metrics.jsonl")
    found = [row[name] for row in rows if row["phase"] == "adversarial" and row.get(name) is not None]
    return float(found[-1]) if found else math.nan


def gains(rows: Scores, metric: str) -> tuple[Gain, Gain]:
    """The algorithm's gain over the best control, and over its own pre-training.

    Raises:
        ValueError: Neither side of the metric is better, or it was not measured in every run.
    """
    values = {row: [score.values.get(metric, math.nan) for score in scores] for row, scores in rows.items()}
    before, algorithm = values.pop(MLE), values.pop(ALGORITHM)
    lower = lower_is_better(metric)
    return (
        gain_over_controls(algorithm, values, lower_is_better=lower),
        gain_over_controls(algorithm, {MLE: before}, lower_is_better=lower),
    )


def gain_table(rows: Scores, metrics: Sequence[str]) -> str:
    """A line for each metric that has a better side; more than 0 is better."""
    lines = [
        "| gain | best control | gain | pooled sd | gain in sd | seed by seed | over MLE, seed by seed |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for metric in metrics:
        try:
            gain, over_mle = gains(rows, metric)
        except ValueError:
            continue
        means = [
            table.spread_text(spread, metric, 4, "+")
            for spread in (Spread(gain.value, math.nan, 1), gain.paired, over_mle.paired)
        ]
        pooled = table.cell([gain.pooled_deviation], metric, 4)
        ratio = "–" if math.isnan(gain.in_deviations) else f"{gain.in_deviations:+.1f}"
        cells = [table.title_of(metric), gain.control, means[0], pooled, ratio, *means[1:]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_csv(rows: Scores) -> str:
    """All that was measured, a line for each run."""
    names = list(dict.fromkeys(name for scores in rows.values() for score in scores for name in score.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "seed", *names, "signature"])
    for row, scores in rows.items():
        for seed, score in enumerate(scores):
            writer.writerow([row, seed, *(score.values.get(name, "") for name in names), score.signature])
    return text.getvalue()


def report(comparison: Comparison, asked: Sequence[str] | None = None) -> str:
    """Both tables with what they mean, and the signature; all figures go to ``controls.csv``."""
    rows = comparison.all_scores()
    write_atomically(comparison.runs / "controls.csv", lambda file: file.write(as_csv(rows).encode()))
    metrics = table.chosen_metrics(asked, rows, ORACLE, TEXT)
    number = f"{comparison.seeds} seeds" if comparison.seeds > 1 else "1 seed"
    spread = (
        "Mean ± standard deviation (sd) over the seeds; pooled: of the algorithm and that control."
        if comparison.seeds > 1
        else "One seed: there is no standard deviation, and no gain counts yet."
    )
    return "\n".join(
        [
            table.markdown(rows, [*metrics, table.AUC], corner=f"{comparison.package}, {number}"),
            "",
            gain_table(rows, metrics),
            "",
            f"{spread} A gain above 0 is better. The runs of one seed share their pre-training.",
            "",
            table.signature_lines(rows),
        ]
    )


def main() -> None:
    """Read the flags, train what is left, and print."""
    parser = processes.Parser(
        prog="controls",
        description=__doc__,
        usage="%(prog)s [leakgan] --preset NAME [FLAGS] [FLAGS of train]",
    )
    parser.add_argument("package", help=argparse.SUPPRESS)
    parser.add_argument("--preset", required=True, help="settings to start from, as in train")
    parser.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, ... (default 3)")
    parser.add_argument("--runs", type=Path, help="where the runs go (default runs/controls-NAME)")
    table.add_metrics_flag(parser)
    arguments, flags = parser.parse_known_args()
    if arguments.seeds < 1:
        parser.error(f"--seeds: {arguments.seeds} is out of range; it must be at least 1")
    for flag in flags:
        if flag.split("=")[0] in RESERVED:
            parser.error(f"{flag.split('=')[0]}: is set for each run; give --runs and --seeds instead")
    framework = find_experiment(arguments.package).framework
    comparison = Comparison(
        package=arguments.package,
        runs=arguments.runs or Path("runs") / f"controls-{framework.default_run(arguments.preset).name}",
        flags=["--preset", arguments.preset, *flags],
        seeds=arguments.seeds,
    )
    comparison.train()
    print(report(comparison, arguments.metrics))


if __name__ == "__main__":
    sys.exit(processes.main("controls", main))
