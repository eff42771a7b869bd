"""Train a run to its end, and compare its generators before and after."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from seqgan.commands.arguments import ExperimentArguments, command_line
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.measurements import Measurement, measure
from seqgan.reports.tables import signatures, table
from seqgan.runtime.terminal import printable

COMPARED = {"mle-best": "MLE", "adversarial-last": "adversarial", "oracle": "oracle"}
NUM_SENTENCES = 10


@dataclass(frozen=True, kw_only=True)
class Arguments(ExperimentArguments):
    """Where the run goes, and its settings."""


def run(arguments: Arguments) -> None:
    """Run all phases, then evaluate the generator in the same way before and after the adversarial one."""
    with arguments.run_folder.lock():
        experiment = arguments.build()
        done = experiment.loop.done()
        experiment.train()
        results = compare(experiment, quiet=arguments.quiet)
    if arguments.quiet:
        return
    for name, measurement in results.items():
        if name != "oracle":
            print_sentences(f"{COMPARED[name]} ({name}):", measurement.sentences[:NUM_SENTENCES])
    titled = {COMPARED[name]: measurement.score for name, measurement in results.items()}
    path, package = arguments.run_folder.path, arguments.catalogue.name
    print(f"\n{table(titled, short=True)}\n\n{signatures(titled)}")
    for line in experiment.loop.alarms.summary():
        print(f"alarm: {line}")
    print(f"{path}: all is done{' already' if done else ''}; and now:")
    print(f"  {command_line('generate', '--run', path, '--no-unknown', package=package)}")
    print(f"  {command_line('report', '--run', path, package=package)}")
    watch = f"{scripts}/tensorboard.sh" if (scripts := os.environ.get("SEQGAN_SCRIPTS")) else "tensorboard"
    print(f"  {watch} --logdir {shlex.quote(str(path))}")


def compare(experiment: Experiment, *, quiet: bool = False) -> dict[str, Measurement]:
    """Measure the generators before and after; what was measured of the same weights is read."""
    assert experiment.run is not None
    there = [name for name in COMPARED if experiment.run.generator(name).exists()]
    bar = tqdm(there, desc="evaluate", disable=quiet or None, leave=False)
    return {name: measure(experiment, name) for name in bar}


def print_sentences(title: str, sentences: Sequence[str]) -> None:
    """Print a title and sentences below it."""
    print(f"\n{title}")
    for sentence in sentences:
        print(f"  {printable(sentence)}")
