"""The features that the discriminator leaks: of every prefix at once, or token by token."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from seqgan.models.cnn import CNNDiscriminator, highway
from seqgan.models.fast_linear import fast_linear, laid_out
from seqgan.models.generator import State

BLOCK_ROWS = 256  # rows worked on at a time on a CPU, which its cache holds


@dataclass(frozen=True)
class FeatureState(State):
    """What the features of the next prefix depend on: the last W tokens and the maximum so far.

    W is the width of the widest convolution, so a step costs the same however long the prefix is.
    """

    recent: Int[Tensor, "B W"]
    count: Int[Tensor, "B"]
    """Tokens of the prefix; -1 before BOS has been read, which is none of them."""
    maxima: Float[Tensor, "B F"]


@dataclass(frozen=True)
class _Weights:
    """The weights of a step, in the number format and layout of its products."""

    embedding: Tensor
    filters: list[Tensor]
    filter_biases: list[Tensor]
    highway_weight: Tensor
    highway_bias: Tensor


class LeakedFeatures:
    """Features f_t of the prefix y_1..y_t, behind the highway layer of a CNN discriminator, without gradient.

    f_0 belongs to the empty prefix. This is no module, so that a generator that listens does not
    own the discriminator: its parameters are neither trained nor saved with the generator's, and
    copies of the generator listen to the same discriminator.
    """

    def __init__(self, cnn: CNNDiscriminator) -> None:
        self.cnn = cnn
        self.size = cnn.output_weight.shape[1]
        self._prepared: _Weights | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "LeakedFeatures":
        return self

    @torch.no_grad()
    def of_prefixes(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T1 F"]:
        """The features of all prefixes of 0 to T tokens, in one pass; T1 is T + 1."""
        empty = self._highway(self._no_maxima(1), self._weights()).expand(len(tokens), 1, -1)
        return torch.cat([empty, self.cnn.features(tokens)], 1)

    def initial_state(self, batch_size: int) -> FeatureState:
        """The state before BOS."""
        device = self.cnn.embedding.device
        recent = torch.zeros(batch_size, max(self.cnn.config.widths), dtype=torch.long, device=device)
        count = torch.full((batch_size,), -1, device=device)
        return FeatureState(recent, count, self._no_maxima(batch_size))

    @torch.no_grad()
    def advance(
        self, tokens: Int[Tensor, "B"], state: FeatureState
    ) -> tuple[Float[Tensor, "B F"], FeatureState]:
        """Read one token per row (the first is BOS): the features of the prefix that it ends."""
        weights = self._weights()
        count = state.count + 1
        recent = torch.cat([state.recent[:, 1:], tokens[:, None]], 1)
        embedded = functional.embedding(recent, weights.embedding)
        scores = torch.cat(
            [
                # a window that the prefix does not fill yet scores 0, which is neutral
                fast_linear(embedded[:, -width:].flatten(1), weight, bias) * (count >= width)[:, None]
                for width, weight, bias in zip(
                    self.cnn.config.widths, weights.filters, weights.filter_biases, strict=True
                )
            ],
            1,
        )
        maxima = torch.maximum(state.maxima, scores)
        return self._highway(maxima, weights), FeatureState(recent, count, maxima)

    def of_alternatives(
        self, tokens: Int[Tensor, "B T"], alternatives: Int[Tensor, "B T K"]
    ) -> Iterator[Float[Tensor, "B K F"]]:
        """For each step the features of y_1..y_{t-1} followed by each of K alternatives for y_t."""
        num_alternatives = alternatives.shape[2]
        last, state = tokens[:, 0], self.initial_state(len(tokens))
        for step in range(tokens.shape[1]):
            _, state = self.advance(last, state)
            branches = state.repeat(num_alternatives)
            features, _ = self.advance(alternatives[:, step].flatten(), branches)
            yield features.view(len(tokens), num_alternatives, -1)
            last = tokens[:, step]

    @contextmanager
    def prepared(self, precision: str) -> Iterator[None]:
        """Lay the weights out once for many calls of :meth:`advance`; they must not change meanwhile.

        ``precision`` is that of the products, float32 or bfloat16; states made outside do not fit inside.
        """
        before = self._prepared
        self._prepared = self._live_weights(getattr(torch, precision), laid_out)
        try:
            yield
        finally:
            self._prepared = before

    def _weights(self) -> _Weights:
        return self._prepared or self._live_weights(self.cnn.embedding.dtype, lambda weight, rows: weight)

    def _live_weights(self, dtype: torch.dtype, lay_out: Callable[[Tensor, int], Tensor]) -> _Weights:
        cnn = self.cnn
        return _Weights(
            cnn.embedding.to(dtype),
            [lay_out(weight.to(dtype), BLOCK_ROWS) for weight in cnn.filters],
            [bias.to(dtype) for bias in cnn.filter_biases],
            lay_out(cnn.highway_weight.to(dtype), BLOCK_ROWS),
            cnn.highway_bias.to(dtype),
        )

    def _no_maxima(self, batch_size: int) -> Float[Tensor, "B F"]:
        return self._weights().embedding.new_zeros(batch_size, self.size)

    def _highway(self, maxima: Float[Tensor, "*N F"], weights: _Weights) -> Float[Tensor, "*N F"]:
        return highway(maxima, weights.highway_weight, weights.highway_bias).to(self.cnn.embedding.dtype)
