"""Rewards of text: plain functions of completions, as TRL's trainers call them."""

import asyncio
import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from seqgan.runtime.files import first_line
from seqgan.text.token_batch import TokenBatch

TextFunction = Callable[..., Sequence[float]]
Rows = dict[str, list[Any]]  # one entry per row under each argument's name
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
ALWAYS = ("prompts", "completions", "completion_ids")  # columns that every batch has
ABOUT_TRAINING = ("trainer_state", "log_metric", "log_extra")
SHOWN_CHARACTERS = 60  # of a completion in an error message


@runtime_checkable
class Decoder(Protocol):
    """An object that turns token ids into text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        ...


@dataclass
class TrainerState:
    """How far training has come: what TRL's functions read of ``transformers.TrainerState``."""

    global_step: int = 0
    """Policy steps taken."""
    max_steps: int = 0
    """Policy steps in all."""


class TextReward:
    """A reward from a function of texts: ``f(completions, **columns) -> list of numbers``.

    The function, which may be async, is called by keyword as in TRL: ``completions``, ``prompts`` (empty
    texts where there are none), ``completion_ids``, ``trainer_state``, ``log_metric`` and every column of the
    corpus, of which it gets those that it names, or all where it takes ``**kwargs``. A first parameter of
    another name takes the completions. ``log_metric(name, value)`` logs the mean over a policy step as
    ``reward/name``; ``log_extra(column, values)`` is accepted, and its columns are not kept. Where neither
    prompts nor columns tell rows apart, equal sequences are scored once. ``columns`` are the names of those
    that batches will have; without them the first batch tells.

    Raises:
        ValueError: The function asks for a column that the corpus lacks, raises, or returns anything but
            one finite number, or None, per completion; one line that names it and the first bad completion.
    """

    def __init__(
        self,
        function: TextFunction,
        *,
        language: Decoder,
        name: str,
        max_steps: int = 0,
        columns: Iterable[str] | None = None,
    ) -> None:
        self.function = function
        self.language = language
        self.name = name
        self.parameters = list(inspect.signature(function).parameters.values())
        self.trainer_state = TrainerState(max_steps=max_steps)
        self.logged: dict[str, list[float]] = {}
        if columns is not None:  # known before the first batch, so that a missing one is found at once
            if taken := {*columns} & {*ALWAYS, *ABOUT_TRAINING}:
                raise ValueError(
                    f"reward {name}: the corpus has a column {min(taken)!r}, which is the name of an "
                    "argument that every reward is given; rename the column"
                )
            self._arguments({name: [] for name in (*columns, *ALWAYS)})

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the function's number for each sequence; 0 where it does not apply."""
        return self.scores(batch).nan_to_num(nan=0.0)

    def scores(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the function's number for each sequence; NaN where it gave None: does not apply."""
        ids = _real_tokens(batch)
        if batch.prompt is not None or batch.columns:
            scores = self._score(self._rows(ids, batch))
        else:
            distinct = list(dict.fromkeys(ids))
            found = dict(zip(distinct, self._score(self._rows(distinct, batch)), strict=True))
            scores = [found[sequence] for sequence in ids]
        return torch.tensor(scores, dtype=torch.float32, device=batch.device)

    def finish_step(self) -> Mapping[str, float]:
        """Count a policy step; return the means of what the function has logged in it."""
        self.trainer_state.global_step += 1
        found = {f"reward/{name}": sum(values) / len(values) for name, values in self.logged.items()}
        self.logged.clear()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return how many policy steps there were, and what has been logged since."""
        logged = {name: list(values) for name, values in self.logged.items()}
        return {"global_step": self.trainer_state.global_step, "logged": logged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.trainer_state.global_step = state["global_step"]
        self.logged = {name: list(values) for name, values in state["logged"].items()}

    def _log_metric(self, name: object, value: object) -> None:
        if isinstance(name, str) and isinstance(value, numbers.Real) and _is_finite(value):
            self.logged.setdefault(name, []).append(float(value))
        else:
            raise TypeError(f"log_metric takes a name and a finite number, not {name!r} and {value!r}")

    def _log_extra(self, column: str, values: Sequence[Any]) -> None:
        """Take what TRL would print beside its completions."""

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
            result = self._call(positional, keywords)
        except (Exception, SystemExit) as error:  # somebody else's code may fail in any way
            culprit = self._first_that_raises(rows)
            raise ValueError(
                f"reward {self.name}: raised {type(error).__name__}: {first_line(error)}{culprit}"
            ) from error
        return self._numbers(result, rows["completions"])

    def _call(self, positional: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        result = self.function(*positional, **keywords)
        if not inspect.iscoroutine(result):
            return result
        return asyncio.run(result)

    def _arguments(self, columns: Rows) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments that the function takes, by place and by keyword."""
        rows: dict[str, Any] = {
            "trainer_state": self.trainer_state,
            "log_metric": self._log_metric,
            "log_extra": self._log_extra,
            **columns,
        }
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
                self._call(positional, keywords)
            except (Exception, SystemExit):
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
            if value is not None and not (isinstance(value, numbers.Real) and _is_finite(value)):
                raise ValueError(
                    f"reward {self.name}: returned {_abbreviated(value)} for the completion "
                    f"{_shown(completion)}; it must be a finite number"
                )
        return [math.nan if value is None else float(value) for value in values]


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
