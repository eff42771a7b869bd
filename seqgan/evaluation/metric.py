"""One metric: what it is called, what it says, which values are better, and how it is measured of text.

A metric of text is a function of a :class:`seqgan.evaluation.texts.TextPair`; a function of two lists of
sentences becomes one by :func:`as_metric`.
"""

import inspect
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from seqgan.evaluation.signature import Estimate, Signature
from seqgan.evaluation.texts import TextPair

Side = Literal["quality", "diversity", "both sides", "likelihood", "copies", "lengths", "words", ""]
Sizes = tuple[Literal["hypotheses", "references"], ...]
TextFunction = Callable[[list[str], list[str]], float | Sequence[float]]
RETURN = re.compile(r"^(Return|Compute|Measure)s? (the |an? )?")  # how docstrings begin, and labels do not
EQUAL = ("protocol", "tokenizer", "case", "smoothing", "language_model", "dimensions", "mauve")
"""Parts of a signature without which no metric is comparable."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: what it is called, what it says, and, where it is one of text, how it is measured."""

    name: str
    """Without its group."""
    meaning: str
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    """Which values are better; empty where neither are."""
    side: Side = ""
    """Whether it shows quality, which can be bought with diversity, diversity, or both; or something else."""
    heading: str = ""
    """Under which a report lists it."""
    over: Literal["samples", "references", ""] = ""
    """Whose mean it is: its sentence values belong to the generated sentences, or to the references."""
    sizes: Sizes = ()
    """Numbers of sentences that its expected value depends on."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """Where its intervals end, if they rest on a linear approximation that knows no bounds."""
    needs: Literal["an oracle", "features", "a language model", "a mixture", ""] = ""
    """Without which it is not measured."""
    in_summary: bool = False
    """Whether it stands in short tables: a metric for each side, and what may be wrong with all of them."""
    order: int | None = None
    """Of the n-grams that it is of."""
    measure: Callable[[TextPair], Estimate | None] | None = None
    """Measure it of generated beside real text; None where these texts lack what it takes."""

    @property
    def label(self) -> str:
        """Meaning, unit and better side in one line, such as ``NLL-test, nats per token (lower)``."""
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.meaning}{unit}" + (f" ({self.better})" if self.better else "")

    @property
    def lower_is_better(self) -> bool:
        """Whether lower values are better.

        Raises:
            ValueError: Neither are.
        """
        if not self.better:
            raise ValueError(f"the metric {self.name} has no better side")
        return self.better == "lower"

    def why_incomparable(self, first: Signature, second: Signature) -> str:
        """Return why two values of it must not be compared, in words; nothing where they may.

        A verdict such as "better" needs equal circumstances, and equal numbers of whatever sentences its
        expected value depends on: self-BLEU rises with the number of samples, BLEU with that of references. A
        mean over references needs the same of them.
        """
        sizes = {*self.sizes, *(["references"] if self.over == "references" else [])}
        different = [
            f"{name.replace('_', ' ')} {getattr(first, name)} and {getattr(second, name)}"
            for name in (*EQUAL, *sorted(sizes))
            if getattr(first, name) != getattr(second, name)
        ]
        return ", ".join(different)


def labelled(name: str, label: str, **about: Any) -> Metric:
    """Build a metric from its label, which may end with its better side: ``(lower)`` or ``(higher)``."""
    meaning, _, better = label.partition(" (")
    if better not in ("lower)", "higher)"):
        return Metric(name=name, meaning=label, **about)
    return Metric(name=name, meaning=meaning, better="lower" if better == "lower)" else "higher", **about)


def as_metric(value: object) -> Metric:
    """Return the metric that an object stands for: a :class:`Metric`, or a function of sentences.

    The function takes the generated and the real sentences, and returns one number, or one for each generated
    sentence, whose mean it then is. Its name is the metric's; the first line of its docstring says what it
    means, and may end with ``(lower)`` or ``(higher)``, the better side. "Return the" in front is no part
    of it.

    Raises:
        ValueError: It is neither, or has no name that a column can have.
    """
    if isinstance(value, Metric):
        metric = value
    elif inspect.iscoroutinefunction(value):
        raise ValueError(f"{value.__name__} is an async function; it must be a plain one")
    elif callable(value):
        name = getattr(value, "__name__", type(value).__name__)
        first_line = (inspect.getdoc(value) or ".").splitlines()[0].rstrip(".")
        label = RETURN.sub("", first_line) or name.replace("_", " ")
        label = label[0].upper() + label[1:]
        measure = partial(_measure_function, value, name)
        metric = own_metric(name, label, measure=measure)
    else:
        raise ValueError(
            f"{value!r} is no metric: it must be a function of two lists of sentences, or a Metric"
        )
    if not metric.name.isidentifier() or metric.name.endswith(("_error", "_low", "_high")):
        raise ValueError(
            f"{metric.name!r} cannot be the name of a metric: it must be letters, digits and _, and not end "
            "with _error, _low or _high"
        )
    return metric


def own_metric(name: str, label: str, **about: Any) -> Metric:
    """Build a user's metric: nothing is known of what its value depends on, so all sizes must be equal."""
    return labelled(
        name,
        label,
        heading="Your own",
        over="samples",
        sizes=("hypotheses", "references"),
        in_summary=True,
        **about,
    )


def _measure_function(function: TextFunction, name: str, texts: TextPair) -> Estimate:
    """Call a stranger's function and check what it returns."""
    hypotheses, references = texts.sentences, texts.real.sentences
    try:
        found = np.asarray(function(list(hypotheses), list(references)), np.float64)
    except Exception as error:  # somebody else's function may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"metric {name}: fails on {len(hypotheses)} sentences: {reason}") from error
    if found.shape not in ((), (len(hypotheses),)):
        raise ValueError(
            f"metric {name}: gives an array {found.shape}; it must give one number, or one for each of the "
            f"{len(hypotheses)} generated sentences"
        )
    if not np.isfinite(found).all():
        raise ValueError(f"metric {name}: gives {found[~np.isfinite(found)][0]}; numbers must be finite")
    return Estimate.mean(found) if found.ndim else Estimate(float(found))
