"""A discriminator that is log-linear in pairs of neighbouring tokens.

On small corpora it generalises to held-out text where the CNN memorises its training text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.discriminator import Discriminator, embed
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class PairsDiscriminatorSettings(KindSettings):
    """Settings of the pairs discriminator."""

    kind: str = "pairs"
    rank: Annotated[int, Range(minimum=1)] = 64
    """Rank of the matrix of pair scores: numbers per token and side."""
    distances: Annotated[tuple[int, ...], Range(minimum=1)] = (1,)
    """Steps between the two tokens of a pair; 1 is neighbours, each distance has weights of its own."""
    l2: Annotated[float, Range(minimum=0.0)] = 2e-4
    """Penalty on all parameters: this times half the sum of their squares."""
    initial_scale: Annotated[float, Range(minimum=0.0)] = 0.01
    """Standard deviation of the normal distribution that token vectors start from; biases start at 0."""


class PairsDiscriminator(Discriminator):
    """A sum over the real tokens of what each adds to the logit, given the tokens some steps before it.

        logit = c + sum_t [ b(y_t) + sum_d u_d(y_{t−d}) · w_d(y_t) ],

    with a learned start vector in place of u_d(y_{t−d}) where t ≤ d. That is a low-rank, regularised
    log-ratio of bigrams: a token costs O(rank), and the logits of prefixes are running sums.
    Token vectors start small, which generalises better than the usual scale.

    Raises:
        ValueError: ``distances`` is empty or names one twice.
    """

    def __init__(
        self,
        settings: PairsDiscriminatorSettings,
        *,
        vocabulary_size: int,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not settings.distances or len(set(settings.distances)) < len(settings.distances):
            raise ValueError(
                f"--discriminator.distances: {settings.distances} must be one or more different numbers"
            )
        self.settings = settings
        size = len(settings.distances), vocabulary_size, settings.rank
        self.start_vectors = nn.Parameter(torch.empty(size[0], 1, settings.rank))
        self.previous_vectors = nn.Parameter(torch.empty(size))
        self.current_vectors = nn.Parameter(torch.empty(size))
        self.token_biases = nn.Parameter(torch.zeros(vocabulary_size, 1))
        self.bias = nn.Parameter(torch.zeros(()))
        for vectors in (self.start_vectors, self.previous_vectors, self.current_vectors):
            nn.init.normal_(vectors, 0.0, settings.initial_scale, generator=rng)

    def logits(self, batch: TokenBatch) -> Float[Tensor, "B"]:
        """Return the logit of every sequence."""
        return self.bias + self._increments(batch).sum(1)

    def prefix_logits(self, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return the logit of every prefix alone; behind the mask it keeps its last value."""
        return self.bias + self._increments(batch).cumsum(1)

    def penalty(self) -> Float[Tensor, ""]:
        """Return ``l2`` times half the sum of squares of all parameters."""
        squares = [parameter.square().sum() for parameter in self.parameters()]
        return 0.5 * self.settings.l2 * torch.stack(squares).sum()

    def alternative_logits(
        self, batch: TokenBatch, alternatives: Int[Tensor, "B T K"]
    ) -> Float[Tensor, "B T K"]:
        """Return the logit of the tokens before each alternative, and what that adds."""
        sums = nn.functional.pad(self._increments(batch).cumsum(1)[:, :-1], (1, 0))  # (B, T): y_1..y_{t-1}
        logits = self.bias + sums[..., None]
        logits = logits + self.token_biases[alternatives].squeeze(-1)  # (B, T, K)
        for befores, current in self._befores(batch):
            logits = logits + (current[alternatives] @ befores[..., None]).squeeze(
                -1
            )  # (B, T, K, R) by (R, 1)
        return logits

    def _increments(self, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return what every token adds to the logit; 0 behind the mask."""
        increments = embed(self.token_biases, batch).squeeze(-1)
        for befores, current in self._befores(batch):
            increments = increments + (befores * embed(current, batch)).sum(-1)
        return increments.masked_fill(~batch.mask, 0.0)

    def _befores(self, batch: TokenBatch) -> Iterator[tuple[Float[Tensor, "B T R"], Float[Tensor, "V R"]]]:
        """Yield for each distance the vectors of the tokens so far before each, and the vectors of tokens."""
        vectors = zip(self.start_vectors, self.previous_vectors, self.current_vectors, strict=True)
        for distance, (start, previous, current) in zip(self.settings.distances, vectors, strict=True):
            # (B, T, R): the start vector for the first tokens, then each token's row shifted by the distance
            starts = start.expand(len(batch), min(distance, batch.tokens.shape[1]), -1)
            yield torch.cat([starts, embed(previous, batch)[:, :-distance]], 1), current
