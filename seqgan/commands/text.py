"""Write a part of a run's corpus as text, as metrics see it."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqgan.experiment.experiment import open_run
from seqgan.runtime.files import write_output
from seqgan.runtime.terminal import for_output


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Which text, and where it goes."""

    run: Path
    """Run folder."""
    part: Literal["train", "validation", "test"] = "test"
    """Which part of the corpus."""
    output: Path | None = None
    """File to write, one sentence a line; by default standard output."""


def run(arguments: Arguments) -> None:
    """Write the sentences of the part, in their order, each behind its prompt and a tab if it has one."""
    experiment = open_run(arguments.run)
    part, decode = experiment.corpus.part(arguments.part), experiment.language.decode
    lines: Iterable[str] = (decode(part.sequences[row].tolist()) for row in range(len(part)))
    if part.context is not None:
        prompts = part.context.prompts
        lines = (f"{decode(prompts[row].tolist())}\t{line}" for row, line in enumerate(lines))
    if arguments.output is None:
        sys.stdout.writelines(f"{for_output(line)}\n" for line in lines)
    else:
        write_output(arguments.output, lambda file: file.writelines(f"{line}\n".encode() for line in lines))
