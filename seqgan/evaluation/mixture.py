"""Two generators mixed: (1 − weight) · first + weight · second for the probability of each next token.

Linear interpolation of language models (Jelinek and Mercer 1980). Mixed with n-grams of its training text, a
generator that has only learned by maximum likelihood gains what a score of neighbouring tokens can give it:
the baseline that adversarial training by such a score has to beat.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from seqgan.models.generator import Generator, State
from seqgan.models.heads import Head
from seqgan.models.inference import inference
from seqgan.models.kernels.fast_linear import Precision
from seqgan.text.token_batch import TokenBatch

WEIGHTS = 101  # that are tried: 0, .01, ..., 1
ROWS = 64  # sequences scored at once: (64, T, V) log-probabilities exist


@dataclass(frozen=True)
class MixtureState(State):
    """The states of both generators."""

    first: State
    second: State


class MixtureHead(Head):
    """Log-probabilities of the mixture, from the hidden vectors of both generators side by side."""

    def __init__(self, first: Head, second: Head, *, first_size: int, weight: float) -> None:
        super().__init__(first.vocabulary_size)
        self.first = first
        self.second = second
        self.first_size = first_size
        shares = torch.tensor([1 - weight, weight]).log()  # −inf leaves one of them out
        self.log_shares: Tensor
        self.register_buffer("log_shares", shares, persistent=False)

    def forward(self, hidden: Float[Tensor, "*N H"]) -> Float[Tensor, "*N V"]:
        """Compute log((1 − weight) · p + weight · q) of every token."""
        own = hidden.tensor_split([self.first_size], -1)  # (*N, H1) and (*N, H2)
        logits = (self.first.logits(own[0]), self.second.logits(own[1]))
        log_probs = [torch.log_softmax(each, -1) for each in logits]
        return torch.logaddexp(log_probs[0] + self.log_shares[0], log_probs[1] + self.log_shares[1])


class MixtureGenerator(Generator):
    """The mixture of two generators of one vocabulary; ``weight`` is the second one's share, from 0 to 1."""

    def __init__(self, first: Generator, second: Generator, weight: float) -> None:
        super().__init__(vocabulary_size=first.vocabulary_size, bos_id=first.bos_id)
        if not 0 <= weight <= 1:
            raise ValueError(f"weight: {weight} is out of range; it must be between 0 and 1")
        self.first = first
        self.second = second
        with inference(first):
            size = first.encode(torch.full((1, 1), first.bos_id, device=first.device)).shape[-1]
        self.head = MixtureHead(first.head, second.head, first_size=size, weight=weight)
        self.to(first.device)

    def initial_state(self, batch_size: int) -> MixtureState:
        """Return both initial states."""
        return MixtureState(self.first.initial_state(batch_size), self.second.initial_state(batch_size))

    def advance(self, tokens: Int[Tensor, "B"], state: State) -> tuple[Float[Tensor, "B H"], State]:
        """Read one token per row with both generators."""
        assert isinstance(state, MixtureState)
        first, first_state = self.first.advance(tokens, state.first)
        second, second_state = self.second.advance(tokens, state.second)
        return torch.cat([first, second], -1), MixtureState(first_state, second_state)

    def encode(self, inputs: Int[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        """Read whole sequences with both generators; H is the sum of their hidden sizes."""
        return torch.cat([self.first.encode(inputs), self.second.encode(inputs)], -1)

    @contextmanager
    def prepared(self, precision: Precision) -> Iterator[None]:
        """Lay out the weights of both."""
        with self.first.prepared(precision), self.second.prepared(precision):
            yield


def fit_weight(first: Generator, second: Generator, text: TokenBatch) -> float:
    """Return the second generator's share, among 0, .01, ..., 1, under which ``text`` is likeliest.

    The text is held out from the training of both; of equally good shares the smallest is taken.
    """
    log_p, log_q = (_token_log_probs(generator, text) for generator in (first, second))
    shares = torch.linspace(0, 1, WEIGHTS, dtype=torch.float64).tolist()
    log_likelihoods = [
        torch.logaddexp(log_p + _log(1 - share), log_q + _log(share)).sum() for share in shares
    ]
    return float(shares[int(torch.stack(log_likelihoods).argmax())])


def _log(share: float) -> Tensor:
    return torch.tensor(share, dtype=torch.float64).log()


def _token_log_probs(generator: Generator, text: TokenBatch) -> Float64[Tensor, "N"]:
    """Return log-probabilities of all real tokens, on the CPU."""
    with inference(generator):
        parts = [part.to(generator.device) for part in text.split(ROWS)]
        return torch.cat([generator.log_probs(part)[part.mask].double().cpu() for part in parts])
