"""Measure the generators of a run, or a file of sentences against a file of references."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from seqgan.commands.report import save_result, table
from seqgan.config import Range, validate
from seqgan.evaluation.evaluator import ORDERS
from seqgan.evaluation.ngrams import number_words
from seqgan.evaluation.signature import Signature
from seqgan.evaluation.text_metrics import text_metrics
from seqgan.experiment import Experiment
from seqgan.text.sources import read_lines
from seqgan.text.tokenizers import build_tokenizer


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """Either a run, or two text files with one sentence per line."""

    run: Path | None = None
    """Run folder, whose generators are measured against its test text."""
    checkpoint: tuple[str, ...] = ()
    """Which generators; by default all that there are."""
    temperature: Annotated[float, Range(minimum=0, open=True)] = 1.0
    """Softmax temperature at which a run is sampled and scored."""
    top_k: Annotated[int | None, Range(minimum=1)] = None
    """Sample among the so many likeliest tokens only."""
    top_p: Annotated[float | None, Range(minimum=0, maximum=1)] = None
    """Sample among the fewest tokens that have this share of the probability."""
    hypotheses: Path | None = None
    """File of generated sentences."""
    references: Path | None = None
    """File of real sentences."""
    tokenizer: str = "treebank"
    """How the files are cut into tokens: treebank, whitespace or characters."""
    lower_case: bool = False
    """Compare the files in lower case."""
    json: bool = False
    """Print one JSON object instead of a table."""
    device: str = "auto"
    """Where to work: cpu, cuda, cuda:N, or auto."""


def evaluate(arguments: EvaluateArguments) -> None:
    """Print a table or a JSON object."""
    validate(arguments)
    if arguments.run is not None and arguments.hypotheses is None and arguments.references is None:
        results = evaluate_run(arguments)
    elif arguments.run is None and arguments.hypotheses is not None and arguments.references is not None:
        results = {
            arguments.hypotheses.name: evaluate_files(arguments, arguments.hypotheses, arguments.references)
        }
    else:
        raise ValueError("evaluate: give either --run, or both --hypotheses and --references")
    if arguments.json:
        single = arguments.run is None
        print(json.dumps(next(iter(results.values())) if single else results))
        return
    print(table(results))
    for name, content in results.items():
        print(f"{name}: {content['signature']}")


def evaluate_run(arguments: EvaluateArguments) -> dict[str, dict[str, Any]]:
    """Measure generators of a run; at temperature 1 and untruncated the results are kept in it."""
    assert arguments.run is not None
    experiment = Experiment.open(arguments.run, device=arguments.device)
    assert experiment.run is not None
    names = arguments.checkpoint or tuple(experiment.run.find_generators())
    if not names:
        raise ValueError(f"--run: {arguments.run} has no generator yet; pretrain first")
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        result = experiment.evaluate(
            experiment.load_generator(name),
            temperature=arguments.temperature,
            top_k=arguments.top_k,
            top_p=arguments.top_p,
        )
        plain = arguments.temperature == 1 and arguments.top_k is None and arguments.top_p is None
        content = result.score.as_json()
        results[name] = save_result(experiment.run.evaluation(name), name, result) if plain else content
        results[name].pop("sentences", None)
    return results


def evaluate_files(arguments: EvaluateArguments, hypotheses: Path, references: Path) -> dict[str, Any]:
    """BLEU, self-BLEU and diversity of a file; a blank line is an empty hypothesis, but no reference."""
    tokenizer = build_tokenizer(arguments.tokenizer, lower_case=arguments.lower_case, flag="--tokenizer")
    generated = [tokenizer.tokenize(line) for line in read_lines(hypotheses).lines]
    real = [tokenizer.tokenize(line) for line in read_lines(references).lines if line.strip()]
    if len(generated) < 2:
        raise ValueError(f"{hypotheses}: one sentence; self-BLEU needs at least two lines")
    hypothesis_ids, reference_ids = number_words(generated, real)
    values = text_metrics(hypothesis_ids, reference_ids, ORDERS)
    signature = Signature(
        hypotheses=len(generated),
        references=len(real),
        tokenizer=arguments.tokenizer,
        case="lower" if arguments.lower_case else "kept",
        smoothing="method1",
    )
    return {**values, "signature": str(signature)}
