"""Sequences with another last token: every prefix of a batch followed by each of several alternatives."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.runtime import devices
from seqgan.text.token_batch import TokenBatch, replace_tokens


@torch.no_grad()
def score_by_step(
    batch: TokenBatch, alternatives: Int[Tensor, "B T K"], score: Callable[[TokenBatch], Float[Tensor, "N"]]
) -> Float[Tensor, "B T K"]:
    """Return the score of y_1..y_{t-1} followed by each of K alternatives for y_t; 0 behind the mask.

    Every prefix is written out, so that any function of whole sequences will do.
    """
    tokens, mask = batch.tokens, batch.mask
    num_steps, num_alternatives = alternatives.shape[1:]
    scores = torch.zeros(alternatives.shape, device=tokens.device)
    for step in range(num_steps):
        rows = rows_that_reach(mask, step)  # (R,)
        prefixes = tokens[rows, None, : step + 1].repeat(1, num_alternatives, 1)  # (R, K, step + 1)
        prefixes[:, :, step] = alternatives[rows, step]
        real = mask[rows, None, : step + 1].expand_as(prefixes)
        sources = rows.repeat_interleave(num_alternatives)
        found = score(replace_tokens(batch, sources, prefixes.flatten(0, 1), real.flatten(0, 1)))
        scores[rows, step] = found.view(len(prefixes), num_alternatives)
    return torch.where(mask[..., None], scores, 0.0)


def rows_that_reach(mask: Bool[Tensor, "B T"], step: int) -> Int[Tensor, "R"]:
    """Return the sequences with a token at that step; all of them where asking would halt the device."""
    rows = torch.arange(len(mask), device=mask.device)
    return rows[mask[:, step]] if not devices.static_shapes(mask) else rows
