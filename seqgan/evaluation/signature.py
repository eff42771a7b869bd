"""The standard error of every reported number, and a signature of how it was measured.

Values of different signatures are not comparable (the idea is sacrebleu's: Post 2018, "A call for clarity in
reporting BLEU scores").
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

import seqgan

NUMBERS: Mapping[str, type] = {
    **dict.fromkeys(("hypotheses", "references", "top_k", "dimensions", "seed", "resamples"), int),
    **dict.fromkeys(("top_p", "confidence"), float),
}


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The circumstances on which a metric's value depends; what does not apply is None and not written.

    As text: ``hypotheses:10000|references:10000|tokenizer:treebank|case:kept|version:0.2.0``.
    """

    protocol: str | None = None
    """Where not all sentences count: a name from `seqgan.evaluation.protocols`."""
    hypotheses: int | None = None
    """Generated sequences."""
    references: int | None = None
    """Real sequences they are compared with."""
    tokenizer: str | None = None
    """How text was cut into tokens."""
    case: str | None = None
    """``kept`` or ``lower``."""
    smoothing: str | None = None
    """What takes the place of a zero n-gram precision."""
    temperature: float | str | None = None
    """Softmax temperature at which the generator was sampled and scored, with its name where it has one."""
    top_k: int | None = None
    """Likeliest tokens that it was sampled among."""
    top_p: float | None = None
    """Share of the probability that it was sampled among."""
    language_model: str | None = None
    """Folder of the language model whose perplexity it is."""
    hypothesis_features: str | None = None
    """What the feature vectors of the generated sequences come from: a file, or the name of an encoder."""
    reference_features: str | None = None
    """The same of the real ones."""
    dimensions: int | None = None
    """Of the feature vectors."""
    mauve: str | None = None
    """Version of the package mauve-text."""
    seed: int | None = None
    """Of a metric that draws random numbers."""
    confidence: float | None = None
    """That an interval covers the value."""
    resamples: int | None = None
    """Of the bootstrap that an interval comes from."""
    version: str = seqgan.__version__
    """Of this package."""

    @classmethod
    def parse(cls, text: str) -> "Signature":
        """Read what :meth:`__str__` wrote; a temperature stays text.

        Raises:
            ValueError: It is no signature.
        """
        circumstances = dict(part.partition(":")[::2] for part in text.split("|"))
        unknown = circumstances.keys() - {f.name for f in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"signature: {text!r} has unknown parts: {', '.join(sorted(unknown))}")
        return cls(**{name: NUMBERS.get(name, str)(value) for name, value in circumstances.items()})

    def __str__(self) -> str:
        circumstances = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return "|".join(
            f"{name}:{_text(value)}" for name, value in circumstances.items() if value is not None
        )


@dataclass(frozen=True)
class Estimate:
    """A figure over a sample of sequences, and how sure it is."""

    value: float
    standard_error: float = math.nan
    """Of the value, over sequences; NaN where nothing is known of it."""
    sentence_values: Float[np.ndarray, "S"] | None = field(default=None, compare=False, repr=False)
    """One for each sequence, where the value is their mean, or is so to first order (:meth:`linear`)."""

    @classmethod
    def mean(cls, values: Float[np.ndarray, "S"]) -> "Estimate":
        """Return the mean of one value for each sequence."""
        return cls(float(values.mean()), _standard_error(values), values)

    @classmethod
    def linear(cls, value: float, influence: Float[np.ndarray, "S"]) -> "Estimate":
        """Return a figure that is no mean, linearised: its sentence values are ``value + influence``.

        ``influence`` says what each sequence adds, to first order, and has the mean 0. The standard error and
        any bootstrap interval are then those of the delta method.
        """
        return cls(value, _standard_error(influence), value + influence)


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval."""

    value: float
    low: float
    high: float

    def within(self, lowest: float, highest: float) -> "Interval":
        """Return the part of it between the bounds of what is possible."""
        return Interval(self.value, max(self.low, lowest), min(self.high, highest))

    def excludes(self, value: float) -> bool:
        """Return whether ``value`` lies outside."""
        return not self.low <= value <= self.high


@dataclass(frozen=True)
class Score:
    """Named values with one signature."""

    values: Mapping[str, float]
    signature: Signature
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    """Of those values that have one."""
    sentence_values: Mapping[str, Float[np.ndarray, "S"]] = field(
        default_factory=dict, compare=False, repr=False
    )
    """For each value that is a mean over sequences, what it is the mean of, in their order."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of those metrics that are the user's own: what tables call them."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """Of those values for which one was asked (see :func:`seqgan.evaluation.bootstrap.with_intervals`)."""

    @classmethod
    def from_estimates(
        cls,
        estimates: Mapping[str, Estimate],
        signature: Signature,
        labels: Mapping[str, str] | None = None,
    ) -> "Score":
        """Build a score from estimates: values, standard errors and sentence values apart."""
        values = {name: estimate.value for name, estimate in estimates.items()}
        errors = {name: e.standard_error for name, e in estimates.items() if not math.isnan(e.standard_error)}
        sentences = {
            name: e.sentence_values for name, e in estimates.items() if e.sentence_values is not None
        }
        return cls(values, signature, errors, sentences, labels or {})

    def scalars(self, group: str) -> dict[str, float]:
        """Return the values as ``group/name``, for a tracker."""
        return {f"{group}/{name}": value for name, value in self.values.items()}

    def as_json(self) -> dict[str, float | str]:
        """Return the values by name, ``name_error`` for each standard error, and ``signature``.

        ``name_low`` and ``name_high`` are the bounds of an interval.
        """
        errors = {f"{name}_error": error for name, error in self.standard_errors.items()}
        low = {f"{name}_low": interval.low for name, interval in self.intervals.items()}
        high = {f"{name}_high": interval.high for name, interval in self.intervals.items()}
        return {**self.values, **errors, **low, **high, "signature": str(self.signature)}


def _standard_error(values: Float[np.ndarray, "S"]) -> float:
    """Return the standard error of the mean; NaN of fewer than two values."""
    return float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else math.nan


def _text(value: int | float | str) -> str:
    """Write a part of a signature; the sign that divides parts, which a file name may hold, becomes ``_``."""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("|", "_")
