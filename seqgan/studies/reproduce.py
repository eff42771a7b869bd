"""Make a table of the README: train and measure what it shows, and print it with its rows and columns.

Interrupted, and called again, it goes on. The runs go to runs/reproduce-oracle and
runs/reproduce-coco, where the tables of one corpus share them, and to runs/docstrings.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import processes
import table
from controls import ALGORITHM, CONTROLS, MLE, Comparison, report

from seqgan.evaluation.signature import Score
from seqgan.reports.pictures import best_known
from seqgan.sampling.decoding import Decoding

SCRIPTS = Path(__file__).parent
RUNS = Path("runs")
SEEDS = 3
TEMPERATURES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
BEST_KNOWN = "best NLL-oracle known there"


@dataclass(frozen=True)
class Target:
    """A table, what is to be given for it, and how it is made."""

    arguments: str
    about: str
    make: Callable[..., None]

    def takes(self, number: int) -> bool:
        """Whether so many arguments are right; those in brackets may be left out."""
        names = self.arguments.split()
        return len(names) - self.arguments.count("[") <= number <= len(names)


def comparison(
    package: str, preset: str, corpus: str, *, seeds: int = 1, controls: Sequence[str] = ()
) -> Comparison:
    """Runs of a preset on a corpus, in the folder that the tables of that corpus share."""
    return Comparison(
        package=package,
        runs=runs_of(preset) / package,
        flags=["--preset", preset, "--corpus.path", corpus],
        seeds=seeds,
        controls=controls,
    )


def runs_of(preset: str) -> Path:
    """Where the runs of a preset go."""
    return RUNS / f"reproduce-{preset}"


def show(rows: Mapping[str, Sequence[Score]], metrics: Sequence[str], corner: str = "") -> None:
    """Print the table and the signatures."""
    print(f"{table.markdown(rows, metrics, corner=corner)}\n\n{table.signature_lines(rows)}")


def docstrings() -> None:
    """The first table, which `train` prints."""
    processes.call("-m", "seqgan", "train", "--preset", "docstrings")


def oracle(corpus: str) -> None:
    """MLE of the official schedule, and both sides of the preset `oracle`."""
    official = runs_of("oracle") / "official"
    settings = [
        "--preset",
        "oracle-paper",
        "--corpus.path",
        corpus,
        "--discriminator-training.refreshes",
        "0",
    ]
    processes.call("-m", "seqgan", "pretrain", *settings, "--run", str(official), show=False)
    ours = comparison("seqgan", "oracle", corpus, seeds=SEEDS)
    ours.train()
    rows = {
        "official schedule, MLE phase (`mle-last`)": [table.score_of(official, "mle-last")],
        "preset `oracle`, MLE": ours.scores(MLE),
        "preset `oracle`, adversarial": ours.scores(ALGORITHM),
        "the same, sampled at temperature 0.85": ours.scores(ALGORITHM, Decoding(temperature=0.85)),
        "the oracle itself": [table.score_of(ours.path(ALGORITHM, 0), "oracle")],
    }
    show(rows, ("nll_oracle", "nll_test", "jeffreys"), "nats per token")


def temperatures(corpus: str) -> None:
    """Both generators of the preset `oracle` over temperatures, beside the best curve known there."""
    ours = comparison("seqgan", "oracle", corpus, seeds=SEEDS)
    ours.train()
    rows = {
        f"{title}, {temperature:g}": [
            with_known(s) for s in ours.scores(row, Decoding(temperature=temperature))
        ]
        for title, row in (("MLE", MLE), ("adversarial", ALGORITHM))
        for temperature in TEMPERATURES
    }
    show(rows, ("nll_test", "nll_oracle", BEST_KNOWN, "jeffreys"), "generator, temperature")


def with_known(score: Score) -> Score:
    """The score with the lowest NLL-oracle that is known at its NLL-test."""
    return dataclasses.replace(
        score, values={**score.values, BEST_KNOWN: best_known(score.values["nll_test"])}
    )


def frameworks(preset: str, corpus: str, metrics: Sequence[str]) -> None:
    """SeqGAN, LeakGAN, and LeakGAN's controls, several seeds."""
    seqgan = comparison("seqgan", preset, corpus, seeds=SEEDS)
    leakgan = comparison("leakgan", preset, corpus, seeds=SEEDS, controls=("constant", "shuffled"))
    seqgan.train()
    leakgan.train()
    rows = {
        "MLE (seqgan)": seqgan.scores(MLE),
        "SeqGAN": seqgan.scores(ALGORITHM),
        "MLE (leakgan)": leakgan.scores(MLE),
        "LeakGAN": leakgan.scores(ALGORITHM),
        **{f"LeakGAN, {control} reward": leakgan.scores(control) for control in leakgan.controls},
    }
    show(rows, metrics, f"`{runs_of(preset)}`")


def leakgan_oracle(corpus: str) -> None:
    """Both frameworks on the oracle task."""
    frameworks("oracle", corpus, table.ORACLE)


def leakgan_coco(corpus: str) -> None:
    """Both frameworks on captions."""
    frameworks("coco", corpus, table.TEXT)


def controls(corpus: str) -> None:
    """SeqGAN beside its controls on the oracle task."""
    ours = comparison("seqgan", "oracle", corpus, seeds=SEEDS, controls=CONTROLS)
    ours.train()
    print(report(ours))


def controls_docstrings() -> None:
    """The same on docstrings."""
    ours = Comparison(
        package="seqgan",
        runs=RUNS / "controls-docstrings",
        flags=["--preset", "docstrings"],
        seeds=SEEDS,
    )
    ours.train()
    print(report(ours))


def script(name: str, *arguments: str) -> Callable[..., None]:
    """What another script prints."""
    return lambda *more: processes.call(str(SCRIPTS / name), *arguments, *more)


TARGETS = {
    "docstrings": Target("", "MLE and SeqGAN on docstrings, five minutes", docstrings),
    "oracle": Target("FILE.npz", "the oracle task, three seeds, half an hour", oracle),
    "temperatures": Target(
        "FILE.npz", "the same over temperatures, beside the best curve known", temperatures
    ),
    "controls": Target(
        "FILE.npz", "SeqGAN's gain over its controls on the oracle task, three seeds", controls
    ),
    "controls-docstrings": Target("", "the same on docstrings", controls_docstrings),
    "leakgan-oracle": Target(
        "FILE.npz", "SeqGAN, LeakGAN and its controls on the oracle task, three seeds", leakgan_oracle
    ),
    "leakgan-coco": Target("FOLDER", "the same on Image COCO captions", leakgan_coco),
    "texygen": Target(
        "FOLDER [SAMPLES]", "the published table of the Texygen benchmark", script("texygen.py")
    ),
    "speed": Target("", "our operations beside a plain implementation", script("benchmark.py", "seqgan")),
    "speed-leakgan": Target("", "the same for LeakGAN", script("benchmark.py", "leakgan")),
    "metrics": Target("", "how the metrics grow with the text", script("benchmark_metrics.py")),
}


def usage() -> str:
    """The tables and what each needs."""
    calls = {f"{name} {target.arguments}".strip(): target.about for name, target in TARGETS.items()}
    width = max(map(len, calls))
    lines = [f"  {call:<{width}}  {about}" for call, about in calls.items()]
    heading = "usage: scripts/reproduce.sh NAME [PATH]; the files are described in data/README.md"
    return "\n".join([heading, *lines])


def make(name: str, *arguments: str) -> None:
    """Make one table.

    Raises:
        ValueError: There is none of that name, or the arguments are too many or too few.
    """
    if name not in TARGETS:
        raise ValueError(f"there is no table {name!r}; choose {', '.join(TARGETS)}")
    target = TARGETS[name]
    if not target.takes(len(arguments)):
        raise ValueError(f"{name}: takes {target.arguments or 'nothing more'}; {len(arguments)} given")
    target.make(*arguments)


def main(arguments: Sequence[str]) -> int:
    """Make the table that is named; gives the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    return processes.main("reproduce", lambda: make(*arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
