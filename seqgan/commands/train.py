"""Train a run to its end, and compare its generators before and after."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from seqgan.commands.arguments import ExperimentArguments, command_line
from seqgan.evaluation.metrics import EVALUATION
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.measurements import Measurement, measure
from seqgan.experiment.settings import ExperimentSettings
from seqgan.reports.tables import in_words, signatures, unknown_words
from seqgan.runtime.terminal import printable
from seqgan.runtime.tracking import read_rows
from seqgan.studies.comparison import differences
from seqgan.text.language import with_prompts
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
AUC, REWARD = "discriminator/auc_held_out", "evaluation/reward"


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
            title = f"{COMPARED[name]} ({name}), the first samples without unknown words:"
            print_sentences(title, without_unknown(with_prompts(measurement.sentences, measurement.prompts)))
    print(f"\n{closing_table(experiment, results)}")
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


def closing_table(experiment: Experiment, results: Mapping[str, Measurement]) -> str:
    """Return a table of a few metrics before and after, which says in words what has changed.

    A verdict is that of a bootstrap interval of 95 % over sentences: of this run, and not of its training
    with another seed. Metrics of one's own stand behind the built-in ones.
    """
    assert experiment.run is not None
    scores = {COMPARED[name]: measurement.score.values for name, measurement in results.items()}
    verdicts = {}
    if {"mle-best", "adversarial-last"} <= results.keys():
        found = differences(results["adversarial-last"], results["mle-best"])
        verdicts = {difference.metric.name: difference.verdict or "no clear change" for difference in found}
    names = [*(SHOWN_WITH_ORACLE if "oracle" in results else SHOWN)]
    names += [name for name in experiment.metrics if name not in EVALUATION]
    extra, kinds = {}, experiment.settings.reward_kinds
    rows = read_rows(experiment.run.path / "metrics.jsonl")
    if "discriminator" in kinds:
        extra["held-out AUC of the discriminator (0.5: guessing)"] = aucs(rows)
    for label, name in fixed_rewards(experiment.settings).items():
        extra[label] = values = first_and_last(rows, name)
        if len(values) == 2:
            verdicts[label] = f"{values['adversarial'] - values['MLE']:+.3f}"
    shown = {label: {t: v for t, v in values.items() if t in scores} for label, values in extra.items()}
    return in_words(scores, names, verdicts, shown, experiment.metrics)


def fixed_rewards(settings: ExperimentSettings) -> dict[str, str]:
    """Return the rewards that are one function before and after: titles, and names of their logged means."""
    if not settings.rewards:
        own = settings.reward.kind != "discriminator"
        return {"mean reward of samples": REWARD} if own else {}
    parts = [name for name, part in settings.rewards.items() if part.kind != "discriminator"]
    return {f"mean reward {name} of samples": f"{REWARD}_{name}" for name in parts}


def aucs(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the discriminator's last AUC on held-out text before the adversarial phase and after it."""
    found = {}
    for row in rows:
        if row.get(AUC) is not None:
            found["adversarial" if row["phase"] == "adversarial" else "MLE"] = row[AUC]
    return found


def first_and_last(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    """Return a metric's first value and its last."""
    found = [row[name] for row in rows if row.get(name) is not None]
    return {"MLE": found[0], "adversarial": found[-1]} if found else {}


def print_sentences(title: str, sentences: Sequence[str]) -> None:
    """Print a title and sentences below it."""
    print(f"\n{title}")
    for sentence in sentences:
        print(f"  {printable(sentence)}")
