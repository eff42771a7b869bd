"""Prepare a corpus: lines to token ids, the split into parts, the vocabulary."""

import re
from array import array
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int32, Int64

from seqgan.config.kinds import KindSettings, absolute
from seqgan.config.ranges import Range
from seqgan.runtime.seeding import make_rng
from seqgan.text.context import Context, Part
from seqgan.text.lines import Lines
from seqgan.text.prepared import PreparedCorpus, Report
from seqgan.text.sequences import Sequences
from seqgan.text.tokenizers import Tokenizer, build_tokenizer
from seqgan.text.vocabulary import Vocabulary

END = 0  # stands for EOS while tokens are numbered in the order in which they are met

# A full stop or comma alone between spaces, as in text that is tokenized already; or glued to its word.
_LONE_PUNCTUATION = re.compile(r"\s[.,](?:\s|$)")
_GLUED_PUNCTUATION = re.compile(r"\w[.,](?:\s|$)")
_LOOKED_AT = 1000  # lines, for facts about the text as a whole


@dataclass(frozen=True, kw_only=True)
class TextCorpusSettings(KindSettings):
    """Settings of every corpus that is made from text, one sequence a line."""

    tokenizer: str = "treebank"
    """treebank, whitespace, characters, or a class of yours: package.module:Class or file.py:Class."""
    lower_case: bool = False
    """Read the text in lower case."""
    min_count: Annotated[int | None, Range(minimum=1)] = None
    """Tokens seen less often than this in the training part become UNK. By default 2, so that the model
    learns where unknown words stand; 1 where this would make more than half of a small text unknown."""
    max_vocabulary_size: Annotated[int | None, Range(minimum=5)] = None
    """Most tokens in the vocabulary, PAD, BOS, EOS and UNK included; the rarest become UNK."""
    max_length: Annotated[int, Range(minimum=2)] = 40
    """Most tokens in a sequence, EOS included."""
    long_sequences: Literal["drop", "truncate"] = "drop"
    """What happens to longer ones; truncated they have no EOS. Either way they are counted."""
    validation_size: Annotated[float, Range(minimum=0, open=True)] = 0.1
    """Validation part drawn from the training lines where no file is given: a share below 1, or a number."""
    split_seed: int = 0
    """Seed of the split into parts; not the seed of the run, so that runs share their parts."""


@dataclass(frozen=True)
class Texts:
    """The lines of a corpus; a part that is None is to be drawn from the training lines."""

    train: Lines
    validation: Lines | None = None
    test: Lines | None = None


def prepare_texts(
    texts: Texts, settings: TextCorpusSettings, *, test_size: float = 0.1, max_prompt_length: int = 0
) -> PreparedCorpus:
    """Tokenize the lines, draw the parts that are not given, and number the tokens.

    Parts are drawn so that equal lines stay together; ``test_size`` is a share below 1, or a number, for a
    test part that is not given. The vocabulary is that of the training part alone, its prompts of at most
    ``max_prompt_length`` tokens included. Where rare words are unknown, different lines can become equal
    sequences: drawn ones that the training part holds are left out and counted. Parts that are given stay as
    they are; the report says how far they overlap with it.

    Raises:
        ValueError: No usable line, too few to split, or a vocabulary without words.
    """
    source = texts.train.source
    tokenizer = build_tokenizer(settings.tokenizer, lower_case=settings.lower_case)
    max_prompt_length = 0 if texts.train.prompts is None else max_prompt_length
    numbering = _Numbering(tokenizer, settings, max_prompt_length)
    given = {"train": texts.train, "validation": texts.validation, "test": texts.test}
    parts = {name: numbering.read(lines) for name, lines in given.items() if lines is not None}
    sizes = {"validation": settings.validation_size, "test": test_size}
    sizes = {name: size for name, size in sizes.items() if name not in parts}
    parts |= split(parts["train"], sizes, settings.split_seed, source)
    occurrences = numbering.count(parts["train"])
    min_count = settings.min_count or _default_min_count(occurrences)
    vocabulary = _build_vocabulary(numbering.numbers, occurrences, min_count, settings, source)
    ids = [vocabulary.eos_id, *(vocabulary.ids.get(t, vocabulary.unk_id) for t in numbering.numbers)]
    parts = {name: _renumber(part, np.array(ids, np.int32)) for name, part in parts.items()}
    left_out = _leave_out_copies(parts, sizes, source)
    return PreparedCorpus(
        **{name: part.sequences for name, part in parts.items()},
        contexts={name: part.context for name, part in parts.items() if part.context is not None},
        max_prompt_length=max_prompt_length,
        vocabulary=vocabulary,
        tokenizer=absolute(settings.tokenizer),
        lower_case=settings.lower_case,
        max_length=settings.max_length,
        counts=numbering.counts()
        | {"min_count": min_count, "left_out": left_out}
        | _forms(texts.train.lines),
    )


@dataclass
class _Numbering:
    """The numbers 1, 2, ... of tokens in order of appearance, and the lengths of the lines."""

    tokenizer: Tokenizer
    settings: TextCorpusSettings
    max_prompt_length: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    """Tokens of every line, 0 for a blank one."""

    prompt_lengths: "array[int]" = field(default_factory=lambda: array("q"))
    """Tokens of every prompt."""

    def read(self, lines: Lines) -> Part:
        """Return the lines as sequences of numbers, each closed by END; a truncated one is not.

        Raises:
            ValueError: No line is left, or a tokenizer of the user's fails; names source and line.
        """
        limit, truncate = self.settings.max_length, self.settings.long_sequences == "truncate"
        sequences, prompts, rows = _Packed(), _Packed(), array("q")
        for row, line in enumerate(lines.lines):
            tokens = self._tokens(line, lines, row)
            prompt = self._tokens(lines.prompts[row], lines, row) if lines.prompts else []
            self.lengths.append(len(tokens))
            is_long = len(tokens) >= limit  # EOS counts
            self.prompt_lengths.append(len(prompt))
            prompt_is_long = len(prompt) > self.max_prompt_length
            if tokens and (truncate or not (is_long or prompt_is_long)):
                numbered = self._number(tokens[:limit])
                sequences.append(numbered if is_long else [*numbered, END])
                # of a long prompt the end, which is nearest to what completes it
                prompts.append(self._number(prompt[-self.max_prompt_length :]))
                rows.append(row)
        if not rows:
            reason = f"no line has fewer than --corpus.max-length {limit} tokens"
            if lines.prompts is not None:
                reason += f" and a prompt of at most --corpus.max-prompt-length {self.max_prompt_length}"
            is_blank = not any(map(str.strip, lines.lines))
            raise ValueError(f"{lines.source}: {'only blank lines' if is_blank else reason}")
        if lines.prompts is None:
            return Part(sequences.packed())
        columns = {name: [entries[row] for row in rows] for name, entries in lines.columns.items()}
        return Part(sequences.packed(), Context(prompts.packed(), columns))

    def _tokens(self, text: str, lines: Lines, row: int) -> list[str]:
        try:
            return self.tokenizer.tokenize(text) if text.strip() else []
        except ValueError as error:
            raise ValueError(f"{lines.name(row)}: {error}") from error

    def _number(self, tokens: list[str]) -> list[int]:
        numbers = self.numbers
        return [numbers.setdefault(token, len(numbers) + 1) for token in tokens]

    def count(self, part: Part) -> Int64[np.ndarray, "V"]:
        """Return how often each token occurs in a part, in prompts too."""
        ids = [part.sequences.ids, *([part.context.prompts.ids] if part.context else [])]
        counts = np.bincount(np.concatenate(ids), minlength=len(self.numbers) + 1)
        return counts[END + 1 :].astype(np.int64)

    def counts(self) -> Report:
        """Return how many lines of what length were read; ``length_99`` is what 99 % of them need."""
        lengths = np.array(self.lengths, np.int64)
        num_long = int((lengths >= self.settings.max_length).sum())
        is_dropped = self.settings.long_sequences == "drop"
        counts: Report = {}
        if self.max_prompt_length:
            of_prompts = np.array(self.prompt_lengths, np.int64)
            counts["long_prompts"] = int((of_prompts > self.max_prompt_length).sum())
            counts["prompt_length_99"] = int(np.quantile(of_prompts, 0.99, method="higher"))
        return counts | {
            "lines": len(lengths),
            "blank_lines": int((lengths == 0).sum()),
            "long_sequences": num_long,
            "dropped": num_long if is_dropped else 0,
            "truncated": 0 if is_dropped else num_long,
            "length_99": 1 + int(np.quantile(lengths[lengths > 0], 0.99, method="higher")),  # EOS counts
        }


@dataclass
class _Packed:
    """Sequences one after another, as they grow."""

    ids: "array[int]" = field(default_factory=lambda: array("i"))
    offsets: "array[int]" = field(default_factory=lambda: array("q", [0]))

    def append(self, sequence: list[int]) -> None:
        self.ids.extend(sequence)
        self.offsets.append(len(self.ids))

    def packed(self) -> Sequences:
        return Sequences(np.array(self.ids, np.int32), np.array(self.offsets, np.int64))


def split(train: Part, sizes: Mapping[str, float], seed: int, source: str) -> dict[str, Part]:
    """Draw parts of the given sizes (shares below 1, or numbers) from the distinct sequences.

    All copies of a sequence go where it goes; within a part the order stays. At least one distinct
    sequence goes into each part.

    Raises:
        ValueError: Nothing would be left for training.
    """
    groups: dict[Hashable, int] = {}
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


def _leave_out_copies(parts: dict[str, Part], drawn: Iterable[str], source: str) -> int:
    """Take out of each drawn part what the training part holds; return how many sequences these are."""
    train_keys = set(parts["train"].keys())
    left_out = 0
    for name in drawn:
        keys = parts[name].keys()
        kept = np.array([key not in train_keys for key in keys])
        if not kept.any():
            raise ValueError(
                f"{source}: every {name} sequence is also a training one once rare words are unknown; "
                "take a smaller --corpus.min-count or a larger --corpus.max-vocabulary-size"
            )
        parts[name] = parts[name].select(_rows(kept))
        left_out += int((~kept).sum())
    return left_out


def _renumber(part: Part, id_of_number: Int32[np.ndarray, "M"]) -> Part:
    """Return a part in ids, from the numbers of its tokens."""

    def renumbered(sequences: Sequences) -> Sequences:
        return Sequences(id_of_number[sequences.ids], sequences.offsets)

    context = part.context and Context(renumbered(part.context.prompts), part.context.columns)
    return Part(renumbered(part.sequences), context)


def _rows(chosen: Bool[np.ndarray, "N"]) -> Int64[np.ndarray, "R"]:
    return np.flatnonzero(chosen).astype(np.int64)


def _default_min_count(occurrences: Int64[np.ndarray, "V"]) -> int:
    """Return 2, or 1 where tokens that occur once make more than half of the text."""
    return 2 if 2 * (occurrences == 1).sum() <= occurrences.sum() else 1


def _build_vocabulary(
    tokens: Iterable[str],
    occurrences: Int64[np.ndarray, "V"],
    min_count: int,
    settings: TextCorpusSettings,
    source: str,
) -> Vocabulary:
    """Return the vocabulary of tokens that occur so often; those of held-out parts alone occur 0 times.

    Raises:
        ValueError: No token is left.
    """
    counts = {token: count for token, count in zip(tokens, occurrences.tolist(), strict=True) if count}
    max_size = settings.max_vocabulary_size
    vocabulary = Vocabulary.from_counts(counts, min_count=min_count, max_size=max_size)
    if not vocabulary.ids:
        raise ValueError(f"{source}: --corpus.min-count {min_count} leaves no token in the vocabulary")
    return vocabulary


def _forms(lines: list[str]) -> Report:
    """Return the shares of lines with lone and with glued punctuation, from lines evenly spread.

    Where most lines are JSON objects, their share is there too.
    """
    chosen = lines[:: -(-len(lines) // _LOOKED_AT)]
    patterns = {"lone_punctuation": _LONE_PUNCTUATION, "glued_punctuation": _GLUED_PUNCTUATION}
    shares: Report = {
        name: sum(pattern.search(line) is not None for line in chosen) / len(chosen)
        for name, pattern in patterns.items()
    }
    of_json = sum(line.startswith("{") and line.rstrip().endswith("}") for line in chosen) / len(chosen)
    return shares | ({"json_lines": of_json} if of_json > 0.5 else {})
