"""Make a documented table: train and measure what it shows, and print it with its rows and columns.

Interrupted, and called again, it goes on. The runs go to runs/reproduce-oracle and runs/reproduce-coco, where
the tables of one corpus share them, to runs/controls-docstrings, runs/estimators and runs/docstrings.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqgan.evaluation.signature import Score
from seqgan.oracle.published import best_known
from seqgan.sampling.decoding import Decoding
from seqgan.studies import equal_time, processes, table
from seqgan.studies.controls import ALGORITHM, CONTROLS, MLE, Comparison, report, train
from seqgan.studies.table import Source

RUNS = Path("runs")
SEEDS = 3
TEMPERATURES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
TRUE_REWARD = ("--reward.kind", "oracle", "--algorithm.kl-weight", "0")
CEILINGS = {
    "candidates": (),
    "returns": ("--reward.per-token", "--estimator.kind", "returns", "--algorithm.whiten"),
}
BEST_KNOWN = "best NLL-oracle known there"


@dataclass(frozen=True)
class Target:
    """A table, the arguments that it needs, and the function that makes it."""

    arguments: str
    about: str
    make: Callable[..., int | None]

    def takes(self, number: int) -> bool:
        """Return whether so many arguments are right; those in brackets may be left out."""
        names = self.arguments.split()
        return len(names) - self.arguments.count("[") <= number <= len(names)


def comparison(
    package: str, preset: str, corpus: str, *, seeds: int = 1, controls: Sequence[str] = ()
) -> Comparison:
    """Return the runs of a preset on a corpus, in the folder that the tables of that corpus share."""
    return Comparison(
        package=package,
        runs=runs_of(preset) / package,
        flags=["--preset", preset, "--corpus.path", corpus],
        seeds=seeds,
        controls=controls,
    )


def runs_of(preset: str) -> Path:
    """Return the folder of a preset's runs."""
    return RUNS / f"reproduce-{preset}"


def show(plan: Mapping[str, Sequence[Source]], metrics: Sequence[str], corner: str = "") -> None:
    """Print the table of a plan and its notes."""
    found = table.measure_rows(plan)
    print(f"{found.markdown(metrics, corner=corner)}\n\n{found.notes()}")


def docstrings() -> None:
    """Print the table that `train` prints."""
    processes.call("-m", "seqgan", "train", "--preset", "docstrings")


def oracle(corpus: str) -> None:
    """Show MLE of the official schedule, and both sides of the preset `oracle`."""
    official = runs_of("oracle") / "official"
    flags = ["--preset", "oracle-paper", "--corpus.path", corpus, "--discriminator-training.refreshes", "0"]
    processes.call("-m", "seqgan", "pretrain", *flags, "--run", str(official), show=False)
    ours = comparison("seqgan", "oracle", corpus, seeds=SEEDS)
    ours.train()
    plan = {
        "official schedule, MLE phase (`mle-last`)": [Source(official, "mle-last")],
        "preset `oracle`, MLE": ours.sources(MLE),
        "preset `oracle`, adversarial": ours.sources(ALGORITHM),
        "the same, sampled at temperature 0.85": ours.sources(ALGORITHM, Decoding(temperature=0.85)),
        "the oracle itself": [Source(ours.path(ALGORITHM, 0), "oracle")],
    }
    show(plan, ("nll_oracle", "nll_test", "jeffreys"), "nats per token")


def temperatures(corpus: str) -> None:
    """Show both generators of the preset `oracle` over temperatures, beside the best curve known there."""
    ours = comparison("seqgan", "oracle", corpus, seeds=SEEDS)
    ours.train()
    plan = {
        f"{title}, {temperature:g}": ours.sources(row, Decoding(temperature=temperature))
        for title, row in (("MLE", MLE), ("adversarial", ALGORITHM))
        for temperature in TEMPERATURES
    }
    found = table.measure_rows(plan)
    rows = {title: [with_known(score) for score in scores] for title, scores in found.rows.items()}
    found = dataclasses.replace(found, rows=rows)
    metrics = ("nll_test", "nll_oracle", BEST_KNOWN, "jeffreys")
    print(f"{found.markdown(metrics, corner='generator, temperature')}\n\n{found.notes()}")


def with_known(score: Score) -> Score:
    """Return the score with the lowest NLL-oracle that is known at its NLL-test."""
    values = {**score.values, BEST_KNOWN: best_known(score.values["nll_test"])}
    return dataclasses.replace(score, values=values)


def frameworks(preset: str, corpus: str, metrics: Sequence[str], seqgan_preset: str | None = None) -> None:
    """Show SeqGAN, LeakGAN, and LeakGAN's controls, several seeds."""
    seqgan = comparison("seqgan", seqgan_preset or preset, corpus, seeds=SEEDS)
    leakgan = comparison("leakgan", preset, corpus, seeds=SEEDS, controls=("constant", "shuffled"))
    seqgan.train()
    leakgan.train()
    plan = {
        "MLE (seqgan)": seqgan.sources(MLE),
        "SeqGAN": seqgan.sources(ALGORITHM),
        "MLE (leakgan)": leakgan.sources(MLE),
        "LeakGAN": leakgan.sources(ALGORITHM),
        **{f"LeakGAN, {control} advantages": leakgan.sources(control) for control in leakgan.controls},
    }
    show(plan, metrics, f"`{runs_of(preset)}`")


def leakgan_oracle(corpus: str) -> None:
    """Show both packages on the oracle task."""
    frameworks("oracle", corpus, table.ORACLE)


def leakgan_coco(corpus: str) -> None:
    """Show both packages on captions."""
    frameworks("coco", corpus, table.TEXT, seqgan_preset="coco-candidates")


def ceiling(corpus: str) -> None:
    """Show the preset `oracle` beside the same with the reward of a perfect discriminator."""
    ours = comparison("seqgan", "oracle", corpus, seeds=SEEDS)
    ours.train()
    plan = {"MLE": ours.sources(MLE), "discriminator, candidates (the preset)": ours.sources(ALGORITHM)}
    for title, flags in CEILINGS.items():
        name = f"true-reward-{title}"
        for seed in range(SEEDS):
            run = ["--run", str(ours.path(name, seed)), "--seed", str(seed)]
            pretrained = ["--pretrained", str(ours.path(ALGORITHM, seed))]
            train("seqgan", *ours.flags, *TRUE_REWARD, *flags, *run, *pretrained)
        plan[f"true reward, {title}"] = ours.sources(name)
    plan["the oracle itself"] = [Source(ours.path(ALGORITHM, 0), "oracle")]
    show(plan, ("nll_oracle", "nll_test", "jeffreys"), "reward, estimator")


def controls(corpus: str) -> None:
    """Show SeqGAN beside its controls on the oracle task."""
    ours = comparison("seqgan", "oracle", corpus, seeds=SEEDS, controls=CONTROLS)
    ours.train()
    print(report(ours))


def controls_docstrings() -> None:
    """Show SeqGAN beside its controls on docstrings."""
    folder = RUNS / "controls-docstrings"
    ours = Comparison(package="seqgan", runs=folder, flags=["--preset", "docstrings-candidates"], seeds=SEEDS)
    ours.train()
    print(report(ours))


def estimators() -> None:
    """Show what estimators and discriminators are worth on docstrings at equal processor time."""
    print(equal_time.compare(RUNS / "estimators", SEEDS))


def texygen(*folders: str) -> None:
    """Show the published table of the Texygen benchmark."""
    processes.call("-m", "seqgan.studies.texygen", *folders)


TARGETS = {
    "docstrings": Target("", "MLE and SeqGAN on docstrings", docstrings),
    "oracle": Target("FILE.npz", "the oracle task, three seeds, half an hour", oracle),
    "temperatures": Target(
        "FILE.npz", "the same over temperatures, beside the best curve known", temperatures
    ),
    "ceiling": Target("FILE.npz", "the same with the reward of a perfect discriminator", ceiling),
    "controls": Target(
        "FILE.npz", "SeqGAN's gain over its controls on the oracle task, three seeds", controls
    ),
    "controls-docstrings": Target("", "the same on docstrings", controls_docstrings),
    "estimators": Target(
        "", "estimators and discriminators on docstrings at equal processor time, three seeds", estimators
    ),
    "leakgan-oracle": Target(
        "FILE.npz", "SeqGAN, LeakGAN and its controls on the oracle task, three seeds", leakgan_oracle
    ),
    "leakgan-coco": Target("FOLDER", "the same on Image COCO captions", leakgan_coco),
    "texygen": Target("FOLDER [SAMPLES]", "the published table of the Texygen benchmark", texygen),
}


def usage() -> str:
    """Return the tables and what each needs."""
    calls = {f"{name} {target.arguments}".strip(): target.about for name, target in TARGETS.items()}
    width = max(map(len, calls))
    lines = [f"  {call:<{width}}  {about}" for call, about in calls.items()]
    heading = "usage: scripts/reproduce.sh NAME [PATH]; the files are described in data/README.md"
    return "\n".join([heading, *lines])


def main(arguments: Sequence[str]) -> int:
    """Make the table that is named, or list all; return the exit status.

    Raises:
        ValueError: There is none of that name, or the arguments are too many or too few.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    name, *paths = arguments
    if name not in TARGETS:
        raise ValueError(f"there is no table {name!r}; choose {', '.join(TARGETS)}")
    target = TARGETS[name]
    if not target.takes(len(paths)):
        raise ValueError(f"{name}: takes {target.arguments or 'nothing more'}; {len(paths)} given")
    target.make(*paths)
    return 0


if __name__ == "__main__":
    sys.exit(processes.main("reproduce", main, sys.argv[1:]))
