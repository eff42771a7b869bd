"""Measure the generators of a run, or a file of sentences against a file of references."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tqdm import tqdm

from seqgan.config import Range, flag_name, validate
from seqgan.decoding import Temperature
from seqgan.evaluation.ngrams import number_words
from seqgan.evaluation.signature import Score, Signature
from seqgan.evaluation.text_metrics import text_metrics
from seqgan.frameworks import open_run
from seqgan.metrics import ORDERS
from seqgan.reporting.measurements import measure
from seqgan.reporting.tables import signatures, table
from seqgan.text.sources import read_lines
from seqgan.text.tokenizers import build_tokenizer


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """Either a run, or two text files with one sentence per line."""

    run: Path | None = None
    """Run folder, whose generators are measured against its test text."""
    checkpoint: tuple[str, ...] = ()
    """With --run: any of mle-best, mle-last, adversarial-best, adversarial-last, oracle; by default all that
    there are. ngram is the baseline: n-grams of the training text."""
    temperature: Annotated[Temperature | None, Range(minimum=0, open=True)] = None
    """With --run: softmax temperature at which it is sampled and scored, more than 0; by default that of the
    run's settings. leakgan-official is that of the official LeakGAN code, 1/1.5."""
    top_k: Annotated[int | None, Range(minimum=1)] = None
    """With --run: sample among this many likeliest tokens only; at least 1."""
    top_p: Annotated[float | None, Range(minimum=0, open=True), Range(maximum=1)] = None
    """With --run: sample among the fewest likeliest tokens that hold this share of the mass; up to 1."""
    device: str = "auto"
    """With --run: where to work: cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    hypotheses: Path | None = None
    """File of generated sentences, one a line; an empty line is an empty sentence."""
    references: Path | None = None
    """File of real sentences, one a line."""
    tokenizer: str = "treebank"
    """With files: how they are cut into tokens: treebank, whitespace, characters, or package.module:Class."""
    lower_case: bool = False
    """With files: compare them in lower case."""
    json: bool = False
    """Print one JSON object instead of a table."""
    quiet: bool = False
    """Show no progress bar."""


OF_A_RUN = ("checkpoint", "temperature", "top_k", "top_p", "device")
OF_FILES = ("tokenizer", "lower_case")


def evaluate(arguments: EvaluateArguments) -> None:
    """Print a table or a JSON object."""
    validate(arguments)
    if arguments.run is not None and arguments.hypotheses is None and arguments.references is None:
        refuse_flags(arguments, OF_FILES, "--hypotheses and --references")
        results = evaluate_run(arguments, arguments.run)
    elif arguments.run is None and arguments.hypotheses is not None and arguments.references is not None:
        refuse_flags(arguments, OF_A_RUN, "--run")
        results = {
            arguments.hypotheses.name: evaluate_files(arguments, arguments.hypotheses, arguments.references)
        }
    else:
        raise ValueError("evaluate: give either --run, or both --hypotheses and --references")
    if arguments.json:
        found = {name: score.as_json() for name, score in results.items()}
        print(json.dumps(found if arguments.run is not None else next(iter(found.values()))))
    else:
        print(f"{table(results)}\n\n{signatures(results)}")


def refuse_flags(arguments: EvaluateArguments, names: Sequence[str], needed: str) -> None:
    """Say that a flag would do nothing.

    Raises:
        ValueError: One of ``names`` differs from its default.
    """
    defaults = EvaluateArguments()
    for name in names:
        if getattr(arguments, name) != getattr(defaults, name):
            raise ValueError(f"{flag_name(name)}: goes with {needed} only")


def evaluate_run(arguments: EvaluateArguments, run: Path) -> dict[str, Score]:
    """Measure generators of a run; the results are kept in it."""
    experiment = open_run(run, device=arguments.device)
    assert experiment.run is not None
    names = dict.fromkeys(arguments.checkpoint) or experiment.run.find_generators()
    if not names:
        raise ValueError(f"--run: {run} has no generator yet; pretrain first")
    for name in names:
        experiment.load_generator(name)  # all are there, before the first is measured
    options = {name: getattr(arguments, name) for name in ("temperature", "top_k", "top_p")}
    decoding = experiment.decoding(**options)
    bar = tqdm(names, desc="evaluate", disable=arguments.quiet or None, leave=False)
    return {name: measure(experiment, name, decoding, again=True).score for name in bar}


def evaluate_files(arguments: EvaluateArguments, hypotheses: Path, references: Path) -> Score:
    """BLEU, self-BLEU and diversity of a file; a blank line is an empty hypothesis, but no reference."""
    tokenizer = build_tokenizer(arguments.tokenizer, lower_case=arguments.lower_case, flag="--tokenizer")
    generated = [tokenizer.tokenize(line) for line in read_lines(hypotheses).lines]
    real = [tokenizer.tokenize(line) for line in read_lines(references).lines if line.strip()]
    if len(generated) < 2:
        raise ValueError(f"{hypotheses}: holds one sentence; self-BLEU needs at least two lines")
    hypothesis_ids, reference_ids = number_words(generated, real)
    estimates = text_metrics(hypothesis_ids, reference_ids, ORDERS)
    signature = Signature(
        hypotheses=len(generated),
        references=len(real),
        tokenizer=arguments.tokenizer,
        case="lower" if arguments.lower_case else "kept",
        smoothing="method1",
    )
    return Score.from_estimates(estimates, signature)
