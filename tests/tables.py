"""Corpora of prompts and completions that a test gives."""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqgan.text.prepared import PreparedCorpus
from seqgan.text.table_corpus import TableCorpusSettings

Rows = Sequence[Mapping[str, Any]]


def write_table(path: Path, rows: Rows) -> Path:
    """Write rows in the format that the name tells of."""
    if ".jsonl" in path.suffixes:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        file = io.StringIO()
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if ".tsv" in path.suffixes else ",")
        writer.writeheader()
        writer.writerows(rows)
        text = file.getvalue()
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def table_settings(path: Path, rows: Rows, **options: Any) -> TableCorpusSettings:
    """Write rows and return the settings of their corpus, cut at white space, all words known."""
    given: dict[str, Any] = {"tokenizer": "whitespace", "min_count": 1}
    return TableCorpusSettings(path=write_table(path, rows), **given | options)


def sums(number: int, largest: int = 9) -> list[dict[str, str]]:
    """Rows of additions, all of them different: ``3 + 4`` is completed by ``is 7``."""
    pairs = [(a, b) for a in range(largest + 1) for b in range(largest + 1)][:number]
    return [{"prompt": f"{a} + {b}", "completion": f"is {a + b}", "sum": str(a + b)} for a, b in pairs]


def rows_of(corpus: PreparedCorpus, part: str) -> list[tuple[str, str, str]]:
    """Return prompt, completion and the column ``sum`` of every row of a part, as text."""
    found, decode = corpus.part(part), corpus.vocabulary.decode
    assert found.context is not None
    return [
        (
            " ".join(decode(found.context.prompts[row])),
            " ".join(decode(found.sequences[row])),
            found.context.columns["sum"][row],
        )
        for row in range(len(found))
    ]
