"""Measure the generators of a run, or files of sentences or of features against each other."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from tqdm import tqdm

from seqgan.config.ranges import Range, Repeated
from seqgan.config.schema import flag_name, validate
from seqgan.evaluation.bootstrap import with_intervals
from seqgan.evaluation.frechet import load_features, score_features
from seqgan.evaluation.language_model import LanguageModel, load_language_model, score_by_language_model
from seqgan.evaluation.metric import Metric
from seqgan.evaluation.metrics import load_metrics, measure_texts
from seqgan.evaluation.ngrams import number_words
from seqgan.evaluation.protocols import find_protocol, score_by_protocol
from seqgan.evaluation.signature import Score, Signature
from seqgan.evaluation.texts import ORDERS, RealText, TextPair
from seqgan.experiment.experiment import open_run
from seqgan.experiment.measurements import measure
from seqgan.reports.tables import signatures, table
from seqgan.runtime.devices import find_device
from seqgan.sampling.decoding import Temperature
from seqgan.text.lines import read_lines
from seqgan.text.sequences import Sequences
from seqgan.text.tokenizers import build_tokenizer


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Either a run; or two text files with one sentence per line, two files of features, or both pairs."""

    run: Path | None = None
    """Run folder, whose generators are measured against its test text."""
    checkpoint: tuple[str, ...] = ()
    """With --run: mle-best, mle-last, adversarial-best, adversarial-last, oracle (by default all there are),
    or the baseline ngram: n-grams of the training text."""
    temperature: Annotated[Temperature | None, Range(minimum=0, open=True)] = None
    """With --run: softmax temperature at which it is sampled and scored, more than 0; by default that of the
    run's settings. leakgan-official is that of the official LeakGAN code, 1/1.5."""
    top_k: Annotated[int | None, Range(minimum=1)] = None
    """With --run: sample among this many likeliest tokens only; at least 1."""
    top_p: Annotated[float | None, Range(minimum=0, open=True), Range(maximum=1)] = None
    """With --run: sample among the fewest likeliest tokens that hold this share of the mass; up to 1."""
    device: str = "auto"
    """With --run or --language-model: where to work: cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    hypotheses: Path | None = None
    """File of generated sentences, one a line; an empty line is an empty sentence."""
    references: Path | None = None
    """File of real sentences, one a line."""
    tokenizer: str = "treebank"
    """With text files: how they are cut into tokens: treebank, whitespace, characters, or
    package.module:Class."""
    training: Path | None = None
    """With text files: file of the text that was trained on, one sentence a line, to look for copies."""
    lower_case: bool = False
    """With text files: compare them in lower case."""
    protocol: Annotated[tuple[str, ...], Repeated] = ()
    """With text files: besides, BLEU and self-BLEU as others computed their tables, for comparison with these
    tables only: all (Texygen's table: all sentences), first-500 (Texygen's code: 500 references, self-BLEU
    among 500 sentences), first-200-lower (RelGAN, TextGAN-PyTorch: 200 sentences, in lower case whatever
    --lower-case says). May be given several times."""
    metrics: Annotated[tuple[str, ...], Repeated] = ()
    """With text files: a metric of your own, package.module:name or file.py:name of a function of two lists
    of sentences; with --run it is --evaluation.metrics that counts. May be given several times."""
    language_model: Path | None = None
    """With text files: the perplexity of both by the causal language model in this local folder, in Hugging
    Face's format with safetensors (needs the package transformers)."""
    hypothesis_features: Path | None = None
    """For the Fréchet distance: .npy file of feature vectors of generated sentences, one vector a row."""
    reference_features: Path | None = None
    """The same of the real sentences, by the same encoder."""
    mauve: bool = False
    """With features: MAUVE besides (needs the package mauve-text)."""
    confidence: Annotated[float | None, Range(minimum=0, open=True), Range(maximum=1, open=True)] = None
    """Show bootstrap intervals of this confidence, such as 0.95, for means over sentences; between 0 and 1.
    They tell how another draw of as many sentences would vary, not another seed of the training."""
    json: bool = False
    """Print one JSON object instead of a table, with an object for each of the table's columns."""
    quiet: bool = False
    """Show no progress bar."""


OF_A_RUN = ("checkpoint", "temperature", "top_k", "top_p")
OF_TEXTS = ("tokenizer", "training", "lower_case", "protocol", "metrics", "language_model")
WHAT_TO_GIVE = (
    "evaluate: give either --run, or both --hypotheses and --references, or both --hypothesis-features and "
    "--reference-features"
)
Columns = dict[str, Callable[[], Score]]


def run(arguments: Arguments) -> None:
    """Print a table or a JSON object."""
    validate(arguments)
    texts = _both(arguments.hypotheses, arguments.references)
    features = _both(arguments.hypothesis_features, arguments.reference_features)
    if (arguments.run is None) == (texts is None and features is None):
        raise ValueError(WHAT_TO_GIVE)
    for names, needed, given in (
        (OF_A_RUN, "--run", arguments.run),
        (OF_TEXTS, "--hypotheses and --references", texts),
        (("mauve",), "--hypothesis-features and --reference-features", features),
        (("device",), "--run or --language-model", arguments.run or arguments.language_model),
    ):
        if given is None:
            refuse_flags(arguments, names, needed)
    if arguments.run is not None:
        results = evaluate_run(arguments, arguments.run)
    else:
        columns = {
            **({} if texts is None else text_columns(arguments, *texts)),
            **({} if features is None else feature_columns(arguments, *features)),
        }  # every file is open before the first is measured
        results = {title: measure_column() for title, measure_column in columns.items()}
    if arguments.confidence is not None:
        rng, confidence = np.random.default_rng(0), arguments.confidence
        results = {t: with_intervals(score, rng=rng, confidence=confidence) for t, score in results.items()}
    if arguments.json:
        print(json.dumps({name: score.as_json() for name, score in results.items()}))
    else:
        print(f"{table(results)}\n\n{signatures(results)}")


def _both(first: Path | None, second: Path | None) -> tuple[Path, Path] | None:
    """Return two paths that go together; None where there are none.

    Raises:
        ValueError: One is missing.
    """
    if (first is None) != (second is None):
        raise ValueError(WHAT_TO_GIVE)
    return None if first is None or second is None else (first, second)


def refuse_flags(arguments: Arguments, names: Sequence[str], needed: str) -> None:
    """Say that a flag would do nothing.

    Raises:
        ValueError: One of ``names`` differs from its default.
    """
    defaults = Arguments()
    for name in names:
        if getattr(arguments, name) != getattr(defaults, name):
            raise ValueError(f"{flag_name(name)}: goes with {needed} only")


def evaluate_run(arguments: Arguments, run: Path) -> dict[str, Score]:
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


@dataclass(frozen=True, eq=False)
class Texts:
    """The lines of the files; a blank one is an empty hypothesis, but no reference."""

    hypotheses: list[str]
    references: list[str]
    training: list[str] | None
    """Where copies are looked for."""
    tokenizer: str
    metrics: Mapping[str, Metric]

    def numbered(self, *, lower_case: bool) -> tuple[Sequences, Sequences, Sequences]:
        """Return hypotheses, references and training text as ids of their tokens."""
        tokenizer = build_tokenizer(self.tokenizer, lower_case=lower_case, flag="--tokenizer")
        texts = (self.hypotheses, self.references, self.training or [])
        first, second, third = number_words(*([tokenizer.tokenize(line) for line in text] for text in texts))
        return first, second, third

    def score(self, *, lower_case: bool) -> Score:
        """Measure all metrics of text."""
        signature = Signature(
            hypotheses=len(self.hypotheses),
            references=len(self.references),
            tokenizer=self.tokenizer,
            case="lower" if lower_case else "kept",
            smoothing="method1",
        )
        hypotheses, references, training = self.numbered(lower_case=lower_case)
        known = None if self.training is None else training
        real = RealText(references, known, strings=lambda: self.references)
        return Score.from_estimates(
            measure_texts(TextPair(hypotheses, real, lambda: self.hypotheses), self.metrics), signature
        )

    def score_by_protocol(self, name: str) -> Score:
        """Measure BLEU and self-BLEU as somebody else computed them."""
        *sides, _ = self.numbered(lower_case=find_protocol(name).lower_case)
        return score_by_protocol(name, *sides, tokenizer=self.tokenizer, orders=ORDERS)

    def score_by_language_model(self, model: LanguageModel, *, lower_case: bool) -> Score:
        """Measure perplexities of the untokenized lines: the model cuts them into tokens of its own."""
        sides = (self.hypotheses, self.references)
        hypotheses, references = ([s.lower() if lower_case else s for s in lines] for lines in sides)
        case = "lower" if lower_case else "kept"
        return score_by_language_model(model, hypotheses, references, case=case)


def text_columns(arguments: Arguments, hypotheses: Path, references: Path) -> Columns:
    """Measure two text files, with a column for each other thing that was asked for."""
    texts = Texts(
        read_lines(hypotheses).lines,
        _sentences(references),
        None if arguments.training is None else _sentences(arguments.training),
        arguments.tokenizer,
        load_metrics(arguments.metrics, "--metrics"),
    )
    if len(texts.hypotheses) < 2:
        raise ValueError(f"{hypotheses}: holds one sentence; self-BLEU needs at least two lines")
    title, lower_case = hypotheses.name, arguments.lower_case
    columns: Columns = {title: partial(texts.score, lower_case=lower_case)}
    for name in arguments.protocol:
        find_protocol(name)
        columns[f"{title}, {name}"] = partial(texts.score_by_protocol, name)
    if arguments.language_model is not None:
        model = load_language_model(arguments.language_model, find_device(arguments.device))
        score = partial(texts.score_by_language_model, model, lower_case=lower_case)
        columns[f"{title}, {model.name}"] = score
    return columns


def _sentences(path: Path) -> list[str]:
    """Return the lines that are not blank."""
    return [line for line in read_lines(path).lines if line.strip()]


def feature_columns(arguments: Arguments, hypotheses: Path, references: Path) -> Columns:
    """Measure the distance of two files of feature vectors."""
    names = (hypotheses.name, references.name)
    sides = (load_features(hypotheses), load_features(references))
    return {hypotheses.name: partial(score_features, *sides, names=names, with_mauve=arguments.mauve)}
