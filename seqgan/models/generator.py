"""The contract of generators."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqgan.models.heads import Head
from seqgan.models.kernels.fast_linear import Precision
from seqgan.runtime.tracking import Projection
from seqgan.text.token_batch import TokenBatch, completion_places

StateT = TypeVar("StateT", bound="State")  # not typing.Self, which run-time checks cannot follow


@dataclass(frozen=True)
class State:
    """A generator's memory of a prefix: batch-first tensors, tuples of them, or other such states.

    Only the generator that made it looks inside. Everybody may repeat, select and join it.
    """

    def repeat(self: StateT, repeats: int) -> StateT:
        """Repeat each row, copies adjacent: (B, ...) to (B·repeats, ...)."""
        return self._combine([self], lambda parts: parts[0].repeat_interleave(repeats, 0))

    def select(self: StateT, rows: Int[Tensor, "R"] | slice) -> StateT:
        """Return the rows named by an index tensor or a slice."""
        return self._combine([self], lambda parts: parts[0][rows])

    @classmethod
    def concatenate(cls: type[StateT], states: Sequence[StateT]) -> StateT:
        """Join the rows of several states, one after another."""
        return cls._combine(states, lambda parts: torch.cat(list(parts)))

    @classmethod
    def _combine(
        cls: type[StateT], states: Sequence[StateT], function: Callable[[Sequence[Tensor]], Tensor]
    ) -> StateT:
        """Combine the tensors in the same place of all ``states`` into one state."""

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

    Every sequence starts from the token ``bos_id``, which is put before it here and never part of its
    tokens; a prompt stands between the two. Hidden vectors become logits by the generator's ``head``.

    A subclass sets ``head`` and defines :meth:`initial_state`, :meth:`advance` and :meth:`encode`, the
    last two equal step by step.
    """

    head: Head

    def __init__(self, *, vocabulary_size: int, bos_id: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.bos_id = bos_id

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """Return the state before BOS has been read."""

    @abstractmethod
    def advance(self, tokens: Int[Tensor, "B"], state: State) -> tuple[Float[Tensor, "B H"], State]:
        """Read one token per row; the hidden vector predicts the next token."""

    @abstractmethod
    def encode(self, inputs: Int[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        """Read whole sequences at once, from the initial state; equal to T calls of :meth:`advance`."""

    @contextmanager
    def prepared(self, precision: Precision) -> Iterator[None]:
        """Lay weights out once for many calls of :meth:`advance`, between which they must not change."""
        yield

    def companions(self) -> dict[str, nn.Module]:
        """Return modules by name that the probabilities depend on but that the generator does not own.

        They are saved and restored with its weights.
        """
        return {}

    def projections(self, batch: TokenBatch, words: Sequence[str]) -> Mapping[str, Projection]:
        """Return vectors by name that are worth a look along ``batch``; ``words`` names each token id."""
        return {}

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return self.head.forbidden_logits.device

    def inputs(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        """Return what is read where ``tokens`` are predicted: BOS, and all tokens but the last."""
        bos = tokens.new_full((len(tokens), 1), self.bos_id)
        return torch.cat([bos, tokens[:, :-1]], 1)

    def hidden(self, batch: TokenBatch) -> Float[Tensor, "B T H"]:
        """Return teacher-forced hidden vectors: position t has read BOS, the prompt and ``tokens[:, :t]``.

        All rows are read at once: each completion follows its prompt's last real token, and padding stands
        behind both, where it changes nothing before.
        """
        if batch.prompt is None:
            return self.encode(self.inputs(batch.tokens))
        read = self.encode(self.inputs(batch.joined().tokens))  # (B, P + T, H)
        places = completion_places(batch.prompt, batch.tokens.shape[1])  # (B, T)
        return read.gather(1, places[..., None].expand(-1, -1, read.shape[2]))

    def start(self, prompts: Int[Tensor, "B P"]) -> tuple[Int[Tensor, "B"], State]:
        """Read BOS and prompts of one length (0 for none) but for the last token: return that and the state.

        The first :meth:`advance` by them gives the hidden vector that predicts the first token.
        """
        last, state = prompts.new_full((len(prompts),), self.bos_id), self.initial_state(len(prompts))
        for token in prompts.unbind(1):
            _, state = self.advance(last, state)
            last = token
        return last, state

    def forward(self, batch: TokenBatch) -> Float[Tensor, "B T V"]:
        """Return teacher-forced logits: position t is for ``tokens[:, t]`` given all before."""
        return self.head.logits(self.hidden(batch))

    def log_probs(self, batch: TokenBatch, temperature: float = 1.0) -> Float[Tensor, "B T"]:
        """Return each token's log-probability in nats given those before; meaningless behind the mask."""
        log_probs = torch.log_softmax(self(batch) / temperature, -1)
        return log_probs.gather(-1, batch.tokens[..., None]).squeeze(-1)
