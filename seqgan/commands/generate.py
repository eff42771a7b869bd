"""Sentences from a run."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tqdm import tqdm

from seqgan.config import Range, validate
from seqgan.experiment import Experiment
from seqgan.files import write_atomically

CHUNK = 5_000  # sentences in memory at once


@dataclass(frozen=True, kw_only=True)
class GenerateArguments:
    """What to sample, and how."""

    run: Path
    """Run folder."""
    checkpoint: str | None = None
    """mle-best, mle-last, adversarial-best or adversarial-last; by default the furthest."""
    num_sentences: Annotated[int, Range(minimum=0)] = 10
    """How many."""
    temperature: Annotated[float, Range(minimum=0)] = 1.0
    """Softmax temperature; 0 always takes the likeliest token."""
    top_k: Annotated[int | None, Range(minimum=1)] = None
    """Sample among the so many likeliest tokens only."""
    top_p: Annotated[float | None, Range(minimum=0, maximum=1)] = None
    """Sample among the fewest tokens that have this share of the probability."""
    prefix: str = ""
    """Text that every sentence begins with."""
    seed: Annotated[int, Range(minimum=0)] = 0
    """The same seed gives the same sentences."""
    output: Path | None = None
    """File to write, one sentence per line; by default standard output."""
    tokens: bool = False
    """Write tokens separated by spaces instead of running text."""
    device: str = "auto"
    """Where to work: cpu, cuda, cuda:N, or auto."""


def generate(arguments: GenerateArguments) -> None:
    """Write sentences to a file or to standard output."""
    validate(arguments)
    experiment = Experiment.open(arguments.run, device=arguments.device)
    lines = _lines(experiment, arguments)
    if arguments.output is None:
        for line in lines:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        return
    bar = tqdm(lines, total=arguments.num_sentences, desc="generate", disable=None)
    write_atomically(arguments.output, lambda file: file.writelines(f"{line}\n".encode() for line in bar))


def _lines(experiment: Experiment, arguments: GenerateArguments) -> Iterator[str]:
    generator = experiment.load_generator(arguments.checkpoint)
    for start in range(0, arguments.num_sentences, CHUNK):
        sentences = experiment.sample(
            min(CHUNK, arguments.num_sentences - start),
            generator=generator,
            seed=arguments.seed + start,
            prefix=arguments.prefix,
            temperature=arguments.temperature,
            top_k=arguments.top_k,
            top_p=arguments.top_p,
        )
        for tokens in sentences:
            yield " ".join(tokens) if arguments.tokens else experiment.tokenizer.detokenize(tokens)
