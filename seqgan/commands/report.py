"""What people see of an evaluation: one table, the signature, and sentences."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqgan.evaluation.evaluator import EvaluationResult
from seqgan.files import write_atomically
from seqgan.metrics import METRICS

MEANINGS = {
    name.removeprefix("evaluation/"): meaning
    for name, meaning in METRICS.items()
    if name.startswith("evaluation/")
}
SUMMARY = (
    *("nll_oracle", "nll_test", "kl_q_p", "kl_p_q", "jeffreys", "entropy"),
    *("bleu_4", "self_bleu_4", "bleu_5", "self_bleu_5", "backward_bleu_4", "ms_jaccard_4"),
    *("forward_perplexity", "reverse_perplexity", "distinct_2", "unique", "novelty", "longest_copied"),
    "mean_length",
)
"""What `train` shows: quality beside diversity; `evaluate` shows everything."""


def table(columns: Mapping[str, Mapping[str, Any]], names: Collection[str] = MEANINGS) -> str:
    """Metrics as rows and generators as columns, in Markdown; those of ``names`` that were measured."""
    names = [name for name in names if any(name in values for values in columns.values())]
    label_width = max(len(MEANINGS[name]) for name in names)
    widths = [max(len(title), 8) for title in columns]
    lines = [
        _row("metric".ljust(label_width), [t.rjust(w) for t, w in zip(columns, widths, strict=True)]),
        _row("-" * label_width, ["-" * (w - 1) + ":" for w in widths]),
    ]
    for name in names:
        cells = [
            (f"{values[name]:.4f}" if name in values else "").rjust(w)
            for values, w in zip(columns.values(), widths, strict=True)
        ]
        lines.append(_row(MEANINGS[name].ljust(label_width), cells))
    return "\n".join(lines)


def _row(label: str, cells: Sequence[str]) -> str:
    return f"| {label} | {' | '.join(cells)} |"


def save_result(path: Path, name: str, result: EvaluationResult) -> dict[str, Any]:
    """Write one evaluation as JSON, and give its content."""
    content = {"generator": name, **result.score.as_json(), "sentences": list(result.sentences)}
    write_atomically(path, lambda file: file.write((json.dumps(content, indent=1) + "\n").encode()))
    return content


def read_result(path: Path, *, newer_than: Path) -> dict[str, Any] | None:
    """What :func:`save_result` wrote after the file ``newer_than``; None where there is nothing whole."""
    try:
        if path.stat().st_mtime_ns <= newer_than.stat().st_mtime_ns:
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(content, dict) and {"signature", "sentences"} <= content.keys()
    return content if whole else None


def signatures(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """How the numbers were made: once where all columns agree, else column by column."""
    found = {title: str(content["signature"]) for title, content in columns.items()}
    if len(set(found.values())) == 1:
        return f"signature: {next(iter(found.values()))}"
    return "\n".join(f"signature of {title}: {signature}" for title, signature in found.items())


def print_sentences(title: str, sentences: Sequence[str]) -> None:
    """A title and sentences below it."""
    print(f"\n{title}")
    for sentence in sentences:
        print(f"  {sentence}")
