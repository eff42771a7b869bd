"""Settings of sampling while a policy learns."""

from dataclasses import dataclass
from typing import Annotated

from seqgan.config.ranges import Range
from seqgan.models.kernels.fast_linear import Precision


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How sequences are drawn in training: trajectories, rollouts, candidates and negatives."""

    temperature: Annotated[float, Range(minimum=0, open=True)] = 1.0
    """Softmax temperature of the policy that acts and learns; more than 0."""
    precision: Precision = "float32"
    """Number format of the product with the vocabulary: float32, or bfloat16 where the CPU is fast at it."""
