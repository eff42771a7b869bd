"""Prepare a corpus and start a run folder."""

from dataclasses import dataclass

from seqgan.commands.arguments import ExperimentArguments, command_line
from seqgan.runtime.terminal import printable


@dataclass(frozen=True, kw_only=True)
class Arguments(ExperimentArguments):
    """Where the run goes, and its settings."""


def run(arguments: Arguments) -> None:
    """Prepare the corpus, start the run folder, and report what is in the corpus."""
    with arguments.run_folder.lock():
        experiment = arguments.build()
    if arguments.quiet:
        return
    print(experiment.corpus.summary())
    for advice in experiment.corpus.advice():
        print(f"advice: {printable(advice)}")
    for part in ("train", "validation", "test"):
        first = experiment.language.decode(experiment.corpus.sequences(part)[0].tolist())
        print(f"{part} begins with: {printable(first)}")
    package = arguments.catalogue.name
    following = command_line("train", "--run", arguments.run_folder.path, package=package)
    print(f"{arguments.run_folder.path}: is prepared; go on with: {following}")
