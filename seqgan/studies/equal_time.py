"""Estimators and discriminators beside each other, each trained for the same processor time.

The runs of a seed share their likelihood model, and those of a discriminator its pre-training. Short runs
measure what a round of each row costs on this machine; the rounds of the long ones follow from that, and the
table says how long they took.
"""

import csv
import dataclasses
import math
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqgan.studies import processes, table
from seqgan.studies.table import Source

SECONDS = "seconds.csv"
BUDGET = 180.0  # processor seconds of the adversarial phase of each run
CALIBRATION = (1, 4)  # rounds of two short runs, whose difference in time is that of the rounds between them
SMALL_EVALUATION = ("--evaluation.num-samples", "100", "--evaluation.num-samples-in-training", "50")
METRICS = (table.MINUTES, "nll_test", "bleu_4", "self_bleu_4", "ms_jaccard_4", "reverse_perplexity")
SMALL_STEPS = ("--algorithm.learning-rate", "3e-4", "--algorithm.kl-weight", "1")
CANDIDATES = ("--estimator.kind", "candidates", "--estimator.num-candidates", "32")
ROLLOUTS = ("--estimator.kind", "rollouts", "--estimator.num-rollouts", "4", "--estimator.interval", "4")
PREFIX = ("--estimator.baseline", "prefix")


@dataclass(frozen=True)
class Row:
    """A way to train on docstrings: a preset, and what is different from it."""

    preset: str
    flags: Sequence[str] = ()

    def train(self, folder: Path, title: str, seed: int, rounds: int, *more: str) -> None:
        """Train from the pre-training of this seed, in rounds of 25 policy steps."""
        start = ["--preset", self.preset, "--pretrained", str(path(folder, self.preset, seed))]
        schedule = ["--adversarial.rounds", str(rounds), "--adversarial.policy-steps", "25"]
        run = ["--run", str(path(folder, title, seed)), "--seed", str(seed)]
        train_timed(folder, title, seed, [*start, *schedule, *self.flags, *more, *run])

    def find_rounds(self, folder: Path, title: str) -> int:
        """Return how many rounds take the budget, by two short runs of seed 0."""
        titles = [f"{title}, {rounds} rounds" for rounds in CALIBRATION]
        for name, rounds in zip(titles, CALIBRATION, strict=True):
            self.train(folder, name, 0, rounds, *SMALL_EVALUATION)
        few, many = (read_seconds(folder)[name, 0] for name in titles)
        each = (many - few) / (CALIBRATION[1] - CALIBRATION[0])
        return max(1, round(BUDGET / max(each, 1.0)))


ROWS = {
    "returns, CNN": Row("docstrings", ("--estimator.kind", "returns")),
    "rollouts, CNN": Row("docstrings"),
    "candidates, CNN": Row("docstrings", CANDIDATES),
    "rollouts, pairs": Row("docstrings-candidates", (*ROLLOUTS, *PREFIX, *SMALL_STEPS)),
    "candidates, pairs": Row("docstrings-candidates", SMALL_STEPS),
    "candidates, pairs, larger steps": Row("docstrings-candidates"),
}


def compare(folder: Path, seeds: int) -> str:
    """Train every row with every seed, as far as it is not done, and return the table."""
    for seed in range(seeds):
        for preset in dict.fromkeys(row.preset for row in ROWS.values()):
            base = ["--run", str(path(folder, preset, seed)), "--seed", str(seed)]
            processes.call("-m", "seqgan", "pretrain", "--preset", preset, *base, show=False)
        for title, row in ROWS.items():
            row.train(folder, title, seed, row.find_rounds(folder, title))
    plan = {"MLE": [Source(path(folder, "docstrings", seed), "mle-best") for seed in range(seeds)]}
    for title in ROWS:
        plan[title] = [Source(path(folder, title, seed), "adversarial-last") for seed in range(seeds)]
    found, seconds = table.measure_rows(plan), read_seconds(folder)
    rows = {
        title: [
            dataclasses.replace(score, values={**score.values, table.MINUTES: minutes})
            for seed, score in enumerate(scores)
            for minutes in [seconds.get((title, seed), math.nan) / 60]
        ]
        for title, scores in found.rows.items()
    }
    found = dataclasses.replace(found, rows=rows)
    return f"{found.markdown(METRICS, corner='docstrings')}\n\n{found.notes()}"


def path(folder: Path, title: str, seed: int) -> Path:
    """Return a run's folder: the title as one word, and the seed."""
    return folder / f"{title.replace(',', '').replace(' ', '-')}-seed{seed}"


def train_timed(folder: Path, title: str, seed: int, flags: Sequence[str]) -> None:
    """Train unless it is done, and write down the processor time, also of what is broken off."""
    if (title, seed) in read_seconds(folder, state="done"):
        return
    begun, state = children_seconds(), "broken off"
    try:
        processes.call("-m", "seqgan", "train", *flags, show=False)
        state = "done"
    finally:
        with (folder / SECONDS).open("a", newline="") as file:
            csv.writer(file).writerow([title, seed, f"{children_seconds() - begun:.1f}", state])


def children_seconds() -> float:
    """Return the processor time of all commands that were waited for, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_seconds(folder: Path, state: str | None = None) -> dict[tuple[str, int], float]:
    """Return the processor seconds of each row and seed, summed over interruptions."""
    found: dict[tuple[str, int], float] = {}
    if (folder / SECONDS).exists():
        for title, seed, seconds, ended in csv.reader((folder / SECONDS).read_text().splitlines()):
            if state in (None, ended):
                found[title, int(seed)] = found.get((title, int(seed)), 0.0) + float(seconds)
    return found
