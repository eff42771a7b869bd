"""The highway layer (Srivastava et al. 2015)."""

import torch
from jaxtyping import Float
from torch import Tensor

from seqgan.models.kernels.fast_linear import fast_linear


def highway(
    inputs: Float[Tensor, "*N F"], weight: Float[Tensor, "twoF F"], bias: Float[Tensor, "twoF"]
) -> Float[Tensor, "*N F"]:
    """Mix an input with a transformed one, by a gate that is learned (Srivastava et al. 2015)."""
    return highway_mix(inputs, fast_linear(inputs, weight, bias))


def highway_mix(
    inputs: Float[Tensor, "*N F"], transformed: Float[Tensor, "*N twoF"]
) -> Float[Tensor, "*N F"]:
    """Compute the highway layer behind its product, in which candidate and gate lie side by side."""
    candidate, gate = transformed.chunk(2, -1)
    return torch.lerp(inputs, candidate.relu(), gate.sigmoid())  # (1 − gate)·input + gate·candidate
