"""Do all phases of a run but the last."""

from dataclasses import dataclass

from seqgan.commands.arguments import ExperimentArguments, command_line


@dataclass(frozen=True, kw_only=True)
class Arguments(ExperimentArguments):
    """Where the run goes, and its settings."""


def run(arguments: Arguments) -> None:
    """Train the generator by maximum likelihood, and the discriminator against it."""
    with arguments.run_folder.lock():
        arguments.build().pretrain()
    if not arguments.quiet:
        package = arguments.catalogue.name
        following = command_line("train", "--run", arguments.run_folder.path, package=package)
        print(f"{arguments.run_folder.path}: pre-training is done; go on with: {following}")
