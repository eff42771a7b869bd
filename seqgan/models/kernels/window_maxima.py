"""Convolutions over tokens and their maximum over time, in the three ways the CNN discriminator needs.

A filter of width k scores every window of k neighbouring tokens. A window counts from the step of
its last token on, so all of this is causal: the maximum over the windows that end at or before
step t belongs to the prefix of t + 1 tokens, and never looks at padding. The maximum starts from
0, which behind a ReLU is neutral, so a prefix shorter than k has the maximum 0.

``weight`` is (n, k·E) with the filter's first tap in its first E columns.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from seqgan.models.kernels.fast_linear import fast_linear


def _window_scores(
    embedded: Float[Tensor, "B T E"], weight: Float[Tensor, "n kE"], bias: Float[Tensor, "n"]
) -> Float[Tensor, "B L n"]:
    """Score every window by one matrix product, on windows laid out side by side (im2col)."""
    batch_size, num_steps, embedding_size = embedded.shape
    width = weight.shape[1] // embedding_size
    # a view (B, L, E, k) of L = T - k + 1 windows, then a copy (B·L, k·E) with a window's tokens side by side
    windows = embedded.unfold(1, width, 1).transpose(2, 3).reshape(-1, width * embedding_size)
    return fast_linear(windows, weight, bias).view(batch_size, num_steps - width + 1, len(weight))


def final_maxima(
    embedded: Float[Tensor, "B T E"],
    mask: Bool[Tensor, "B T"],
    weight: Float[Tensor, "n kE"],
    bias: Float[Tensor, "n"],
) -> Float[Tensor, "B n"]:
    """Return the maximum over all windows that lie inside the mask: the feature of the whole sequence."""
    width = weight.shape[1] // embedded.shape[2]
    if embedded.shape[1] < width:
        return embedded.new_zeros(len(embedded), len(weight))
    scores = _window_scores(embedded, weight, bias)
    # (B, L, n); window l ends at step l + k - 1, and inside the mask if that step is
    scores = scores.masked_fill(~mask[:, width - 1 :, None], 0.0)
    return scores.amax(1).relu()


def running_maxima(
    embedded: Float[Tensor, "B T E"], weight: Float[Tensor, "n kE"], bias: Float[Tensor, "n"]
) -> Float[Tensor, "B T n"]:
    """Return the maximum over the windows that have ended by each step: the feature of every prefix."""
    width = weight.shape[1] // embedded.shape[2]
    if embedded.shape[1] < width:
        return embedded.new_zeros(*embedded.shape[:2], len(weight))
    maxima = _window_scores(embedded, weight, bias).relu()
    if torch.is_grad_enabled():
        maxima = maxima.cummax(1).values
    else:  # several times faster, but not differentiable
        for step in range(1, maxima.shape[1]):
            torch.maximum(maxima[:, step], maxima[:, step - 1], out=maxima[:, step])
    return functional.pad(maxima, (0, 0, width - 1, 0))  # no window has ended in the first k - 1 steps


def tap_table(
    embedding: Float[Tensor, "V E"], weight: Float[Tensor, "n kE"], bias: Float[Tensor, "n"]
) -> Float[Tensor, "Vk n"]:
    """Return what each token adds to the score of a window at each tap, in row ``token·k + tap``.

    The bias is in what the first tap adds.
    """
    embedding_size = embedding.shape[1]
    # (n, k, E) to (k·n, E), taps outside: its product with an embedding is all taps of all filters
    by_tap = weight.view(len(weight), -1, embedding_size).transpose(0, 1).reshape(-1, embedding_size)
    biases = functional.pad(bias, (0, len(by_tap) - len(bias)))
    return fast_linear(embedding, by_tap, biases).view(-1, len(bias))  # (V, k·n) seen as (V·k, n)


def tabled_maxima(
    tokens: Int[Tensor, "B T"], lengths: Int[Tensor, "B"], table: Float[Tensor, "Vk n"], width: int
) -> Float[Tensor, "B n"]:
    """Compute :func:`final_maxima` from a :func:`tap_table`: k additions in place of k·E products.

    Windows that reach behind a sequence's end are replaced by its last one, which leaves the
    maximum as it is.
    """
    num_windows = tokens.shape[1] - width + 1
    if num_windows < 1:
        return table.new_zeros(len(tokens), table.shape[1])
    # (L, B, k) rows of the table, token·k + tap: step-major, so that the maximum runs over the leading
    # dimension, at the speed of memory.
    rows = (tokens.t() * width).unfold(0, width, 1) + torch.arange(width, device=tokens.device)
    varied = int(lengths.min()) < tokens.shape[1]
    if varied:
        last = (lengths - width).clamp(min=0)  # (B,), the last window inside each sequence
        window = torch.arange(num_windows, device=tokens.device)[:, None].minimum(last)  # (L, B)
        rows = rows.gather(0, window[..., None].expand_as(rows))
    scores = functional.embedding_bag(rows.flatten(0, 1), table, mode="sum")  # (L·B, n), k rows each
    maxima = _maximum_and_zero(scores.view(num_windows, len(tokens), -1))
    return maxima.masked_fill_((lengths < width)[:, None], 0.0) if varied else maxima


def _maximum_and_zero(scores: Float[Tensor, "L B n"]) -> Float[Tensor, "B n"]:
    """Return the maximum over the leading dimension, and at least 0.

    Numbers from 0 on are ordered like the integers of the same bits, and those below 0 are negative
    integers. In bfloat16 the integers' maximum is found about four times faster.
    """
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[scores.itemsize]
    return scores.view(integers).amax(0).view(scores.dtype).relu_()
