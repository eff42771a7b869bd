"""A linear layer for inputs that are mostly zero."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

PANEL_ELEMENTS = 2**18  # weights gathered from at a time: 1 MB, which a second-level cache keeps
HAS_FAST_BAG = "fbgemm" in torch.backends.quantized.supported_engines


def sparse_pays(weight: Tensor) -> bool:
    """Return whether :func:`sparse_linear` is fast with a weight like this: where torch's embedding bag is.

    There it beats a matrix product on inputs of which less than about a third are not 0.
    """
    return HAS_FAST_BAG and weight.device.type == "cpu" and weight.dtype == torch.float32


def panels(weight: Float[Tensor, "O I"]) -> tuple[Tensor, ...]:
    """Lay out a weight for :func:`sparse_linear`: a copy without gradient, sliced by outputs to (I, P).

    A column of the weight is a row of every panel, so that it lies together in memory; P is small enough
    for a panel to stay in the cache while all rows of inputs pass by.
    """
    size = max(32, PANEL_ELEMENTS // weight.shape[1] // 32 * 32)  # a multiple of the vector width
    slices = torch.split(weight.detach(), size)
    return tuple(rows.t().clone(memory_format=torch.contiguous_format) for rows in slices)


def sparse_linear(inputs: Float[Tensor, "B I"], weight: tuple[Tensor, ...]) -> Float[Tensor, "B O"]:
    """Return ``inputs @ weight.T`` for the :func:`panels` of a weight, on a CPU: zeros cost next to nothing.

    For every row the weight's columns of its other inputs are added up, in the order of the columns, so
    that a row's result does not depend on the rows beside it.
    """
    used = inputs != 0
    places = torch.from_numpy(np.flatnonzero(used.numpy()))  # (N,) of B·I; several times faster than torch's
    ends = functional.pad(used.sum(1).cumsum(0), (1, 0))  # row b's entries are ends[b] to ends[b + 1]
    values, columns = inputs.flatten()[places], places % inputs.shape[1]
    return torch.cat(
        [  # each bag is a row: the sum of its values times their rows of the panel, (B, P)
            functional.embedding_bag(
                columns, panel, ends, mode="sum", per_sample_weights=values, include_last_offset=True
            )
            for panel in weight
        ],
        1,
    )
