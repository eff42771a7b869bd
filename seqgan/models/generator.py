"""The contract of every generator, and what follows from it for all of them."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqgan.models.kernels.fast_linear import Precision, fast_linear

IMPOSSIBLE = -1e4  # a logit whose probability is exactly 0 in float32 and whose p·log p is 0, not NaN

StateT = TypeVar("StateT", bound="State")  # not typing.Self, which run-time checks cannot follow


@dataclass(frozen=True)
class State:
    """What a generator remembers of a prefix: batch-first tensors, tuples of them, or other such states.

    Only the generator that made it looks inside. Everybody may repeat, select and join it.
    """

    def repeat(self: StateT, repeats: int) -> StateT:
        """Each row ``repeats`` times, copies adjacent: (B, ...) to (B·repeats, ...)."""
        return self._combine([self], lambda parts: parts[0].repeat_interleave(repeats, 0))

    def select(self: StateT, rows: Int[Tensor, "R"] | slice) -> StateT:
        """The rows named by an index tensor or a slice."""
        return self._combine([self], lambda parts: parts[0][rows])

    @classmethod
    def concatenate(cls: type[StateT], states: Sequence[StateT]) -> StateT:
        """The rows of several states, one after another."""
        return cls._combine(states, lambda parts: torch.cat(list(parts)))

    @classmethod
    def _combine(
        cls: type[StateT], states: Sequence[StateT], function: Callable[[Sequence[Tensor]], Tensor]
    ) -> StateT:
        """A state of which each tensor is made from those of ``states`` in the same place."""

        def combine(parts: Sequence[Any]) -> Any:
            if isinstance(parts[0], State):
                return type(parts[0])._combine(parts, function)
            if isinstance(parts[0], tuple):
                return tuple(map(combine, zip(*parts, strict=True)))
            return function(parts)

        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: combine([getattr(state, name) for state in states]) for name in names})


class Generator(nn.Module, ABC):
    """An autoregressive model of token sequences.

    Every sequence starts from the token ``bos_id``, which is put before it here and never part
    of ``tokens``. ``forbidden`` tokens (PAD, BOS) have probability exactly 0.

    A subclass defines three things: :meth:`initial_state`, :meth:`advance` and :meth:`encode`,
    the last two equal step by step, and sets ``output_weight`` (V, H) and ``output_bias`` (V,).
    One whose logits are no linear map of the hidden vectors says so by ``has_output_layer``, has
    neither, and defines :meth:`logits` instead.
    """

    has_output_layer = True
    output_weight: nn.Parameter
    output_bias: nn.Parameter
    forbidden_logits: Tensor

    def __init__(self, *, vocabulary_size: int, bos_id: int, forbidden: Sequence[int] = ()) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.bos_id = bos_id
        forbidden_logits = torch.zeros(vocabulary_size)
        forbidden_logits[list(forbidden)] = IMPOSSIBLE
        self.register_buffer("forbidden_logits", forbidden_logits, persistent=False)

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before BOS has been read."""

    @abstractmethod
    def advance(self, tokens: Int[Tensor, "B"], state: State) -> tuple[Float[Tensor, "B H"], State]:
        """Read one token per row; the hidden vector predicts the next token."""

    @abstractmethod
    def encode(self, inputs: Int[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        """Read whole sequences at once, from the initial state; equal to T calls of :meth:`advance`."""

    @contextmanager
    def prepared(self, precision: Precision) -> Iterator[None]:
        """Around many calls of :meth:`advance` with weights that stay: a place to lay them out once."""
        yield

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.forbidden_logits.device

    def forbid(self, token: int) -> None:
        """Rule a token out from now on; the others share its probability."""
        self.forbidden_logits[token] = IMPOSSIBLE

    @property
    def masked_output_bias(self) -> Float[Tensor, "V"]:
        """The output bias, with forbidden tokens ruled out."""
        return self.output_bias + self.forbidden_logits

    def logits(self, hidden: Float[Tensor, "*N H"]) -> Float[Tensor, "*N V"]:
        """Unnormalised log-probabilities of the next token."""
        return fast_linear(hidden, self.output_weight, self.masked_output_bias)

    def hidden(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        """Teacher-forced hidden vectors: position t has read BOS and ``tokens[:, :t]``."""
        return self.encode(self.inputs(tokens))

    def inputs(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """What is read where ``tokens`` are predicted: BOS, then all of them but the last."""
        bos = tokens.new_full((len(tokens), 1), self.bos_id)
        return torch.cat([bos, tokens[:, :-1]], 1)

    def step(self, tokens: Int[Tensor, "B"], state: State) -> tuple[Float[Tensor, "B V"], State]:
        """Read one token per row and give the logits of the next (the first token read is BOS)."""
        hidden, state = self.advance(tokens, state)
        return self.logits(hidden), state

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Teacher-forced logits: position t is the distribution of ``tokens[:, t]`` given those before."""
        return self.logits(self.hidden(tokens))

    def log_probs(self, tokens: Int[Tensor, "B T"], temperature: float = 1.0) -> Float[Tensor, "B T"]:
        """Log-probability in nats of each token given those before it; behind the mask it means nothing."""
        log_probs = torch.log_softmax(self(tokens) / temperature, -1)
        return log_probs.gather(-1, tokens[..., None]).squeeze(-1)
