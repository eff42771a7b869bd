"""The transformer generator: pre-norm, causal, with a cache of keys and values (Vaswani et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator, State
from seqgan.models.heads import LinearHead
from seqgan.models.kernels.fast_linear import fast_linear


@dataclass(frozen=True, kw_only=True)
class TransformerSettings(KindSettings):
    """Settings of the transformer generator."""

    kind: str = "transformer"
    model_size: Annotated[int, Range(minimum=1)] = 32
    """Numbers per token vector and per hidden vector; a multiple of num_heads."""
    num_layers: Annotated[int, Range(minimum=1)] = 2
    """Blocks of attention and feed-forward; at least 1."""
    num_heads: Annotated[int, Range(minimum=1)] = 2
    """Attention heads per block; at least 1."""
    feed_forward_factor: Annotated[int, Range(minimum=1)] = 4
    """Units of the feed-forward layer, in multiples of model_size; at least 1."""
    dropout: Annotated[float, Range(minimum=0, maximum=0.95)] = 0.0
    """Share of units zeroed in training: embeddings, what each block adds, the output; 0 to 0.95."""
    max_length: Annotated[int, Range(minimum=1)] = 128
    """Longest sequence in tokens that the learned positions cover; at least 1."""
    initial_scale: Annotated[float, Range(minimum=0)] = 0.1
    """Standard deviation of the normal distribution that embeddings and matrices start from."""


@dataclass(frozen=True)
class TransformerState(State):
    """Each layer's keys and values of all steps read so far: S grows by one with each token.

    It grows by a copy, so that a state, once made, never changes and several branches may go on from it.
    """

    keys: tuple[Float[Tensor, "B heads S D"], ...]
    values: tuple[Float[Tensor, "B heads S D"], ...]


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        size, inner = settings.model_size, settings.model_size * settings.feed_forward_factor
        self.settings = settings
        self.attention_norm = nn.LayerNorm(size)
        self.attention_in = nn.Linear(size, 3 * size)
        self.attention_out = nn.Linear(size, size)
        self.feed_forward_norm = nn.LayerNorm(size)
        self.feed_forward_in = nn.Linear(size, inner)
        self.feed_forward_out = nn.Linear(inner, size)

    def forward(
        self, x: Float[Tensor, "B T M"], past: Sequence[Tensor] | None
    ) -> tuple[Float[Tensor, "B T M"], Tensor, Tensor]:
        """Return the block's output, and the keys and values (B, heads, S, D) of all steps so far.

        Without ``past`` the T steps see themselves and those before them; with it there is one step,
        which sees everything.
        """
        queries, keys, values = self._project(self.attention_norm(x))
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        # (B, heads, T, D); with a past T is 1 and nothing needs to be hidden from it
        attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=past is None)
        x = x + self._drop(_apply(self.attention_out, attended.transpose(1, 2).flatten(2)))
        inner = functional.gelu(_apply(self.feed_forward_in, self.feed_forward_norm(x)))
        return x + self._drop(_apply(self.feed_forward_out, inner)), keys, values

    def _project(self, x: Tensor) -> list[Tensor]:
        """Return queries, keys and values, each (B, heads, T, D)."""
        joined = _apply(self.attention_in, x)  # (B, T, 3·M), of which every head has D = M / heads
        shape = (
            *x.shape[:2],
            3,
            self.settings.num_heads,
            self.settings.model_size // self.settings.num_heads,
        )
        return list(joined.view(shape).permute(2, 0, 3, 1, 4))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.settings.dropout, self.training)


class TransformerGenerator(Generator):
    """Learned positions, pre-norm blocks, a last layer norm, and a linear head that shares no weights.

    ``head_inputs`` is the size of the head's inputs where they are more than a hidden vector.

    Raises:
        ValueError: ``num_heads`` does not divide ``model_size``; or, later, a sequence is longer
            than ``max_length``.
    """

    def __init__(
        self,
        settings: TransformerSettings,
        *,
        vocabulary_size: int,
        bos_id: int,
        forbidden: Sequence[int] = (),
        rng: torch.Generator | None = None,
        head_inputs: int | None = None,
    ) -> None:
        super().__init__(vocabulary_size=vocabulary_size, bos_id=bos_id)
        if settings.model_size % settings.num_heads:
            raise ValueError(
                f"--generator.num-heads: {settings.num_heads} does not divide "
                f"--generator.model-size {settings.model_size}; it must"
            )
        self.settings = settings
        # first, so that its weights are drawn and listed before the others
        self.head = LinearHead(head_inputs or settings.model_size, vocabulary_size, forbidden)
        self.embedding = nn.Embedding(vocabulary_size, settings.model_size)
        self.positions = nn.Embedding(settings.max_length, settings.model_size)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.num_layers))
        self.norm = nn.LayerNorm(settings.model_size)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0.0, settings.initial_scale, generator=rng)
                elif name.endswith("bias"):
                    parameter.zero_()

    def initial_state(self, batch_size: int) -> TransformerState:
        """Return a cache of no steps."""
        settings = self.settings
        shape = (batch_size, settings.num_heads, 0, settings.model_size // settings.num_heads)
        empty = (self.embedding.weight.new_zeros(shape),) * settings.num_layers
        return TransformerState(empty, empty)

    def advance(
        self, tokens: Int[Tensor, "B"], state: State
    ) -> tuple[Float[Tensor, "B H"], TransformerState]:
        """Read one token per row, attending to the cache."""
        assert isinstance(state, TransformerState)
        # (B, 1, M), at the place behind the S steps of the cache
        x = self._embed(tokens[:, None], start=state.keys[0].shape[2])
        all_keys, all_values = [], []
        for block, *past in zip(self.blocks, state.keys, state.values, strict=True):
            x, keys, values = block(x, past)
            all_keys.append(keys)
            all_values.append(values)
        hidden = self._drop(self.norm(x[:, 0]))
        return hidden, TransformerState(tuple(all_keys), tuple(all_values))

    def encode(self, inputs: Int[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        """Read whole sequences at once under the causal mask."""
        x = self._embed(inputs, start=0)
        for block in self.blocks:
            x, _, _ = block(x, None)
        return self._drop(self.norm(x))

    def _embed(self, tokens: Int[Tensor, "B T"], start: int) -> Float[Tensor, "B T M"]:
        stop = start + tokens.shape[1]
        if stop > self.settings.max_length:
            raise ValueError(
                f"--generator.max-length: {self.settings.max_length} is too small for a sequence of {stop} "
                "tokens; it must be at least as long as the longest sequence"
            )
        return self._drop(self.embedding(tokens) + self.positions.weight[start:stop])

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.settings.dropout, self.training)


def _apply(layer: nn.Linear, x: Tensor) -> Tensor:
    return fast_linear(x, layer.weight, layer.bias)
