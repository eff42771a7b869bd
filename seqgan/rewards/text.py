"""Rewards of text: plain functions of completions, as TRL's trainers call them."""

import inspect
import numbers
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from seqgan.runtime.files import first_line
from seqgan.text.token_batch import TokenBatch

TextFunction = Callable[..., Sequence[float]]
Rows = dict[str, list[Any]]  # one entry per row under each argument's name
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
SHOWN_CHARACTERS = 60  # of a completion in an error message


@runtime_checkable
class Decoder(Protocol):
    """An object that turns token ids into text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        ...


class TextReward:
    """A reward from a function of texts: ``f(completions, **columns) -> list of numbers``.

    The function is called by keyword as in TRL: ``completions``, ``prompts`` (empty texts where there are
    none), ``completion_ids`` and every column of the corpus, of which it gets those that it names, or all
    where it takes ``**kwargs``. A first parameter of another name takes the completions. Where neither
    prompts nor columns tell rows apart, equal sequences are scored once.

    Raises:
        ValueError: The function asks for a column that the corpus lacks, raises, or returns anything but
            one finite number per completion; one line that names it and the first bad completion.
    """

    def __init__(self, function: TextFunction, *, language: Decoder, name: str) -> None:
        self.function = function
        self.language = language
        self.name = name
        self.parameters = list(inspect.signature(function).parameters.values())

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the function's number for each sequence."""
        ids = _real_tokens(batch)
        if batch.prompt is not None or batch.columns:
            scores = self._score(self._rows(ids, batch))
        else:
            distinct = list(dict.fromkeys(ids))
            found = dict(zip(distinct, self._score(self._rows(distinct, batch)), strict=True))
            scores = [found[sequence] for sequence in ids]
        return torch.tensor(scores, dtype=torch.float32, device=batch.device)

    def _rows(self, ids: Sequence[tuple[int, ...]], batch: TokenBatch) -> Rows:
        prompts = [()] * len(ids) if batch.prompt is None else _real_tokens(batch.prompt)
        return {
            **{name: list(column) for name, column in batch.columns.items()},
            "prompts": [self.language.decode(prompt) if prompt else "" for prompt in prompts],
            "completions": [self.language.decode(sequence) for sequence in ids],
            "completion_ids": [list(sequence) for sequence in ids],
        }

    def _score(self, rows: Rows) -> list[float]:
        # The lists are the function's own, which it may change.
        positional, keywords = self._arguments({name: list(row) for name, row in rows.items()})
        try:
            result = self.function(*positional, **keywords)
        except Exception as error:  # somebody else's code may fail in any way
            culprit = self._first_that_raises(rows)
            raise ValueError(
                f"reward {self.name}: raised {type(error).__name__}: {first_line(error)}{culprit}"
            ) from error
        return self._numbers(result, rows["completions"])

    def _arguments(self, rows: Rows) -> tuple[list[Any], Rows]:
        """Return the arguments that the function takes, by place and by keyword."""
        first = next(iter(self.parameters), None)
        by_place = first is not None and first.kind is not first.VAR_KEYWORD and first.name not in rows
        named = {p.name: p for p in self.parameters[by_place:]}
        takes_all = any(p.kind is p.VAR_KEYWORD for p in named.values())
        for name, parameter in named.items():
            required = parameter.default is parameter.empty and parameter.kind in NAMED
            if required and name not in rows:
                known = ", ".join(sorted(rows))
                raise ValueError(f"reward {self.name}: takes {name!r}, which is no column; there are {known}")
        chosen = {name: rows[name] for name in rows if takes_all or name in named}
        if not by_place:
            return [], chosen
        chosen.pop("completions", None)
        return [rows["completions"]], chosen

    def _first_that_raises(self, rows: Rows) -> str:
        """Return which completion makes the function raise, as words for an error; empty where none does."""
        for number, completion in enumerate(rows["completions"]):
            positional, keywords = self._arguments({name: [row[number]] for name, row in rows.items()})
            try:
                self.function(*positional, **keywords)
            except Exception:
                return f" (completion {_shown(completion)})"
        return ""

    def _numbers(self, result: Any, completions: Sequence[str]) -> list[float]:
        values = result.tolist() if hasattr(result, "tolist") else result
        if not isinstance(values, Sequence) or isinstance(values, str | bytes):
            raise ValueError(
                f"reward {self.name}: returned {type(result).__name__}; it must return a list of numbers"
            )
        if len(values) != len(completions):
            raise ValueError(
                f"reward {self.name}: returned {len(values)} numbers for {len(completions)} completions"
            )
        for value, completion in zip(values, completions, strict=True):
            if not isinstance(value, numbers.Real) or not _is_finite(value):
                raise ValueError(
                    f"reward {self.name}: returned {_abbreviated(value)} for the completion "
                    f"{_shown(completion)}; it must be a finite number"
                )
        return [float(value) for value in values]


def _real_tokens(batch: TokenBatch) -> list[tuple[int, ...]]:
    """Return each row's ids without those behind the mask."""
    rows = zip(batch.tokens.tolist(), batch.mask.tolist(), strict=True)
    return [tuple(token for token, real in zip(*row, strict=True) if real) for row in rows]


def _is_finite(value: numbers.Real) -> bool:
    """Return whether a number is finite as a float32, in which rewards are kept."""
    try:
        return abs(float(value)) <= torch.finfo(torch.float32).max
    except OverflowError:  # a whole number of more than 308 digits
        return False


def _abbreviated(value: object) -> str:
    """Return a value as words for an error, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # somebody else's code, or a whole number of more than 4300 digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _shown(completion: str) -> str:
    """Return a completion in quotes on one line, cut where it is long."""
    short = completion if len(completion) <= SHOWN_CHARACTERS else completion[:SHOWN_CHARACTERS] + "…"
    return ascii(short) if not short.isprintable() else repr(short)
