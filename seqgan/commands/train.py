"""Train a run to its end, and compare its generators before and after."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from seqgan.commands.arguments import ExperimentArguments, command_line
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.measurements import Measurement, measure
from seqgan.reports.tables import in_words, signatures, unknown_words
from seqgan.runtime.terminal import printable
from seqgan.runtime.tracking import read_rows
from seqgan.studies.comparison import differences
from seqgan.text.vocabulary import SPECIALS, UNK

COMPARED = {"mle-best": "MLE", "adversarial-last": "adversarial", "oracle": "oracle"}
NUM_SENTENCES = 10
SHOWN = (  # of each side; eight rows with the discriminator's AUC
    *(
        "nll_test",
        "bleu_4",
        "self_bleu_4",
        "ms_jaccard_4",
        "forward_perplexity",
        "reverse_perplexity",
        "unique",
    ),
)
SHOWN_WITH_ORACLE = (
    *("nll_oracle", "nll_test", "jeffreys", "bleu_4", "self_bleu_4", "reverse_perplexity", "unique"),
)
AUC = "discriminator/auc_held_out"


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
    path, package = arguments.run_folder.path, arguments.catalogue.name
    for name, measurement in results.items():
        if name != "oracle":
            print_sentences(f"{COMPARED[name]} ({name}):", without_unknown(measurement.sentences))
    print(f"\n{closing_table(path, results)}")
    scores = {COMPARED[name]: measurement.score for name, measurement in results.items()}
    if shares := unknown_words({title: [score] for title, score in scores.items()}):
        print(f"\n{shares}")
    print(f"\n{signatures(scores)}")
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


def without_unknown(sentences: Sequence[str]) -> list[str]:
    """Return the first sentences that are made of known words alone."""
    known = [sentence for sentence in sentences if SPECIALS[UNK] not in sentence]
    return (known or list(sentences))[:NUM_SENTENCES]


def closing_table(run: Path, results: Mapping[str, Measurement]) -> str:
    """Return a table of a few metrics before and after, which says in words what has changed.

    A verdict is that of a bootstrap interval of 95 % over sentences: of this run, and not of its training
    with another seed.
    """
    scores = {COMPARED[name]: measurement.score.values for name, measurement in results.items()}
    verdicts = {}
    if {"mle-best", "adversarial-last"} <= results.keys():
        found = differences(results["adversarial-last"], results["mle-best"])
        verdicts = {difference.metric.name: difference.verdict or "no clear change" for difference in found}
    rows = read_rows(run / "metrics.jsonl")
    aucs = [(row["phase"], row[AUC]) for row in rows if row.get(AUC) is not None]
    extra = {}
    for title, phases in (("MLE", ("mle", "discriminator")), ("adversarial", ("adversarial",))):
        of_phases = [auc for phase, auc in aucs if phase in phases]
        if title in scores and of_phases:
            extra[title] = of_phases[-1]
    names = SHOWN_WITH_ORACLE if "oracle" in results else SHOWN
    return in_words(scores, names, verdicts, {"held-out AUC of the discriminator (0.5: guessing)": extra})


def print_sentences(title: str, sentences: Sequence[str]) -> None:
    """Print a title and sentences below it."""
    print(f"\n{title}")
    for sentence in sentences:
        print(f"  {printable(sentence)}")
