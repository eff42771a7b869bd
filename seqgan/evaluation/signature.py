"""What every reported number carries: its standard error, and a signature of how it was measured.

Values of different signatures are not comparable (the idea is sacrebleu's: Post 2018, "A call for clarity in
reporting BLEU scores").
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import seqgan


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The circumstances on which a metric's value depends; what does not apply is None and not written.

    As text: ``hypotheses:10000|references:10000|tokenizer:treebank|case:kept|version:0.1.0``.
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
    version: str = seqgan.__version__
    """Of this package."""

    def __str__(self) -> str:
        circumstances = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return "|".join(
            f"{name}:{_text(value)}" for name, value in circumstances.items() if value is not None
        )


@dataclass(frozen=True)
class Estimate:
    """A mean over a sample of sequences."""

    value: float
    standard_error: float
    """Of the value, over sequences; NaN where there is only one."""


@dataclass(frozen=True)
class Score:
    """Named values with one signature."""

    values: Mapping[str, float]
    signature: Signature
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    """Of those values that have one."""

    @classmethod
    def from_estimates(cls, estimates: Mapping[str, Estimate], signature: Signature) -> "Score":
        """Values and standard errors apart."""
        values = {name: estimate.value for name, estimate in estimates.items()}
        errors = {name: estimate.standard_error for name, estimate in estimates.items()}
        return cls(values, signature, errors)

    def scalars(self, group: str) -> dict[str, float]:
        """The values as ``group/name``, for a tracker."""
        return {f"{group}/{name}": value for name, value in self.values.items()}

    def as_json(self) -> dict[str, float | str]:
        """The values by name, ``name_error`` for each standard error, and ``signature``."""
        errors = {f"{name}_error": error for name, error in self.standard_errors.items()}
        return {**self.values, **errors, "signature": str(self.signature)}


def _text(value: int | float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
