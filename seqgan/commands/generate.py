"""Sample sentences from a run."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tqdm import tqdm

from seqgan.config.ranges import Range
from seqgan.config.schema import validate
from seqgan.experiment.experiment import Experiment, open_run
from seqgan.models.generator import Generator
from seqgan.runtime.files import write_atomically
from seqgan.runtime.seeding import derive_seed
from seqgan.runtime.terminal import for_output
from seqgan.sampling.decoding import Temperature

CHUNK = 5_000  # sentences in memory at once


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Which generator to sample, and how."""

    run: Path
    """Run folder, as made by `train`, whose generator is sampled."""
    checkpoint: str | None = None
    """mle-best, mle-last, adversarial-best or adversarial-last; by default the furthest there is. ngram is
    the baseline: n-grams of the training text."""
    num_sentences: Annotated[int, Range(minimum=1)] = 10
    """How many sentences to sample."""
    temperature: Annotated[Temperature | None, Range(minimum=0)] = None
    """Softmax temperature; below 1 safer, above 1 more varied, 0 always takes the likeliest token; by default
    that of the run's evaluation. leakgan-official is that of the official LeakGAN code, 1/1.5."""
    top_k: Annotated[int | None, Range(minimum=1)] = None
    """Sample among this many likeliest tokens only; at least 1."""
    top_p: Annotated[float | None, Range(minimum=0, open=True), Range(maximum=1)] = None
    """Sample among the fewest likeliest tokens that hold this share of the probability; up to 1."""
    prefix: str = ""
    """Text that every sentence begins with; its words must be in the run's vocabulary."""
    unknown: bool = True
    """Let <unk> stand for words outside the vocabulary; without it other words share its probability."""
    seed: Annotated[int, Range(minimum=0)] = 0
    """The same seed gives the same sentences."""
    output: Path | None = None
    """File to write, one sentence a line; by default standard output."""
    tokens: bool = False
    """Write the tokens with spaces between them instead of running text."""
    device: str = "auto"
    """Where to work: cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    quiet: bool = False
    """Show no progress bar."""


def run(arguments: Arguments) -> None:
    """Write sentences to a file or to standard output."""
    validate(arguments)
    experiment = open_run(arguments.run, device=arguments.device)
    check_prefix(experiment, arguments.prefix)
    generator = experiment.load_generator(arguments.checkpoint)
    lines = _lines(experiment, generator, arguments)
    if arguments.output is None:
        for line in lines:
            sys.stdout.write(for_output(line) + "\n")
        return
    disable = arguments.quiet or None
    bar = tqdm(lines, total=arguments.num_sentences, desc="generate", unit=" sentences", disable=disable)
    encoded = (f"{line}\n".encode() for line in bar)
    if arguments.output.is_symlink() or (arguments.output.exists() and not arguments.output.is_file()):
        with arguments.output.open("wb") as file:  # a device or a pipe must not be replaced by a file
            file.writelines(encoded)
    else:
        write_atomically(arguments.output, lambda file: file.writelines(encoded))


def check_prefix(experiment: Experiment, prefix: str) -> None:
    """Refuse a prefix that no sentence of the run could begin with.

    Raises:
        ValueError: It holds an unknown word, or is longer than sentences may be.
    """
    tokens, vocabulary = experiment.language.tokenizer.tokenize(prefix), experiment.vocabulary
    unknown = [token for token in tokens if token not in vocabulary.ids]
    if unknown:
        known = f"any of its {len(vocabulary.ids)} tokens" if vocabulary.num_specials else "integers"
        known += "" if vocabulary.num_specials else f" from 0 to {vocabulary.size - 1}"
        raise ValueError(f"--prefix: {unknown[0]!r} is not in the vocabulary of the run; it may hold {known}")
    longest = experiment.corpus.max_length
    if len(tokens) > longest:
        raise ValueError(
            f"--prefix: {len(tokens)} tokens are too many; the run's sentences have at most {longest}"
        )


def _lines(experiment: Experiment, generator: Generator, arguments: Arguments) -> Iterator[str]:
    if not arguments.unknown and experiment.vocabulary.unk_id is not None:
        generator.head.forbid(experiment.vocabulary.unk_id)
    for start in range(0, arguments.num_sentences, CHUNK):
        sentences = experiment.sample_tokens(
            min(CHUNK, arguments.num_sentences - start),
            generator=generator,
            seed=derive_seed(arguments.seed, start),
            prefix=arguments.prefix,
            temperature=arguments.temperature,
            top_k=arguments.top_k,
            top_p=arguments.top_p,
        )
        for tokens in sentences:
            yield " ".join(tokens) if arguments.tokens else experiment.language.tokenizer.detokenize(tokens)
