"""The Kneser–Ney model as a generator: the baseline that every neural one has to beat.

It stands beside the model, which evaluation needs for its perplexities; sampling knows no more of it
than the generator's contract.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqgan.evaluation.kneser_ney import START, KneserNey, fit_kneser_ney
from seqgan.evaluation.ngrams import ABSENT
from seqgan.models.generator import Generator, State
from seqgan.models.heads import Head
from seqgan.text.sequences import Sequences

NOTHING = -2  # stands in a history before the start token
NO_KEY = np.iinfo(np.int64).max  # ends the keys of every order, so that there is always one

GeneratorT = TypeVar("GeneratorT", bound="NgramGenerator")


@dataclass(frozen=True)
class History(State):
    """The last tokens that were read."""

    tokens: Int[Tensor, "B H"]


class NgramHead(Head):
    """Log-probabilities by an n-gram model, which no gradient trains.

    Hidden vectors are histories: the last n-1 ids, the latest last; exact up to 2^24.
    """

    numbers: Tensor
    unigrams: Tensor

    def __init__(self, model: KneserNey, vocabulary_size: int, forbidden: Sequence[int] = ()) -> None:
        super().__init__(vocabulary_size, forbidden)
        types = model.counts.order(1).keys
        self.num_types = len(types)
        numbers = np.full(vocabulary_size - NOTHING, ABSENT)
        numbers[types - NOTHING] = np.arange(len(types))
        unigrams = np.append(model.orders[0].discounted, 0.0)[numbers[-vocabulary_size:]]
        uniform = model.orders[0].back_off[0] / model.vocabulary_size
        self.register_buffer("numbers", torch.from_numpy(numbers), persistent=False)
        self.register_buffer("unigrams", torch.from_numpy(unigrams + uniform).float(), persistent=False)
        self.orders = nn.ModuleList(_Successors(model, n) for n in range(2, len(model.orders) + 1))

    @property
    def successors(self) -> list["_Successors"]:
        """The tables of order 2 and up."""
        return [order for order in self.orders if isinstance(order, _Successors)]

    def forward(self, hidden: Float[Tensor, "*N H"]) -> Float[Tensor, "*N V"]:
        """Look up each history at every order: the log-probability of each token behind it, in nats."""
        history = self.numbers[hidden.flatten(0, -2).long() - NOTHING]
        return self._probabilities(history).log_().view(*hidden.shape[:-1], self.vocabulary_size)

    def _probabilities(self, history: Int[Tensor, "R H"]) -> Float[Tensor, "R V"]:
        """Interpolate: what an order has left over, its ``weights``, goes to the next lower one."""
        weights = self.unigrams.new_ones(len(history))
        additions = []
        for successors in reversed(self.successors):
            numbers = self._number(history[:, 1 - successors.n :])
            additions.append(successors.additions(numbers, weights))
            weights = weights * successors.back_off[numbers]
        probabilities = weights[:, None] * self.unigrams
        for rows, tokens, values in additions:
            probabilities[rows, tokens] += values  # of one order no pair comes twice
        return probabilities

    def _number(self, tokens: Int[Tensor, "R N"]) -> Int[Tensor, "R"]:
        """Return the number of the n-gram of these token numbers, or ``ABSENT``."""
        numbers = tokens[:, 0]
        for column, successors in zip(tokens.unbind(1)[1:], self.successors, strict=False):
            numbers = successors.find(numbers, column, self.num_types)
        return numbers


class NgramGenerator(Generator):
    """Next tokens by an n-gram model.

    Whatever starts a sequence (``bos_id``) is there the model's start token; the same id later on is an
    ordinary token.
    """

    def __init__(
        self, model: KneserNey, *, vocabulary_size: int, bos_id: int, forbidden: Sequence[int] = ()
    ) -> None:
        super().__init__(vocabulary_size=vocabulary_size, bos_id=bos_id)
        self.head = NgramHead(model, vocabulary_size, forbidden)
        self.history_size = max(len(model.orders) - 1, 1)

    @classmethod
    def fit(
        cls: type[GeneratorT],
        sequences: Sequences,
        *,
        order: int,
        vocabulary_size: int,
        bos_id: int,
        forbidden: Sequence[int] = (),
        discount: float | None = None,
    ) -> GeneratorT:
        """Fit a generator to sequences, EOS included where there is one; see :func:`fit_kneser_ney`.

        Raises:
            ValueError: As there.
        """
        possible = vocabulary_size - len(set(forbidden))
        model = fit_kneser_ney(sequences, order=order, vocabulary_size=possible, discount=discount)
        return cls(model, vocabulary_size=vocabulary_size, bos_id=bos_id, forbidden=forbidden)

    def initial_state(self, batch_size: int) -> History:
        """Return empty histories."""
        return History(torch.full((batch_size, self.history_size), NOTHING, device=self.device))

    def advance(self, tokens: Int[Tensor, "B"], state: State) -> tuple[Float[Tensor, "B H"], State]:
        """Append a token to each history; the first one is the start."""
        assert isinstance(state, History)
        tokens = torch.where(state.tokens[:, -1] == NOTHING, START, tokens)
        history = torch.cat([state.tokens[:, 1:], tokens[:, None]], 1)
        return history.float(), History(history)

    def encode(self, inputs: Int[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        """Return the history at each position."""
        before = inputs.new_full((len(inputs), self.history_size - 1), NOTHING)
        start = inputs.new_full((len(inputs), 1), START)
        return torch.cat([before, start, inputs[:, 1:]], 1).unfold(1, self.history_size, 1).float()


class _Successors(nn.Module):
    """The n-grams of one order, by history. Entries of histories have one more, for the absent one."""

    keys: Tensor
    first: Tensor
    num_successors: Tensor
    tokens: Tensor
    discounted: Tensor
    back_off: Tensor

    def __init__(self, model: KneserNey, n: int) -> None:
        super().__init__()
        self.n = n
        types, keys = model.counts.order(1).keys, model.counts.order(n).keys
        histories = np.arange(len(model.counts.order(n - 1).keys) + 1)
        bounds = np.searchsorted(keys, histories * len(types))
        tables = {
            "keys": np.append(keys, NO_KEY),
            "first": bounds,
            "num_successors": np.diff(bounds, append=bounds[-1]),
            "tokens": types[keys % max(len(types), 1)],
            "discounted": model.orders[n - 1].discounted.astype(np.float32),
            "back_off": np.append(model.orders[n - 1].back_off, 1.0).astype(np.float32),
        }
        for name, table in tables.items():
            self.register_buffer(name, torch.from_numpy(table), persistent=False)

    def find(self, prefixes: Int[Tensor, "R"], last: Int[Tensor, "R"], num_types: int) -> Int[Tensor, "R"]:
        """Return the number of each n-gram, or ``ABSENT``."""
        keys = prefixes * num_types + last
        places = torch.searchsorted(self.keys, keys)
        known = (self.keys[places] == keys) & (last != ABSENT)  # after an absent prefix keys are negative
        return torch.where(known, places, ABSENT)

    def additions(
        self, histories: Int[Tensor, "R"], weights: Float[Tensor, "R"]
    ) -> tuple[Int[Tensor, "A"], Int[Tensor, "A"], Float[Tensor, "A"]]:
        """Find which row's probability of which token grows by how much."""
        numbers = self.num_successors[histories]
        rows = torch.repeat_interleave(numbers)
        behind = torch.arange(len(rows), device=rows.device) - (numbers.cumsum(0) - numbers)[rows]
        places = self.first[histories][rows] + behind
        return rows, self.tokens[places], self.discounted[places] * weights[rows]
