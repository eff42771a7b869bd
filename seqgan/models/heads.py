"""Heads: the last layer of a generator, from hidden vectors to logits over the vocabulary."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK, linear_cross_entropy
from seqgan.models.kernels.fast_linear import Precision, fast_linear, laid_out

IMPOSSIBLE = -1e4  # a logit whose probability is exactly 0 in float32 and whose p·log p is 0, not NaN


@dataclass(frozen=True)
class ScaledLogits:
    """A head as the token sampler needs it: logits times a constant, padded, with a bound on them."""

    compute: Callable[[Tensor], Tensor]
    """From hidden vectors (R, H) to scaled logits (R, V + padding); those of the padding are −inf."""
    slope: Tensor
    """No scaled logit is larger than ``slope · max|hidden| + offset``; infinite where nothing is known."""
    offset: Tensor


class Head(nn.Module, ABC):
    """A map from hidden vectors to logits, with tokens that it rules out.

    A subclass defines :meth:`forward`, any differentiable map. A linear one is :class:`LinearHead`.
    """

    forbidden_logits: Tensor

    def __init__(self, vocabulary_size: int, forbidden: Sequence[int] = ()) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        forbidden_logits = torch.zeros(vocabulary_size)
        forbidden_logits[list(forbidden)] = IMPOSSIBLE
        self.register_buffer("forbidden_logits", forbidden_logits, persistent=False)

    @abstractmethod
    def forward(self, hidden: Float[Tensor, "*N H"]) -> Float[Tensor, "*N V"]:
        """Compute unnormalised log-probabilities of the next token, forbidden ones like any other."""

    def logits(self, hidden: Float[Tensor, "*N H"]) -> Float[Tensor, "*N V"]:
        """Return unnormalised log-probabilities of the next token, those of forbidden tokens included."""
        logits: Tensor = self(hidden)
        return logits + self.forbidden_logits

    def nll(self, hidden: Float[Tensor, "R H"], targets: Int[Tensor, "R"]) -> Float[Tensor, ""]:
        """Return the mean over the rows of −log p(target), in nats, with gradient.

        The logits of a few rows exist at a time: they are computed again for the gradient.
        """
        rows = ROWS_PER_CHUNK.get(hidden.device.type, 8192)
        chunks = zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)
        sums = [checkpoint(self._nll_sum, *chunk, use_reentrant=False) for chunk in chunks]
        return torch.stack(sums).sum() / len(hidden)

    def _nll_sum(self, hidden: Float[Tensor, "R H"], targets: Int[Tensor, "R"]) -> Float[Tensor, ""]:
        return functional.cross_entropy(self.logits(hidden), targets, reduction="sum")

    def forbid(self, token: int) -> None:
        """Rule a token out from now on; the others share its probability."""
        self.forbidden_logits[token] = IMPOSSIBLE

    def scaled(self, scale: float, *, padding: int, num_rows: int, precision: Precision) -> ScaledLogits:
        """Return the logits times ``scale``, with ``padding`` impossible tokens behind the last.

        Weights must not change while it is in use. ``num_rows`` is about the number of rows of each call,
        ``precision`` that of a matrix product; a head that is not linear computes in its own.
        """
        forbidden = self._scaled_forbidden(scale)

        def compute(hidden: Tensor) -> Tensor:
            return functional.pad(self(hidden) * scale + forbidden, (0, padding), value=-math.inf)

        return ScaledLogits(compute, forbidden.new_full((), math.inf), forbidden.new_zeros(()))

    def _scaled_forbidden(self, scale: float) -> Float[Tensor, "V"]:
        """Return them never scaled down: a small scale must not make forbidden tokens possible."""
        return self.forbidden_logits * max(scale, 1.0)


class LinearHead(Head):
    """Logits ``weight · hidden + bias``, in fused operations. Zeros at first: every token equally likely."""

    def __init__(self, hidden_size: int, vocabulary_size: int, forbidden: Sequence[int] = ()) -> None:
        super().__init__(vocabulary_size, forbidden)
        self.weight = nn.Parameter(torch.zeros(vocabulary_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, hidden: Float[Tensor, "*N H"]) -> Float[Tensor, "*N V"]:
        """Multiply by the weight and add the bias."""
        return fast_linear(hidden, self.weight, self.bias)

    def logits(self, hidden: Float[Tensor, "*N H"]) -> Float[Tensor, "*N V"]:
        """Return the logits; forbidden tokens are ruled out by the bias, which costs no pass over them."""
        return fast_linear(hidden, self.weight, self.bias + self.forbidden_logits)

    def nll(self, hidden: Float[Tensor, "R H"], targets: Int[Tensor, "R"]) -> Float[Tensor, ""]:
        """Return the mean over the rows of −log p(target), by :func:`linear_cross_entropy`."""
        return linear_cross_entropy(hidden, self.weight, self.bias + self.forbidden_logits, targets)

    def scaled(self, scale: float, *, padding: int, num_rows: int, precision: Precision) -> ScaledLogits:
        """Return one matrix product by a scaled and padded copy of the weights, laid out for ``num_rows``.

        With bfloat16 logits are rounded to 8 bits.
        """
        dtype = getattr(torch, precision)
        weight, bias = self.weight.detach() * scale, self.bias.detach() * scale
        padded_bias = functional.pad(bias + self._scaled_forbidden(scale), (0, padding), value=-math.inf)
        padded_bias = padded_bias.to(dtype)
        padded_weight = laid_out(functional.pad(weight, (0, 0, 0, padding)).to(dtype), num_rows)
        # |w·h + b| <= |w|_1 max|h| + |b|
        return ScaledLogits(
            lambda hidden: fast_linear(hidden.to(dtype), padded_weight, padded_bias).float(),
            slope=weight.abs().sum(1).amax(),
            offset=bias.abs().amax(),
        )
