"""Features of a convolutional network behind its highway layer: of every prefix, or token by token."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seqgan.models.generator import State
from seqgan.models.kernels.fast_linear import fast_linear, laid_out
from seqgan.models.kernels.highway import highway_mix
from seqgan.models.kernels.sparse_linear import panels, sparse_linear, sparse_pays
from seqgan.runtime import devices
from seqgan.text.alternatives import rows_that_reach
from seqgan.text.token_batch import TokenBatch

BLOCK_ROWS = 256  # rows worked on at a time on a CPU, which its cache holds


@dataclass(frozen=True)
class FeatureState(State):
    """The memory of a prefix: its last W tokens, and every filter's maximum so far.

    W is the width of the widest convolution: a new window needs no older token, and what older windows
    scored is in the maxima. So a step costs the same however long the prefix is.
    """

    recent: Int[Tensor, "B W"]
    """The latest token last; zeros before the first, which ``count`` keeps out of every window."""
    count: Int[Tensor, "B"]
    """Tokens of the prefix; -1 before BOS has been read, which is none of them."""
    maxima: Float[Tensor, "B F"]
    """The F filters' maxima over time behind the ReLU; 0 while no window has fitted."""
    transformed: Float[Tensor, "B _"]
    """The highway layer's product with the maxima (B, 2F), where it is kept up step by step; else (B, 0)."""


@dataclass(frozen=True)
class _Group:
    """Some neighbouring widths, and their columns of the highway layer's weight."""

    width: int
    """The smallest of them: shorter prefixes have maxima of 0 there, which need no product."""
    columns: slice
    """Their n filters among the F."""
    weight: Tensor
    """(2F, n), laid out for the product."""


@dataclass(frozen=True)
class _DenseHighway:
    """The highway layer's product with the maxima, computed anew at every step."""

    groups: list[_Group]
    bias: Tensor

    def start(self, batch_size: int) -> Float[Tensor, "B 0"]:
        """Return the memory before the first step: nothing."""
        return self.bias.new_empty(batch_size, 0)

    def step(
        self, maxima: Float[Tensor, "B F"], state: FeatureState, longest: int
    ) -> tuple[Float[Tensor, "B twoF"], Float[Tensor, "B 0"]]:
        """Return the product and the next step's memory."""
        transformed = self.bias.repeat(len(maxima), 1)  # (B, 2F)
        for group in self.groups:
            if group.width <= longest:  # else all these maxima are 0 in every row
                transformed += fast_linear(maxima[:, group.columns], group.weight)
        return transformed, state.transformed

    def all_steps(self, maxima: Float[Tensor, "B T1 F"]) -> Float[Tensor, "B T1 twoF"]:
        """Return the product for all prefixes of sequences, the empty one first."""
        transformed = self.bias.repeat(*maxima.shape[:2], 1)  # (B, T + 1, 2F)
        for group in self.groups:
            reached = maxima[:, group.width :, group.columns]  # prefixes of at least `width` tokens
            transformed[:, group.width :] += fast_linear(reached, group.weight)
        return transformed


@dataclass(frozen=True)
class _IncrementalHighway:
    """The same product, kept up by adding the product with the maxima's growth: W·m' = W·m + W·(m' − m).

    The n-th window of a filter is the highest yet with a chance of about 1/n, so few maxima grow, and
    the growth is sparse.
    """

    panels: tuple[Tensor, ...]
    bias: Tensor

    def start(self, batch_size: int) -> Float[Tensor, "B twoF"]:
        """Return the product with maxima of 0: the bias."""
        return self.bias.repeat(batch_size, 1)

    def step(
        self, maxima: Float[Tensor, "B F"], state: FeatureState, longest: int
    ) -> tuple[Float[Tensor, "B twoF"], Float[Tensor, "B twoF"]]:
        """Return the product, twice: it is also the next step's memory."""
        transformed = sparse_linear(maxima - state.maxima, self.panels).add_(state.transformed)
        return transformed, transformed

    def all_steps(self, maxima: Float[Tensor, "B T1 F"]) -> Float[Tensor, "B T1 twoF"]:
        """Return the product for all prefixes of sequences, the empty one first."""
        num_sequences, num_prefixes, _ = maxima.shape
        grown = sparse_linear(maxima.diff(dim=1).flatten(0, 1), self.panels)  # (B·T, 2F), each step's growth
        transformed = self.bias.repeat(num_sequences, num_prefixes, 1)
        transformed[:, 1:] = grown.view(num_sequences, num_prefixes - 1, len(self.bias))
        for t in range(1, num_prefixes):  # not cumsum, which rounds in another order than the steps do
            transformed[:, t] += transformed[:, t - 1]
        return transformed


@dataclass(frozen=True)
class _Weights:
    """The weights of a step, in the number format and layout of its products."""

    embedding: Tensor
    """(V, E)."""
    filters: list[Tensor]
    """Of each width k (n, k·E)."""
    filter_biases: list[Tensor]
    """Of each width (n,)."""
    highway: _DenseHighway | _IncrementalHighway


@runtime_checkable
class ConvolutionalNetwork(Protocol):
    """The weights of a causal CNN with a highway layer; F filters of W widths."""

    embedding: nn.Parameter
    filters: nn.ParameterList
    filter_biases: nn.ParameterList
    highway_weight: nn.Parameter
    highway_bias: nn.Parameter
    settings: Any

    def maxima(self, embedded: Float[Tensor, "B T E"]) -> Float[Tensor, "B T F"]:
        """Return the features of every prefix before the highway layer."""


class PrefixFeatures:
    """Features f_t of the prefix y_1..y_t, behind the highway layer of a CNN, without gradient.

    f_0 belongs to the empty prefix.
    """

    def __init__(self, cnn: ConvolutionalNetwork) -> None:
        self.cnn = cnn
        self.size: int = cnn.highway_weight.shape[1]
        self._prepared: _Weights | None = None

    @torch.no_grad()
    def of_prefixes(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T1 F"]:
        """Return the features of all prefixes of 0 to T tokens, in one pass; T1 is T + 1."""
        weights = self._live_weights(self.cnn.embedding.dtype, laid_out)
        # (B, T, F) of the prefixes of 1 to T tokens, and zeros before them for the empty one
        maxima = functional.pad(
            self.cnn.maxima(functional.embedding(tokens, self.cnn.embedding)), (0, 0, 1, 0)
        )
        # sequences at a time, so that a CPU's cache holds the (rows, T + 1, 2F) behind the highway's product
        cached, everything = max(1, BLOCK_ROWS // maxima.shape[1]), max(1, len(tokens))
        for block in torch.split(maxima, everything if devices.static_shapes(tokens) else cached):
            block.copy_(  # in place: each block's maxima become its features
                highway_mix(block, weights.highway.all_steps(block))
            )
        return maxima

    def initial_state(self, batch_size: int) -> FeatureState:
        """Return the state before BOS."""
        device = self.cnn.embedding.device
        recent = torch.zeros(batch_size, max(self.cnn.settings.widths), dtype=torch.long, device=device)
        count = torch.full((batch_size,), -1, device=device)
        weights = self._weights()
        maxima = weights.embedding.new_zeros(batch_size, self.size)
        return FeatureState(recent, count, maxima, weights.highway.start(batch_size))

    @torch.no_grad()
    def advance(
        self, tokens: Int[Tensor, "B"], state: FeatureState
    ) -> tuple[Float[Tensor, "B F"], FeatureState]:
        """Read one token per row (the first is BOS); return the features of the prefix that it ends."""
        weights, widths = self._weights(), self.cnn.settings.widths
        count = state.count + 1  # 0 when BOS has been read
        # The longest prefix of the batch says which widths can have a window; on a GPU asking would wait.
        longest = int(count.max()) if not devices.static_shapes(count) and len(count) else max(widths)
        recent = torch.cat([state.recent[:, 1:], tokens[:, None]], 1)  # (B, W), the oldest dropped
        embedded = functional.embedding(recent, weights.embedding)  # (B, W, E)
        scores = [  # of each width (B, n): its one new window, which ends in the token that was read
            # a window that the prefix does not fill yet scores 0, which is neutral behind a ReLU
            fast_linear(embedded[:, -width:].flatten(1), weight, bias) * (count >= width)[:, None]
            if width <= longest
            else state.maxima.new_zeros(()).expand(len(count), len(bias))
            for width, weight, bias in zip(widths, weights.filters, weights.filter_biases, strict=True)
        ]
        maxima = torch.maximum(state.maxima, torch.cat(scores, 1))  # (B, F), from 0 on: the ReLU
        transformed, remembered = weights.highway.step(maxima, state, longest)
        features = highway_mix(maxima, transformed).to(self.cnn.embedding.dtype)
        return features, FeatureState(recent, count, maxima, remembered)

    def of_alternatives(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Iterator[tuple[Int[Tensor, "R"], Float[Tensor, "R K F"]]]:
        """Yield for each step the R sequences that reach it, and features of K prefixes of each.

        These are y_1..y_{t-1} followed by each of K alternatives for y_t.
        """
        num_alternatives = alternatives.shape[2]
        last, state = batch.tokens[:, 0], self.initial_state(len(batch))  # BOS is in no window: any will do
        for step in range(batch.tokens.shape[1]):
            _, state = self.advance(last, state)  # the prefix y_1..y_{t-1}
            rows = rows_that_reach(batch.mask, step)
            branches = state.select(rows).repeat(num_alternatives)  # (R·K, ...), K copies side by side
            features, _ = self.advance(alternatives[rows, step].flatten(), branches)
            yield rows, features.view(len(rows), num_alternatives, self.size)
            last = batch.tokens[:, step]

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
            self._highway(cnn.highway_weight.to(dtype), cnn.highway_bias.to(dtype), lay_out),
        )

    def _highway(
        self, weight: Tensor, bias: Tensor, lay_out: Callable[[Tensor, int], Tensor]
    ) -> _DenseHighway | _IncrementalHighway:
        if sparse_pays(weight):
            return _IncrementalHighway(panels(weight), bias)
        return _DenseHighway(list(self._groups(weight, lay_out)), bias)

    def _groups(self, weight: Tensor, lay_out: Callable[[Tensor, int], Tensor]) -> Iterator[_Group]:
        """Yield neighbouring widths within a factor of 1.5, or of too few filters to be worth a product."""
        sizes = [*zip(self.cnn.settings.widths, self.cnn.settings.num_filters, strict=True)]
        start, group = 0, sizes[:1]
        for width, number in [*sizes[1:], (2 * max(self.cnn.settings.widths), 0)]:
            smallest, size = min(width for width, _ in group), sum(number for _, number in group)
            if width > 1.5 * smallest and (8 * size >= self.size or not number):
                columns = slice(start, start + size)
                yield _Group(smallest, columns, lay_out(weight[:, columns].contiguous(), BLOCK_ROWS))
                start, group = start + size, []
            group.append((width, number))
