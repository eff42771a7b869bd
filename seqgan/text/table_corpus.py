"""The corpus ``table``: rows of JSON Lines or CSV files of the user's, with prompts and completions."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from seqgan.config.ranges import Range
from seqgan.runtime.files import first_line
from seqgan.text.files_corpus import FileCorpusSettings, read_parts
from seqgan.text.lines import Lines, read_lines, read_text
from seqgan.text.preparation import prepare_texts
from seqgan.text.prepared import PreparedCorpus

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
WRITTEN = "prompt"  # the column of prompts in the files that `generate` writes
LARGEST_CELL = 2**31 - 1  # of CSV, in characters; the csv module's own limit is 131,072

LONE_SURROGATE = re.compile("[\ud800-\udfff]")

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TableCorpusSettings(FileCorpusSettings):
    """Settings of a corpus in JSON Lines (.jsonl) or CSV (.csv, .tsv) files, UTF-8, plain or gzip.

    Each row holds a completion and the prompt that it completes. A category is a prompt too. All columns,
    these two included, reach rewards of text under their names. Without a column of prompts the
    completions are a corpus like ``file``, and further columns are left out: no sample belongs to a row.
    """

    kind: str = "table"
    prompt_column: str = "prompt"
    """The column of prompts."""
    completion_column: str = "completion"
    """The column of completions."""
    max_prompt_length: Annotated[int, Range(minimum=1)] = 40
    """Most tokens in a prompt. Rows with longer ones are dropped, or their prompts lose their first tokens,
    as --corpus.long-sequences says."""


def prepare_table(settings: TableCorpusSettings) -> PreparedCorpus:
    """Prepare the files that the settings name.

    Raises:
        ValueError: No training file is named, or a row cannot be used; names file and line.
    """
    texts = read_parts(settings, lambda path: read_completions(path, settings))
    parts = [lines for lines in (texts.train, texts.validation, texts.test) if lines is not None]
    for lines in parts:
        if (lines.prompts is None) != (texts.train.prompts is None):
            has, lacks = (lines, texts.train) if lines.prompts else (texts.train, lines)
            raise ValueError(f"{lacks.source}: has no column {settings.prompt_column!r}, as {has.source} has")
        if missing := [name for name in texts.train.columns if name not in lines.columns]:
            raise ValueError(f"{lines.source}: has no column {missing[0]!r}, as {texts.train.source} has")
    return prepare_texts(
        texts, settings, test_size=settings.test_size, max_prompt_length=settings.max_prompt_length
    )


def read_completions(path: Path, settings: TableCorpusSettings) -> Lines:
    """Return the rows of a file as completions, with their prompts where there is such a column.

    Raises:
        ValueError: A row lacks its completion or its prompt, or they are no text.
    """
    table = read_table(path)
    has_prompts = any(settings.prompt_column in row for row in table.rows)
    if not has_prompts and settings.prompt_column != TableCorpusSettings.prompt_column:
        known = ", ".join(map(repr, table.rows[0]))
        raise ValueError(
            f"--corpus.prompt-column: {path} has no column {settings.prompt_column!r}; it has {known}"
        )
    completions = table.texts(settings.completion_column)
    if not has_prompts:
        return Lines(str(path), completions, numbers=table.numbers)
    names = dict.fromkeys(name for row in table.rows for name in row)
    columns = {name: [row.get(name) for row in table.rows] for name in names}
    prompts = table.texts(settings.prompt_column)
    return Lines(str(path), completions, prompts, columns, table.numbers)


def read_prompts(path: Path, column: str) -> list[str]:
    """Return the prompts in a file: the lines of a text file, or a column of a table.

    A table that lacks the column may have that of the files that `generate` writes, ``prompt``.

    Raises:
        ValueError: The file cannot be used.
    """
    if not _format(path):
        return read_lines(path).lines
    table = read_table(path)
    written_here = column not in table.rows[0] and WRITTEN in table.rows[0]
    return table.texts(WRITTEN if written_here else column)


@dataclass(frozen=True)
class Table:
    """The rows of a file, each with the line at which it begins."""

    path: Path
    rows: list[Row]
    numbers: list[int]

    def texts(self, column: str) -> list[str]:
        """Return the entries of a column.

        Raises:
            ValueError: One is missing, or is no text.
        """
        for row, number in zip(self.rows, self.numbers, strict=True):
            if column in row and row[column] is None:
                raise ValueError(f"{self.path}, line {number}: {column!r} is null; it must be text")
            if column not in row:
                known = ", ".join(map(repr, row)) or "nothing"
                raise ValueError(f"{self.path}, line {number}: has no {column!r}; it holds {known}")
            if not isinstance(row[column], str):
                kind = type(row[column]).__name__
                raise ValueError(f"{self.path}, line {number}: {column!r} is a {kind}; it must be text")
        return [row[column] for row in self.rows]


def read_table(path: Path) -> Table:
    """Return the rows of a JSON Lines or CSV file; blank lines are left out.

    Raises:
        ValueError: The name tells of neither format, or the file is damaged; names file and line.
    """
    suffix = _format(path)
    if not suffix:
        raise ValueError(f"{path}: must end with {', '.join([*JSON_LINES, *DELIMITERS])}, or .gz behind that")
    text = read_text(path)
    rows = _json_rows(text, path) if suffix in JSON_LINES else _csv_rows(text, path, DELIMITERS[suffix])
    numbers, found = [], []
    for number, row in rows:
        numbers.append(number)
        found.append(row)
    if not found:
        raise ValueError(f"{path}: holds no row")
    return Table(path, found, numbers)


def _format(path: Path) -> str:
    """Return the end of a table's name that tells of its format; empty for other files."""
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    return suffix if suffix in (*JSON_LINES, *DELIMITERS) else ""


def _as_row(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object of distinct names."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(name for name in names if names.count(name) > 1)!r} comes twice")
    return row


def _json_rows(text: str, path: Path) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line, object_pairs_hook=_as_row)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}, line {number}: is no JSON: {first_line(error)}") from error
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {number}: is no JSON object")
            if "\\ud" in line.lower() and LONE_SURROGATE.search(json.dumps(row, ensure_ascii=False)):
                raise ValueError(
                    f"{path}, line {number}: holds half of a surrogate pair, which is no character"
                )
            yield number, row


def _csv_rows(text: str, path: Path, delimiter: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        number = reader.line_num + 1
        try:
            entries = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{path}, line {number}: is no CSV: {error}") from error
        if entries is None:
            return
        if not entries:
            continue
        if not header:
            header = entries
            if len(set(header)) < len(header) or not all(header):
                raise ValueError(f"{path}, line {number}: names of columns must differ and not be empty")
        elif len(entries) != len(header):
            raise ValueError(f"{path}, line {number}: has {len(entries)} entries for {len(header)} columns")
        else:
            yield number, dict(zip(header, entries, strict=True))
