"""Generators of one or more runs over temperature, top-k and top-p: curves of quality against diversity."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from seqgan.config.ranges import Range, Repeated
from seqgan.config.schema import validate
from seqgan.reports.figures import require_matplotlib, save_figure
from seqgan.reports.pictures import OVER_TEMPERATURE, check_metrics, draw_pictures
from seqgan.reports.tables import csv_text
from seqgan.runtime.files import write_atomically
from seqgan.studies.runs import Runs
from seqgan.studies.sweep import TEMPERATURES, decodings, known_envelopes, sweep


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Which generators, over what, and where the pictures go."""

    run: Annotated[tuple[Path, ...], Repeated]
    """Run folder; give the flag once for each run. All must be of one corpus."""
    checkpoint: tuple[str, ...] = ()
    """Generators of each run: any of mle-best, mle-last, adversarial-best, adversarial-last; by default the
    MLE model and the furthest there is."""
    temperatures: Annotated[tuple[float, ...], Range(minimum=0, open=True)] = TEMPERATURES
    """Softmax temperatures, each more than 0."""
    top_k: Annotated[tuple[int, ...], Range(minimum=1)] = ()
    """At temperature 1 sample among so many likeliest tokens, each at least 1: one more curve."""
    top_p: Annotated[tuple[float, ...], Range(minimum=0, open=True), Range(maximum=1)] = ()
    """At temperature 1 sample among the fewest likeliest tokens that hold this share, each up to 1: one more
    curve."""
    baselines: bool = True
    """Beside them n-grams, the training text in the place of samples and, on its task, the oracle itself."""
    metrics: tuple[str, ...] = OVER_TEMPERATURE
    """Drawn over temperature, top-k and top-p; sweep.csv has all of them."""
    output: Path = Path("runs/sweep")
    """Folder for sweep.csv and the pictures, each as .svg and .png."""
    device: str = "auto"
    """Where to work: cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    quiet: bool = False
    """Show no progress bar, and do not name the files."""


def run(arguments: Arguments) -> None:
    """Measure what has not been measured, draw, and name the files written.

    Every measurement is kept in its run: call again after an interruption to go on.
    """
    validate(arguments)
    check_metrics(arguments.metrics)
    require_matplotlib()
    runs = Runs.open(arguments.run, device=arguments.device)
    ways = decodings(arguments.temperatures, arguments.top_k, arguments.top_p)
    curves = sweep(
        runs,
        ways,
        checkpoints=tuple(dict.fromkeys(arguments.checkpoint)),
        baselines=arguments.baselines,
        quiet=arguments.quiet,
    )
    written = [arguments.output / "sweep.csv"]
    text = csv_text([(curve.label, m) for curve in curves for m in curve.measurements])
    write_atomically(written[0], lambda file: file.write(text.encode()))
    for picture in draw_pictures(curves, known_envelopes(runs.first), arguments.metrics):
        for ending in ("svg", "png"):
            written.append(arguments.output / f"{picture.name}.{ending}")
            save_figure(picture.figure, written[-1])
    if not arguments.quiet:
        print("\n".join(map(str, written)))
