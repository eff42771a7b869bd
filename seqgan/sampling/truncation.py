"""Truncated distributions: top-k and top-p (nucleus) sets of tokens."""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seqgan.runtime import devices


def truncate_logits(
    logits: Float[Tensor, "R V"], top_k: int | None, top_p: float | None
) -> Float[Tensor, "R V"]:
    """Rule out all but the ``top_k`` likeliest tokens, then all but the smallest set of mass ``top_p``.

    The likeliest token always stays (Holtzman et al. 2020 for ``top_p``).
    """
    if top_k is not None and top_k < logits.shape[-1]:
        values, indices = logits.topk(top_k, -1)
        logits = torch.full_like(logits, -math.inf).scatter(-1, indices, values)
    if top_p is not None and top_p < 1:
        logits = _keep_mass(logits, top_p)
    return logits


def _keep_mass(logits: Float[Tensor, "R V"], top_p: float) -> Float[Tensor, "R V"]:
    """Rule out all but the smallest set of mass ``top_p``; of equal logits the first ones belong to it.

    On a CPU numpy sorts the values alone, many times faster than torch, which carries indices along;
    rows where the last value kept comes several times are then done by indices.
    """
    if devices.static_shapes(logits):
        return _keep_mass_by_indices(logits, top_p)
    values = torch.from_numpy(np.sort(logits.detach().numpy(), -1)).flip(-1)  # (R, V), descending
    num_kept = (~_outside(values, top_p)).sum(-1, keepdim=True)  # (R, 1), at least 1
    kept = logits >= values.gather(-1, num_kept - 1)  # the last value kept, and all that are no smaller
    truncated = logits.masked_fill(~kept, -math.inf)
    tied = (kept.sum(-1, keepdim=True) != num_kept).squeeze(-1)
    truncated[tied] = _keep_mass_by_indices(logits[tied], top_p)
    return truncated


def _keep_mass_by_indices(logits: Float[Tensor, "R V"], top_p: float) -> Float[Tensor, "R V"]:
    values, indices = logits.sort(stable=True, dim=-1, descending=True)
    outside = _outside(values, top_p)
    return logits.masked_fill(torch.zeros_like(outside).scatter(-1, indices, outside), -math.inf)


def _outside(values: Float[Tensor, "R V"], top_p: float) -> Bool[Tensor, "R V"]:
    """Return True on those of the descending logits that come behind the mass; never on the first."""
    masses = values.softmax(-1)
    before = masses.cumsum(-1) - masses  # what lies before a token is enough without it
    return (before >= top_p) & (before > 0)  # the smallest top_p are 0 in float32
