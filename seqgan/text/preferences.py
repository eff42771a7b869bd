"""Preferences: pairs of sequences, of which one is better than the other."""

from pathlib import Path

import numpy as np
from jaxtyping import Int64

from seqgan.text.batching import pad_part
from seqgan.text.context import Context, Part
from seqgan.text.language import Language
from seqgan.text.sequences import Sequences
from seqgan.text.table_corpus import Table, read_table
from seqgan.text.token_batch import TokenBatch

CHOSEN, REJECTED, PROMPT = "chosen", "rejected", "prompt"  # the names of the columns


class Preferences:
    """N pairs of sequences of a corpus, each pair with its prompt where the corpus has prompts."""

    def __init__(self, chosen: Part, rejected: Part) -> None:
        self.chosen = chosen
        self.rejected = rejected

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, rows: Int64[np.ndarray, "R"], pad_id: int, length: int) -> TokenBatch:
        """Return the pairs named as 2R sequences of one width: all chosen ones, then the rejected ones."""
        prompts = [part.context.prompts for part in (self.chosen, self.rejected) if part.context]
        longest = max((int(part.lengths.max(initial=0)) for part in prompts), default=0)
        sides = (
            pad_part(part.select(rows), pad_id, length, longest) for part in (self.chosen, self.rejected)
        )
        return TokenBatch.concatenate(list(sides))


def read_preferences(path: Path, language: Language) -> Preferences:
    """Read pairs from a JSON Lines or CSV file with the columns ``chosen``, ``rejected`` and ``prompt``.

    The last is there if the corpus has prompts.

    Raises:
        ValueError: A row lacks a side, both sides are equal, or one does not fit the corpus; names the line.
    """
    table = read_table(path)
    if not language.max_prompt_length and any(PROMPT in row for row in table.rows):
        raise ValueError(f"{path}: has a column {PROMPT!r}, and the corpus has no prompts")
    sides = {name: _encode(table, name, language) for name in (CHOSEN, REJECTED)}
    for row, number in enumerate(table.numbers):
        if sides[CHOSEN][row] == sides[REJECTED][row]:
            raise ValueError(
                f"{path}, line {number}: chosen and rejected are the same sequence in the corpus's words"
            )
    context = None
    if language.max_prompt_length:
        prompts = [
            language.encode_prompts([text], f"{path}, line {number}").tokens[0].tolist()
            for text, number in zip(table.texts(PROMPT), table.numbers, strict=True)
        ]
        context = Context(Sequences.from_lists(prompts))
    return Preferences(*(Part(Sequences.from_lists(ids), context) for ids in sides.values()))


def _encode(table: Table, column: str, language: Language) -> list[list[int]]:
    found = []
    for text, number in zip(table.texts(column), table.numbers, strict=True):
        try:
            ids = language.encode(text)
        except ValueError as error:
            raise ValueError(f"{table.path}, line {number}: {column}: {error}") from error
        if not 0 < len(ids) <= language.max_length:
            raise ValueError(
                f"{table.path}, line {number}: {column} has {len(ids)} tokens, the end included; sequences "
                f"of the corpus have 1 to {language.max_length}"
            )
        found.append(ids)
    return found
