"""Preparing a corpus: lines to token ids, the split into parts, the vocabulary."""

from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from seqgan.config.kinds import KindSettings
from seqgan.config.schema import Component, find_component
from seqgan.runtime.seeding import make_rng
from seqgan.text.prepared import PARTS, PreparedCorpus, Report
from seqgan.text.sequences import Sequences
from seqgan.text.sources import (
    CocoCorpusSettings,
    DocstringsCorpusSettings,
    FileCorpusSettings,
    Lines,
    TextCorpusSettings,
    Texts,
    read_coco,
    read_docstrings,
    read_files,
)
from seqgan.text.tokenizers import Tokenizer, build_tokenizer
from seqgan.text.vocabulary import Vocabulary

END = 0  # stands for EOS while tokens are numbered in the order in which they are met


def prepare_corpus(settings: KindSettings) -> PreparedCorpus:
    """Prepare the corpus that the settings describe.

    Raises:
        ValueError: There is no such kind, or its text cannot be used; names the file or the flag.
    """
    component = find_component(settings.kind, CORPORA, "corpus.kind")
    corpus: PreparedCorpus = component.build(settings)
    return corpus


def prepare_texts(texts: Texts, settings: TextCorpusSettings) -> PreparedCorpus:
    """Tokenize the lines, draw the parts that are not given, and number the tokens.

    Parts are drawn so that equal sequences stay together: none of those drawn is also in the
    training part. Parts that are given stay as they are; the report says how far they overlap.
    The vocabulary is that of the training part alone.

    Raises:
        ValueError: No usable line, too few to split, or a vocabulary without words.
    """
    tokenizer = build_tokenizer(settings.tokenizer, lower_case=settings.lower_case)
    numbers: dict[str, int] = {}
    counts: Report = dict.fromkeys(("lines", "blank_lines", "long_sequences", "dropped", "truncated"), 0)
    given = {"train": texts.train, "validation": texts.validation, "test": texts.test}
    parts = {
        name: number_lines(lines, tokenizer, numbers, settings, counts)
        for name, lines in given.items()
        if lines is not None
    }
    sizes = {name: getattr(settings, f"{name}_size", 0.1) for name in PARTS if name not in parts}
    parts |= split(parts["train"], sizes, settings.split_seed, texts.train.source)
    vocabulary = build_vocabulary(parts["train"], list(numbers), settings, texts.train.source)
    final_ids = np.array(
        [vocabulary.eos_id, *(vocabulary.ids.get(t, vocabulary.unk_id) for t in numbers)], np.int32
    )
    return PreparedCorpus(
        **{name: Sequences(final_ids[part.ids], part.offsets) for name, part in parts.items()},
        vocabulary=vocabulary,
        tokenizer=settings.tokenizer,
        lower_case=settings.lower_case,
        max_length=settings.max_length,
        counts=counts,
    )


def number_lines(
    lines: Lines, tokenizer: Tokenizer, numbers: dict[str, int], settings: TextCorpusSettings, counts: Report
) -> Sequences:
    """The lines as sequences of provisional numbers (1, 2, ... in order of appearance, then END).

    New tokens are added to ``numbers``, and what is met is added to ``counts``.

    Raises:
        ValueError: No line is left.
    """
    ids, offsets = array("i"), array("q", [0])
    for line in lines.lines:
        tokens = tokenizer.tokenize(line) if line.strip() else []
        is_long = len(tokens) >= settings.max_length  # EOS counts
        is_dropped = is_long and settings.long_sequences == "drop"
        counts["lines"] += 1
        counts["blank_lines"] += not tokens
        counts["long_sequences"] += is_long
        counts["dropped"] += is_dropped
        counts["truncated"] += is_long and not is_dropped
        if tokens and not is_dropped:
            ids.extend(numbers.setdefault(token, len(numbers) + 1) for token in tokens[: settings.max_length])
            if not is_long:
                ids.append(END)
            offsets.append(len(ids))
    if not ids:
        reason = f"no line has fewer than --corpus.max-length {settings.max_length} tokens"
        raise ValueError(
            f"{lines.source}: {reason if any(map(str.strip, lines.lines)) else 'only blank lines'}"
        )
    return Sequences(np.array(ids, np.int32), np.array(offsets, np.int64))


def split(train: Sequences, sizes: dict[str, float], seed: int, source: str) -> dict[str, Sequences]:
    """Draw parts of the given sizes (shares below 1, or numbers) from the distinct sequences.

    All copies of a sequence go where it goes; within a part the order stays. At least one distinct
    sequence goes into each part.

    Raises:
        ValueError: Nothing would be left for training.
    """
    groups: dict[bytes, int] = {}
    keys = train.keys()
    group_of_row = np.array([groups.setdefault(key, len(groups)) for key in keys])
    numbers = {name: max(1, round(len(groups) * size if size < 1 else size)) for name, size in sizes.items()}
    if sum(numbers.values()) >= len(groups):
        wanted = " and ".join(f"{number} for {name}" for name, number in numbers.items())
        raise ValueError(f"{source}: of {len(groups)} distinct sequences, {wanted} leave none for training")
    order = torch.randperm(len(groups), generator=make_rng("cpu", seed, "split")).numpy()
    part_of_group = np.zeros(len(groups), np.int64)  # 0 is training
    start = 0
    for part, number in enumerate(numbers.values(), 1):
        part_of_group[order[start : start + number]] = part
        start += number
    part_of_row = part_of_group[group_of_row]
    return {name: train.select(_rows(part_of_row == part)) for part, name in enumerate(["train", *sizes])}


def _rows(chosen: np.ndarray) -> Int64[np.ndarray, "R"]:
    return np.flatnonzero(chosen).astype(np.int64)


def build_vocabulary(
    train: Sequences, tokens: list[str], settings: TextCorpusSettings, source: str
) -> Vocabulary:
    """The vocabulary of sequences in provisional numbers, where ``tokens`` holds what 1, 2, ... mean.

    Raises:
        ValueError: No token is left.
    """
    occurrences = np.bincount(train.ids, minlength=len(tokens) + 1)[1:].tolist()
    counts = {token: count for token, count in zip(tokens, occurrences, strict=True) if count}
    vocabulary = Vocabulary.from_counts(
        counts, min_count=settings.min_count, max_size=settings.max_vocabulary_size
    )
    if not vocabulary.ids:
        raise ValueError(
            f"{source}: --corpus.min-count {settings.min_count} leaves no token in the vocabulary"
        )
    return vocabulary


def from_texts(read: Callable[[Any], Texts]) -> Callable[[Any], PreparedCorpus]:
    """The ``build`` function of a corpus whose lines ``read`` takes from its settings."""
    return lambda settings: prepare_texts(read(settings), settings)


CORPORA: dict[str, Component] = {
    "file": Component(FileCorpusSettings, from_texts(read_files)),
    "docstrings": Component(DocstringsCorpusSettings, from_texts(read_docstrings)),
    "coco": Component(CocoCorpusSettings, from_texts(read_coco)),
}
