"""Masks: True on real tokens, up to and including EOS. Nothing depends on what lies behind them."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def mask_from_lengths(lengths: Int[Tensor, "B"], num_steps: int) -> Bool[Tensor, "B T"]:
    """Return True at the first ``lengths[b]`` of ``num_steps`` positions."""
    return torch.arange(num_steps, device=lengths.device) < lengths[:, None]


def mask_from_tokens(tokens: Int[Tensor, "B T"], eos_id: int | None) -> Bool[Tensor, "B T"]:
    """Return True up to and including the first EOS; everywhere in a row that has none."""
    if eos_id is None:
        return torch.ones_like(tokens, dtype=torch.bool)
    is_eos = (tokens == eos_id).int()
    return (is_eos.cumsum(1) - is_eos) == 0  # no EOS before the position


def masked_mean(values: Float[Tensor, "..."], mask: Bool[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return the mean over the positions where ``mask`` is True; 0 where there is none."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def masked_whiten(values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Shift and scale to mean 0 and (biased) variance 1 over the mask; 0 outside it."""
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean).square(), mask)
    return torch.where(mask, (values - mean) * torch.rsqrt(variance + 1e-8), 0.0)
