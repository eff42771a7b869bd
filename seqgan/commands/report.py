"""A report of one or more runs: a page that needs nothing else, and the same as Markdown and CSV."""

import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Annotated

from seqgan.config.ranges import Range, Repeated
from seqgan.config.schema import flag_name, validate
from seqgan.reports.figures import require_matplotlib
from seqgan.reports.markdown import markdown
from seqgan.reports.page import page
from seqgan.reports.report import build_report, label_measurements
from seqgan.reports.tables import csv_text
from seqgan.runtime.files import write_output
from seqgan.studies.runs import Runs
from seqgan.studies.study import study_runs
from seqgan.studies.sweep import TEMPERATURES, decodings


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Which runs, what is shown of them, and where it goes."""

    run: Annotated[tuple[Path, ...], Repeated]
    """Run folder; give the flag once for each run. All must be of one corpus."""
    output: Path = Path("report.html")
    """The page, which must end in .html; beside it, with the same name, go .md and .csv."""
    checkpoint: tuple[str, ...] = ()
    """Generators of each run: any of mle-best, mle-last, adversarial-best, adversarial-last; by default the
    MLE model, the furthest there is and, beside the last adversarial one, the best."""
    pictures: bool = True
    """Draw quality against diversity over temperatures, for which every generator is sampled at each."""
    temperatures: Annotated[tuple[float, ...], Range(minimum=0, open=True)] = TEMPERATURES
    """For the pictures: softmax temperatures, each more than 0."""
    top_k: Annotated[tuple[int, ...], Range(minimum=1)] = ()
    """For the pictures: at temperature 1 sample among so many likeliest tokens, each at least 1."""
    top_p: Annotated[tuple[float, ...], Range(minimum=0, open=True), Range(maximum=1)] = ()
    """For the pictures: at temperature 1 sample among the fewest likeliest tokens that hold this share."""
    num_samples: Annotated[int, Range(minimum=0, maximum=100)] = 10
    """Sentences shown of each generator; at most 100."""
    device: str = "auto"
    """Where to work: cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    quiet: bool = False
    """Show no progress bars, and do not name the files."""


def run(arguments: Arguments) -> None:
    """Measure what has not been measured, write three files, and name them.

    Every measurement is kept in its run: call again after an interruption to go on.
    """
    validate(arguments)
    outputs = _outputs(arguments.output)
    if arguments.pictures:
        require_matplotlib()
    ways = decodings(arguments.temperatures, arguments.top_k, arguments.top_p) if arguments.pictures else {}
    findings = study_runs(
        Runs.open(arguments.run, device=arguments.device),
        ways,
        checkpoints=tuple(dict.fromkeys(arguments.checkpoint)),
        num_sentences=arguments.num_samples,
        quiet=arguments.quiet,
    )
    document = build_report(findings, [command(arguments)])
    texts = (csv_text(label_measurements(findings)), markdown(document), page(document))
    for path, text in zip(outputs, texts, strict=True):
        write_output(path, partial(_write, text=text))
    if not arguments.quiet:
        print("\n".join(map(str, reversed(outputs))))


def command(arguments: Arguments) -> str:
    """Return the command for the same report, quoted for a POSIX shell."""
    defaults = Arguments(run=())
    words = ["seqgan", "report"]
    for run in arguments.run:
        words += ["--run", str(run)]
    words += ["--output", str(arguments.output)]
    words += [] if arguments.pictures else ["--no-pictures"]
    for name in ("checkpoint", "temperatures", "top_k", "top_p", "num_samples"):
        value = getattr(arguments, name)
        if value != getattr(defaults, name):
            words += [flag_name(name), *map(str, value if isinstance(value, tuple) else [value])]
    return shlex.join(words)


def _write(file: IO[bytes], text: str) -> None:
    file.write(text.encode("utf-8", "replace"))  # a token may be half of a surrogate pair


def _outputs(page_path: Path) -> list[Path]:
    """Return the paths of CSV, Markdown and the page.

    Raises:
        ValueError: The path does not end in .html, or a folder is in the way.
    """
    if page_path.suffix != ".html":
        raise ValueError(f"--output: {page_path} does not end in .html")
    paths = [page_path.with_suffix(ending) for ending in (".csv", ".md", ".html")]
    for path in paths:
        if path.is_dir():
            raise ValueError(f"--output: {path} is a folder; name a file")
    return paths
