"""The CNN discriminator of SeqGAN (Yu et al. 2017, arXiv 1609.05473), as a running-max causal CNN."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.discriminator import Discriminator, embed
from seqgan.models.kernels.fast_linear import Precision, fast_linear, laid_out
from seqgan.models.kernels.highway import highway
from seqgan.models.kernels.window_maxima import final_maxima, running_maxima, tabled_maxima, tap_table
from seqgan.models.prefix_features import PrefixFeatures
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class CNNDiscriminatorSettings(KindSettings):
    """Settings of the CNN discriminator; the defaults are those of SeqGAN."""

    kind: str = "cnn"
    embedding_size: Annotated[int, Range(minimum=1)] = 64
    """Numbers per token embedding."""
    widths: Annotated[tuple[int, ...], Range(minimum=1)] = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
    """Widths of the convolutions, in tokens; a width beyond the sequence length never fires."""
    num_filters: Annotated[tuple[int, ...], Range(minimum=1)] = (
        *(100, 200, 200, 200, 200, 100),
        *(100, 100, 100, 100, 160, 160),
    )
    """Number of filters of each width."""
    dropout: Annotated[float, Range(minimum=0.0, maximum=0.99)] = 0.25
    """Probability that a feature is dropped before the output layer, in training."""
    l2: Annotated[float, Range(minimum=0.0)] = 0.2
    """Penalty on the output layer alone: this times half the sum of squares of its weights and bias."""
    scoring_precision: Precision = "float32"
    """Number format of the large products while scoring, not while training."""
    table_megabytes: Annotated[int, Range(minimum=0)] = 256
    """Largest token table that scoring on a CPU may build for a width, in MB; 0 builds none."""


class CNNDiscriminator(Discriminator):
    """Convolutions over embedded tokens, maximum over time, a highway layer, dropout, a linear output.

    With f_j the maximum over time (from 0) of the ReLU of convolution j, the output is

        g = sigmoid(W_g f + b_g),  z = g · relu(W_h f + b_h) + (1 − g) · f,  logit = w · dropout(z) + b

    The maximum runs along the sequence, so one pass gives the exact features of every prefix, and
    padding takes no part. One logit stands for the published two-class softmax, whose
    difference of logits it is. Initial weights follow the published code: embeddings uniform in
    (−1, 1), filters and output N(0, 0.1²) cut at two deviations, filter biases 0.1, gate biases −2.

    Raises:
        ValueError: ``widths`` and ``num_filters`` differ in length, or are empty.
    """

    def __init__(
        self, settings: CNNDiscriminatorSettings, *, vocabulary_size: int, rng: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if not settings.widths or len(settings.widths) != len(settings.num_filters):
            raise ValueError(
                f"--discriminator.num-filters: {len(settings.num_filters)} numbers for "
                f"{len(settings.widths)} widths; give one for each of --discriminator.widths"
            )
        self.settings = settings
        num_features = sum(settings.num_filters)
        sizes = [
            (number, width * settings.embedding_size)
            for width, number in zip(settings.widths, settings.num_filters, strict=True)
        ]
        self.embedding = nn.Parameter(torch.empty(vocabulary_size, settings.embedding_size))
        self.filters = nn.ParameterList(torch.empty(size) for size in sizes)
        self.filter_biases = nn.ParameterList(torch.full((number,), 0.1) for number in settings.num_filters)
        self.highway_weight = nn.Parameter(torch.empty(2 * num_features, num_features))
        self.highway_bias = nn.Parameter(torch.zeros(2 * num_features))
        self.output_weight = nn.Parameter(torch.empty(1, num_features))
        self.output_bias = nn.Parameter(torch.zeros(1))
        self._initialise(rng)

    def _initialise(self, rng: torch.Generator | None) -> None:
        nn.init.uniform_(self.embedding, -1.0, 1.0, generator=rng)
        for weight in (*self.filters, self.output_weight):
            nn.init.trunc_normal_(weight, std=0.1, a=-0.2, b=0.2, generator=rng)
        for weight in self.highway_weight.chunk(2):
            nn.init.xavier_uniform_(weight, generator=rng)
        nn.init.constant_(self.highway_bias.chunk(2)[1], -2.0)

    def logits(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the logit of every sequence; computes no features of its prefixes."""
        embedded = embed(self.embedding, batch)
        convolutions = zip(self.filters, self.filter_biases, strict=True)
        maxima = [final_maxima(embedded, batch.mask, *convolution) for convolution in convolutions]
        return self.logits_of(highway(torch.cat(maxima, 1), self.highway_weight, self.highway_bias))

    def prefix_logits(self, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return the logit of every prefix alone; meaningless behind the mask."""
        return self.logits_of(self.features(batch))

    def features(self, batch: TokenBatch) -> Float[Tensor, "B T F"]:
        """Return the features of every prefix after the highway layer."""
        maxima = self.maxima(embed(self.embedding, batch))
        return highway(maxima, self.highway_weight, self.highway_bias)

    def maxima(self, embedded: Float[Tensor, "B T E"]) -> Float[Tensor, "B T F"]:
        """Return the features of every prefix before the highway layer."""
        convolutions = zip(self.filters, self.filter_biases, strict=True)
        return torch.cat([running_maxima(embedded, *convolution) for convolution in convolutions], 2)

    def penalty(self) -> Float[Tensor, ""]:
        """Return ``l2`` times half the sum of squares of the output layer's weights and bias."""
        return 0.5 * self.settings.l2 * (self.output_weight.square().sum() + self.output_bias.square().sum())

    def scoring_logits(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the logits, computed on sequences sorted by length, in blocks that fit a cache."""
        dtype = torch.bfloat16 if self.settings.scoring_precision == "bfloat16" else self.embedding.dtype
        order = batch.lengths.argsort()
        maxima = self._scoring_maxima(batch.tokens[order], batch.mask[order], dtype)
        block_rows = _block_rows(maxima.device)
        weight, bias = laid_out(self.highway_weight.to(dtype), block_rows), self.highway_bias.to(dtype)
        blocks = torch.split(maxima, block_rows)
        features = (highway(block, weight, bias).to(self.embedding.dtype) for block in blocks)
        logits = torch.cat([self.logits_of(block) for block in features])
        return torch.empty_like(logits).scatter_(0, order, logits)

    def alternative_logits(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Float[Tensor, "B T K"]:
        """Return the logit of each prefix that ends in an alternative, by the features of the one before."""
        features = PrefixFeatures(self)
        logits = self.embedding.new_zeros(alternatives.shape)
        with features.prepared(self.settings.scoring_precision):
            for step, (rows, reached) in enumerate(features.of_alternatives(batch, alternatives)):
                logits[rows, step] = self.logits_of(reached)
        return logits

    def logits_of(self, features: Float[Tensor, "*N F"]) -> Float[Tensor, "*N"]:
        """Return the logits of sequences whose features after the highway layer are known."""
        kept = functional.dropout(features, self.settings.dropout, self.training)
        return fast_linear(kept, self.output_weight, self.output_bias).squeeze(-1)

    def _scoring_maxima(
        self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"], dtype: torch.dtype
    ) -> Float[Tensor, "B F"]:
        """Return the maxima of sequences sorted by length, width by width, by a token table where it pays."""
        embedding, lengths = self.embedding.to(dtype), mask.sum(1)
        maxima = torch.empty(len(tokens), len(self.output_weight[0]), dtype=dtype, device=tokens.device)
        columns = torch.split(maxima, list(self.settings.num_filters), 1)
        blocks = list(_blocks(lengths, tokens.shape[1]))
        for column, width, *convolution in zip(
            columns, self.settings.widths, self.filters, self.filter_biases, strict=True
        ):
            weight, bias = (parameter.to(dtype) for parameter in convolution)
            table = tap_table(embedding, weight, bias) if self._table_pays(tokens, width, weight) else None
            for rows, num_steps in blocks:
                block = tokens[rows, :num_steps]
                if table is None:
                    embedded = functional.embedding(block, embedding)
                    column[rows] = final_maxima(embedded, mask[rows, :num_steps], weight, bias)
                else:
                    column[rows] = tabled_maxima(block, lengths[rows], table, width)
            del table  # before the next one is built
        return maxima

    def _table_pays(self, tokens: Int[Tensor, "B T"], width: int, weight: Float[Tensor, "n kE"]) -> bool:
        """Return whether a width has enough windows to be worth a table, on a CPU and within its memory."""
        vocabulary_size, embedding_size = self.embedding.shape
        megabytes = vocabulary_size * weight.numel() // embedding_size * weight.itemsize / 1e6
        num_windows = len(tokens) * (tokens.shape[1] - width + 1)
        fits = megabytes <= self.settings.table_megabytes
        return tokens.device.type == "cpu" and fits and num_windows >= 2 * vocabulary_size


def _block_rows(device: torch.device) -> int:
    """Return how many rows are scored at a time: what fits a CPU's cache, and what fills a GPU."""
    return 256 if device.type == "cpu" else 2048


def _blocks(lengths: Int[Tensor, "B"], num_steps: int) -> Iterator[tuple[slice, int]]:
    """Yield blocks of rows sorted by length, each with the number of steps to look at.

    On a CPU that is the length of the block's last row; elsewhere, where reading it would halt the
    device, all steps.
    """
    block_rows = _block_rows(lengths.device)
    for start in range(0, len(lengths), block_rows):
        rows = slice(start, start + block_rows)
        yield rows, int(lengths[rows][-1]) if lengths.device.type == "cpu" else num_steps
