"""A generator whose probabilities are known: a table of p(next | last)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqgan.models.generator import Generator, State
from seqgan.models.heads import LinearHead


@dataclass(frozen=True)
class NoState(State):
    unused: Tensor


class CountingHead(LinearHead):
    """Counts the rows that become logits."""

    most_rows = num_rows = 0

    def logits(self, hidden: Tensor) -> Tensor:
        self.most_rows = max(self.most_rows, len(hidden))
        self.num_rows += len(hidden)
        return super().logits(hidden)


class Bigram(Generator):
    """p(next | last) by a table whose last row is the distribution of the first token."""

    def __init__(self, table: Tensor, dropout: float = 0.0) -> None:
        num_tokens = table.shape[1]
        super().__init__(vocabulary_size=num_tokens + 1, bos_id=num_tokens)
        log_table = torch.cat([table.log(), torch.zeros(num_tokens + 1, 1)], 1)
        self.head = CountingHead(num_tokens + 1, num_tokens + 1, forbidden=(num_tokens,))
        self.head.weight.data = log_table.t().contiguous()
        self.dropout = nn.Dropout(dropout)

    def initial_state(self, batch_size: int) -> NoState:
        return NoState(torch.zeros(batch_size))

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        return self.encode(tokens[:, None])[:, 0], state

    def encode(self, inputs: Tensor) -> Tensor:
        hidden: Tensor = self.dropout(nn.functional.one_hot(inputs, self.vocabulary_size).float())
        return hidden
