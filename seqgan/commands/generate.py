"""Sample sentences from a run."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from tqdm import tqdm

from seqgan.config.ranges import Range
from seqgan.config.schema import validate
from seqgan.experiment.experiment import Experiment, open_run
from seqgan.models.generator import Generator
from seqgan.runtime.files import write_output
from seqgan.runtime.seeding import derive_seed
from seqgan.runtime.terminal import for_output, printable
from seqgan.sampling.decoding import Temperature
from seqgan.text.table_corpus import TableCorpusSettings, read_prompts
from seqgan.text.token_batch import TokenBatch

CHUNK = 5_000  # sentences in memory at once
DEFAULT_NUMBER = 10  # of sentences


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Which generator to sample, and how."""

    run: Path
    """Run folder, as made by `train`, whose generator is sampled."""
    checkpoint: str | None = None
    """mle-best, mle-last, adversarial-best or adversarial-last; by default the furthest there is. ngram is
    the baseline: n-grams of the training text."""
    num_sentences: Annotated[int | None, Range(minimum=1)] = None
    """How many sentences to sample, by default 10; with --prompts of each prompt, by default 1."""
    temperature: Annotated[Temperature | None, Range(minimum=0)] = None
    """Softmax temperature; below 1 safer, above 1 more varied, 0 always takes the likeliest token; by default
    that of the run's evaluation. leakgan-official is that of the official LeakGAN code, 1/1.5."""
    top_k: Annotated[int | None, Range(minimum=1)] = None
    """Sample among this many likeliest tokens only; at least 1."""
    top_p: Annotated[float | None, Range(minimum=0, open=True), Range(maximum=1)] = None
    """Sample among the fewest likeliest tokens that hold this share of the probability; up to 1."""
    prefix: str = ""
    """Text that every sentence begins with; its words must be in the run's vocabulary."""
    prompts: Path | None = None
    """Prompts to complete, where the run's corpus has prompts: a text file with one on each line, or a file
    as of --corpus.kind table with a column of them; by default some of the test part."""
    unknown: bool = True
    """Let <unk> stand for words outside the vocabulary; without it other words share its probability."""
    seed: Annotated[int, Range(minimum=0)] = 0
    """The same seed gives the same sentences."""
    output: Path | None = None
    """File to write, one sentence a line, behind its prompt and a tab where it completes one; by default
    standard output. A name that ends with .jsonl gets JSON objects of "prompt" and "completion"."""
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
    prompts = find_prompts(experiment, arguments)
    generator = experiment.load_generator(arguments.checkpoint)
    lines = _lines(experiment, generator, arguments, prompts)
    if arguments.output is None:
        for line in lines:
            sys.stdout.write(for_output(line) + "\n")
        return
    disable = arguments.quiet or None
    bar = tqdm(lines, total=prompts.number, desc="generate", unit=" sentences", disable=disable)
    encoded = (f"{line}\n".encode() for line in bar)
    write_output(arguments.output, lambda file: file.writelines(encoded))


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


@dataclass(frozen=True)
class Prompts:
    """The prompts of the sentences that are asked for."""

    batch: TokenBatch | None
    """None where sentences complete none."""
    texts: Sequence[str]
    repeats: int
    """Sentences for each of the prompts."""

    @property
    def number(self) -> int:
        """The number of sentences."""
        return (1 if self.batch is None else len(self.batch)) * self.repeats

    def of(self, numbers: range) -> tuple[TokenBatch | None, list[str]]:
        """Return the prompts of the sentences of these numbers, as ids and as text."""
        if self.batch is None:
            return None, []
        rows = [number // self.repeats for number in numbers]
        return self.batch.select(torch.tensor(rows)), [self.texts[row] for row in rows]


def find_prompts(experiment: Experiment, arguments: Arguments) -> Prompts:
    """Return what the sentences that are asked for complete.

    Raises:
        ValueError: Prompts or a prefix are given where they cannot be used, or the file cannot be read.
    """
    corpus, number = experiment.corpus, arguments.num_sentences
    if not corpus.has_prompts:
        if arguments.prompts is not None:
            raise ValueError("--prompts: sentences of this run complete no prompts; give --prefix")
        return Prompts(None, [], number or DEFAULT_NUMBER)
    if arguments.prefix:
        raise ValueError("--prefix: sentences of this run complete prompts; give --prompts")
    if arguments.prompts is None:
        some = experiment.materials.split("test").spread(number or DEFAULT_NUMBER).prompt
        assert some is not None
        return Prompts(some.to("cpu"), experiment.language.decode_batch(some), 1)
    settings = experiment.settings.corpus
    column = settings.prompt_column if isinstance(settings, TableCorpusSettings) else "prompt"
    prompts = read_prompts(arguments.prompts, column)
    batch = experiment.language.encode_prompts(prompts, f"--prompts: {arguments.prompts}")
    return Prompts(batch, prompts, number or 1)


def _lines(
    experiment: Experiment, generator: Generator, arguments: Arguments, prompts: Prompts
) -> Iterator[str]:
    if not arguments.unknown and experiment.vocabulary.unk_id is not None:
        generator.head.forbid(experiment.vocabulary.unk_id)
    as_json = arguments.output is not None and arguments.output.suffix == ".jsonl"
    for start in range(0, prompts.number, CHUNK):
        numbers = range(start, min(start + CHUNK, prompts.number))
        batch, texts = prompts.of(numbers)
        sentences = experiment.sample_tokens(
            len(numbers),
            generator=generator,
            seed=derive_seed(arguments.seed, start),
            prefix=arguments.prefix,
            prompts=batch,
            temperature=arguments.temperature,
            top_k=arguments.top_k,
            top_p=arguments.top_p,
        )
        for row, tokens in enumerate(sentences):
            text = " ".join(tokens) if arguments.tokens else experiment.language.tokenizer.detokenize(tokens)
            if as_json:
                row_of_json = {"prompt": texts[row], "completion": text} if texts else {"completion": text}
                yield json.dumps(row_of_json, ensure_ascii=False)
            else:
                yield f"{printable(texts[row])}\t{text}" if texts else text
