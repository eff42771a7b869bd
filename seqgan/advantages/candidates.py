"""Rewards of alternatives to each token of a sequence, judged as they stand."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.rewards.reward import Reward
from seqgan.runtime import devices


def alternative_values(
    tokens: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    alternatives: Int[Tensor, "B T K"],
    reward: Reward,
) -> Float[Tensor, "B T K"]:
    """The reward of y_1..y_{t-1} followed by each of K alternatives for y_t; 0 behind the mask.

    Nothing is completed: the prefix is judged as if it were the whole, which says what its last token
    is worth and leaves out what it is good for later. So K tokens are judged for the price of K rewards,
    without the variance of rollouts.
    """
    num_steps, num_alternatives = alternatives.shape[1:]
    values = torch.zeros(alternatives.shape, device=tokens.device)
    for step in range(num_steps):
        rows = rows_that_reach(mask, step)
        prefixes = tokens[rows, None, : step + 1].repeat(1, num_alternatives, 1)
        prefixes[:, :, step] = alternatives[rows, step]
        kept = mask[rows, None, : step + 1].expand_as(prefixes)
        rewards = reward(prefixes.flatten(0, 1), kept.flatten(0, 1))
        values[rows, step] = rewards.view(len(prefixes), num_alternatives)
    return torch.where(mask[..., None], values, 0.0)


def rows_that_reach(mask: Bool[Tensor, "B T"], step: int) -> Int[Tensor, "R"]:
    """The sequences with a token at that step; all of them where asking would halt the device."""
    rows = torch.arange(len(mask), device=mask.device)
    return rows[mask[:, step]] if not devices.static_shapes(mask) else rows
