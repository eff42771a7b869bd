"""Prepare a corpus and start a run folder."""

from dataclasses import dataclass

from seqgan.commands.arguments import ExperimentArguments, command_line
from seqgan.runtime.terminal import printable
from seqgan.text.language import with_prompts
from seqgan.text.prepared import PARTS


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
    decode = experiment.language.decode
    for name in PARTS:
        part = experiment.corpus.part(name)
        prompts = [] if part.context is None else [decode(part.context.prompts[0].tolist())]
        (first,) = with_prompts([decode(part.sequences[0].tolist())], prompts)
        print(f"{name} begins with: {printable(first)}")
    package = arguments.catalogue.name
    following = command_line("train", "--run", arguments.run_folder.path, package=package)
    print(f"{arguments.run_folder.path}: is prepared; go on with: {following}")
