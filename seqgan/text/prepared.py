"""A prepared corpus: three parts as token ids, their vocabulary, and a report on them."""

import hashlib
import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from seqgan.text.advice import advise
from seqgan.text.context import Context, Part
from seqgan.text.sequences import Sequences
from seqgan.text.tokenizers import Tokenizer, build_tokenizer
from seqgan.text.vocabulary import Vocabulary, parse_json, read_bytes

PARTS = ("train", "validation", "test")
FORMAT = 1

Report = dict[str, int | float]


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedCorpus:
    """A corpus as training and evaluation see it.

    Sequences end with EOS where the vocabulary has one, except those that were truncated.

    Raises:
        ValueError: A part is empty or holds ids that do not fit the vocabulary or the length.
    """

    train: Sequences
    validation: Sequences
    test: Sequences
    vocabulary: Vocabulary
    tokenizer: str
    lower_case: bool
    max_length: int
    """Most tokens in a sequence, EOS included."""
    counts: Report = field(default_factory=dict)
    """Counts of the preparation: lines, blank lines, long sequences, and others."""
    contexts: Mapping[str, Context] = field(default_factory=dict)
    """Prompts and columns of each part by its name; empty where sequences complete no prompts."""
    max_prompt_length: int = 0
    """Most tokens in a prompt."""

    def __post_init__(self) -> None:
        if self.contexts and set(self.contexts) != set(PARTS):
            raise ValueError("some parts have prompts and some have none")
        for name, context in self.contexts.items():
            self._check_prompts(name, context.prompts)
        for name in PARTS:
            part = self.sequences(name)
            if len(part) == 0 or part.lengths.min() < 1:
                raise ValueError(f"the {name} part, or a sequence in it, is empty")
            if part.ids.min() < 0 or part.ids.max() >= self.vocabulary.size:
                raise ValueError(
                    f"the {name} part holds ids outside the vocabulary of {self.vocabulary.size}"
                )
            if part.lengths.max() > self.max_length:
                raise ValueError(f"the {name} part holds sequences of more than {self.max_length} tokens")

    def _check_prompts(self, name: str, prompts: Sequences) -> None:
        if len(prompts) != len(self.sequences(name)):
            raise ValueError(f"the {name} part has {len(prompts)} prompts")
        if len(prompts.ids) and not 0 <= prompts.ids.min() <= prompts.ids.max() < self.vocabulary.size:
            raise ValueError(f"prompts of the {name} part hold ids outside the vocabulary")
        if prompts.lengths.max() > self.max_prompt_length:
            raise ValueError(f"the {name} part holds prompts of more than {self.max_prompt_length} tokens")

    @classmethod
    def from_ids(
        cls,
        train: Int[np.ndarray, "N1 T"],
        validation: Int[np.ndarray, "N2 T"],
        test: Int[np.ndarray, "N3 T"],
        vocabulary: Vocabulary,
    ) -> "PreparedCorpus":
        """Build a corpus from sequences of equal length that are token ids already."""
        return cls(
            train=Sequences.from_array(train),
            validation=Sequences.from_array(validation),
            test=Sequences.from_array(test),
            vocabulary=vocabulary,
            tokenizer="whitespace",
            lower_case=False,
            max_length=train.shape[1],
        )

    def sequences(self, part: str) -> Sequences:
        """Return the part named train, validation or test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]

    def part(self, name: str) -> Part:
        """Return the part named train, validation or test, with its prompts and columns where it has any."""
        return Part(self.sequences(name), self.contexts.get(name))

    @property
    def columns(self) -> list[str]:
        """The names of the columns that stand beside the sequences."""
        return list(self.contexts["train"].columns) if self.contexts else []

    @property
    def has_prompts(self) -> bool:
        """Whether the sequences complete prompts."""
        return bool(self.contexts)

    def build_tokenizer(self) -> Tokenizer:
        """Return the tokenizer that made the sequences."""
        return build_tokenizer(self.tokenizer, lower_case=self.lower_case)

    @cached_property
    def report(self) -> Report:
        """Counts of the preparation and of the result.

        For each part: ``sequences``, ``tokens`` (EOS included), ``longest``, ``unknown_share`` and
        ``blank_share`` (UNK and the space among the tokens that are not EOS), ``duplicates`` (beyond the
        first of equal sequences) and, except for training, ``in_train`` (sequences that are also in the
        training part). Sequences that complete different prompts are different. With prompts also
        ``prompts`` (different ones), ``longest_prompt`` and ``unknown_prompt_share``.
        """
        report = self.counts | {"vocabulary_size": self.vocabulary.size, "max_length": self.max_length}
        train_keys = set(self.part("train").keys())
        for name in PARTS:
            part = self.sequences(name)
            keys = self.part(name).keys()
            report[f"{name}/sequences"] = len(part)
            report[f"{name}/tokens"] = len(part.ids)
            report[f"{name}/longest"] = int(part.lengths.max())
            report[f"{name}/unknown_share"] = self._share(part, self.vocabulary.unk_id)
            report[f"{name}/blank_share"] = self._share(part, self.vocabulary.ids.get(" "))
            report[f"{name}/duplicates"] = len(keys) - len(set(keys))
            if name != "train":
                report[f"{name}/in_train"] = sum(key in train_keys for key in keys)
            if context := self.contexts.get(name):
                report[f"{name}/prompts"] = len(set(context.prompts.keys()))
                report[f"{name}/longest_prompt"] = int(context.prompts.lengths.max())
                report[f"{name}/unknown_prompt_share"] = self._share(context.prompts, self.vocabulary.unk_id)
        return report

    def summary(self) -> str:
        """Return the report in a few lines, for people."""
        report = self.report
        size = f"vocabulary of {self.vocabulary.size} tokens"
        if self.counts:
            size += f" seen at least {report['min_count']} times" if report["min_count"] > 1 else ""
        lines = [f"{size}, sequences of at most {self.max_length}"]
        if self.counts:
            prompts = " and {long_prompts} with too long prompts" if self.has_prompts else ""
            lines.append(
                (
                    "{lines} lines: {blank_lines} blank, {long_sequences} too long" + prompts + " "
                    "({dropped} dropped, {truncated} truncated), {left_out} left out of validation and test, "
                    "since training has them once rare words are unknown"
                ).format(**report)
            )
        for name in PARTS:
            facts = {key.removeprefix(f"{name}/"): value for key, value in report.items()}
            line = (
                "{sequences} sequences, {tokens} tokens, longest {longest}, {unknown_share:.2%} unknown, "
                "{duplicates} duplicates".format(**facts)
            )
            line += "" if name == "train" else ", {in_train} also in train".format(**facts)
            if self.has_prompts:
                line += (
                    "; {prompts} different prompts of at most {longest_prompt} tokens, "
                    "{unknown_prompt_share:.2%} unknown".format(**facts)
                )
            lines.append(f"{name}: {line}")
        return "\n".join(lines)

    def advice(self) -> list[str]:
        """Return what the user might change in the settings, one line each; see :func:`advise`."""
        return advise(self.report, self.tokenizer)

    def texts(self, part: str) -> list[str]:
        """Return the sequences of a part as text, one line each; unknown words read ``<unk>``."""
        sequences, tokenizer = self.sequences(part), self.build_tokenizer()
        rows = (sequences[row].tolist() for row in range(len(sequences)))
        return [tokenizer.detokenize(self.vocabulary.decode(row)) for row in rows]

    def _share(self, part: Sequences, token: int | None) -> float:
        """Return the share of a token among those that are not EOS; 0 for None."""
        words = part.ids[part.ids != self.vocabulary.eos_id]
        return float((words == token).mean()) if token is not None and len(words) else 0.0

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: equal for equal sequences, vocabularies and settings, on every machine."""
        digest = hashlib.sha256(self.vocabulary.to_json().encode("utf-8", "surrogatepass"))
        digest.update(json.dumps([self.tokenizer, self.lower_case, self.max_length, self.counts]).encode())
        for name in PARTS:
            part = self.sequences(name)
            digest.update(part.ids.astype("<i4").tobytes())
            digest.update(part.offsets.astype("<i8").tobytes())
            if context := self.contexts.get(name):
                digest.update(context.content())
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``corpus.npz``, ``vocabulary.json`` and ``corpus.json`` into a folder.

        They are complete before they take their names, and the digest in ``corpus.json``, the last,
        tells a reader whether they belong together.

        Raises:
            ValueError: The folder cannot be written, or the disk is full.
        """
        arrays: dict[str, np.ndarray] = {}
        for name in PARTS:
            part = self.sequences(name)
            arrays |= _as_arrays(name, part)
        for name, context in self.contexts.items():
            arrays |= _as_arrays(f"{name}_prompt", context.prompts)
        about: dict[str, Any] = {
            "format": FORMAT,
            "tokenizer": self.tokenizer,
            "lower_case": self.lower_case,
            "max_length": self.max_length,
            "counts": self.counts,
            "report": self.report,
            "digest": self.digest,
        }
        if self.has_prompts:
            columns = {name: dict(context.columns) for name, context in self.contexts.items()}
            about |= {"max_prompt_length": self.max_prompt_length, "columns": columns}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".corpus-") as temporary:
                written = Path(temporary)
                np.savez(written / "corpus.npz", **arrays)  # type: ignore[arg-type]
                self.vocabulary.save(written / "vocabulary.json")
                (written / "corpus.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
                for name in ("corpus.npz", "vocabulary.json", "corpus.json"):
                    (written / name).replace(folder / name)
        except OSError as error:
            raise ValueError(f"{folder}: the corpus cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, folder: Path) -> "PreparedCorpus":
        """Read what :meth:`save` wrote; nothing in the files is executed.

        Raises:
            ValueError: A file is missing, damaged, of another format, or does not belong to the others.
        """
        path = folder / "corpus.json"
        about = parse_json(read_bytes(path), str(path))
        if about.get("format") != FORMAT:
            raise ValueError(
                f"{path}: has format {about.get('format')!r}, not {FORMAT}; prepare the corpus again"
            )
        types = {"tokenizer": str, "lower_case": bool, "max_length": int, "counts": dict, "digest": str}
        if not all(type(about.get(name)) is wanted for name, wanted in types.items()):
            raise ValueError(f"{path}: is damaged: entries are missing or of another type")
        vocabulary = Vocabulary.load(folder / "vocabulary.json")
        columns = about.get("columns", {})
        if not _are_columns(columns) or type(about.get("max_prompt_length", 0)) is not int:
            raise ValueError(f"{path}: is damaged: entries are missing or of another type")
        path = folder / "corpus.npz"
        arrays = _read_arrays(path, [*PARTS, *(f"{name}_prompt" for name in columns)])
        try:
            parts = [Sequences(arrays[f"{name}_ids"], arrays[f"{name}_offsets"]) for name in PARTS]
            prompts = {
                name: Sequences(arrays[f"{name}_prompt_ids"], arrays[f"{name}_prompt_offsets"])
                for name in columns
            }
            corpus = cls(
                train=parts[0],
                validation=parts[1],
                test=parts[2],
                vocabulary=vocabulary,
                tokenizer=about["tokenizer"],
                lower_case=about["lower_case"],
                max_length=about["max_length"],
                counts=about["counts"],
                contexts={name: Context(prompts[name], columns[name]) for name in columns},
                max_prompt_length=about.get("max_prompt_length", 0),
            )
        except ValueError as error:
            raise ValueError(f"{path}: is damaged: {error}") from error
        if corpus.digest != about["digest"]:
            raise ValueError(
                f"{path}: is damaged, or does not belong to the vocabulary and corpus.json beside it"
            )
        return corpus


def _as_arrays(name: str, sequences: Sequences) -> dict[str, np.ndarray]:
    return {f"{name}_ids": sequences.ids, f"{name}_offsets": sequences.offsets}


def _are_columns(columns: object) -> bool:
    """Return whether these are entries by column by part."""
    return isinstance(columns, dict) and all(
        isinstance(part, dict) and all(isinstance(entries, list) for entries in part.values())
        for part in columns.values()
    )


def _read_arrays(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    expected = {f"{name}_ids": np.int32 for name in names} | {f"{name}_offsets": np.int64 for name in names}
    data = read_bytes(path)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in expected}
    except Exception as error:  # zip, zlib, struct, tokenize, ...: a damaged archive fails in many ways
        raise ValueError(f"{path}: is damaged or no prepared corpus") from error
    for name, array in arrays.items():  # a member without numpy's header comes as bytes
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype != expected[name]:
            raise ValueError(f"{path}: is damaged: {name} has another shape or type")
    return arrays
