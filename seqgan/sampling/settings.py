"""How the policy is sampled in training, and in which number format anywhere."""

from dataclasses import dataclass
from typing import Annotated

from seqgan.config.ranges import Range
from seqgan.models.kernels.fast_linear import Precision


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """Sampling of the policy."""

    temperature: Annotated[float, Range(minimum=0, open=True)] = 1.0
    """Softmax temperature of the policy in training: of its samples, rollouts, candidates and negatives."""
    precision: Precision = "float32"
    """Number format of the product with the vocabulary wherever tokens are drawn: float32, or bfloat16 where
    the CPU is fast at it."""
