"""SeqGAN as existing PyTorch code does it, for benchmark.py to compare with.

Batched over the sequences, without gradient where none is needed, and with nothing done slowly on
purpose: ``torch.multinomial`` draws from a softmax, convolutions are ``nn.Conv2d(1, n, (width, E))``,
and the Monte-Carlo search takes one rollout and one prefix at a time, reading the prefix anew.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from torch import Tensor, nn
from torch.nn import functional

from seqgan.models.generator import Generator


class Reader(Protocol):
    """A generator that reads tokens (B, k) on from a state and gives the next token's logits."""

    def read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the logits (B, V) behind the last token, and the state there."""
        ...


class PlainLSTM(nn.Module):
    """Embedding, LSTM, linear layer."""

    def __init__(self, vocabulary_size: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, size)
        self.lstm = nn.LSTM(size, size, batch_first=True)
        self.output = nn.Linear(size, vocabulary_size)
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, 0.1)

    def read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read on from the LSTM's state."""
        hidden, state = self.lstm(self.embedding(tokens), state)
        return self.output(hidden[:, -1]), state

    def forward(self, inputs: Tensor) -> Tensor:
        """Return all logits."""
        logits: Tensor = self.output(self.lstm(self.embedding(inputs))[0])
        return logits


class Uncached:
    """One of our generators without its cache: every step reads the whole sequence again."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def read(self, tokens: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read all tokens so far; they are the state."""
        tokens = tokens if state is None else torch.cat([state, tokens], 1)
        return self.generator.head.logits(self.generator.encode(tokens)[:, -1]), tokens


class PlainDiscriminator(nn.Module):
    """The published CNN: convolutions, maximum over time, highway layer, dropout, two classes."""

    def __init__(
        self, vocabulary_size: int, embedding_size: int, widths: Sequence[int], num_filters: Sequence[int]
    ) -> None:
        super().__init__()
        num_features = sum(num_filters)
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(1, number, (width, embedding_size))
            for width, number in zip(widths, num_filters, strict=True)
        )
        self.highway = nn.Linear(num_features, num_features)
        self.gate = nn.Linear(num_features, num_features)
        self.dropout = nn.Dropout(0.25)
        self.output = nn.Linear(num_features, 2)

    def features(self, tokens: Tensor) -> Tensor:
        """Return the maxima over time behind the highway layer."""
        embedded = self.embedding(tokens)[:, None]
        maps = [functional.relu(convolution(embedded)).squeeze(3) for convolution in self.convolutions]
        maxima = torch.cat([functional.max_pool1d(m, m.shape[2]).squeeze(2) for m in maps], 1)
        gate = torch.sigmoid(self.gate(maxima))
        return gate * functional.relu(self.highway(maxima)) + (1 - gate) * maxima

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the two classes."""
        logits: Tensor = self.output(self.dropout(self.features(tokens)))
        return logits


@torch.no_grad()
def complete(model: Reader, inputs: Tensor, num_steps: int) -> Tensor:
    """Read ``inputs`` (BOS and a prefix), then sample on to ``num_steps`` tokens without BOS."""
    sequence = [inputs[:, 1:]]
    logits, state = model.read(inputs, None)
    for step in range(inputs.shape[1] - 1, num_steps):
        token = torch.multinomial(torch.softmax(logits, -1), 1)
        sequence.append(token)
        if step + 1 < num_steps:
            logits, state = model.read(token, state)
    return torch.cat(sequence, 1)


@torch.no_grad()
def search_rewards(
    model: Reader, discriminator: nn.Module, tokens: Tensor, num_rollouts: int, bos_id: int
) -> Tensor:
    """Estimate rewards (B, T) by Monte-Carlo search, one rollout and one prefix at a time."""
    discriminator.eval()
    num_sequences, num_steps = tokens.shape
    inputs = torch.cat([tokens.new_full((num_sequences, 1), bos_id), tokens], 1)
    rewards = torch.zeros(tokens.shape, device=tokens.device)
    for _ in range(num_rollouts):
        for step in range(1, num_steps):
            finished = complete(model, inputs[:, : step + 1], num_steps)
            rewards[:, step - 1] += torch.softmax(discriminator(finished), -1)[:, 1]
        rewards[:, -1] += torch.softmax(discriminator(tokens), -1)[:, 1]
    return rewards / num_rollouts


def policy_update(
    model: Reader,
    logits_of: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    discriminator: nn.Module,
    *,
    num_sequences: int,
    num_steps: int,
    num_rollouts: int,
    device: torch.device,
) -> None:
    """Sample, search, and one REINFORCE step; ``logits_of`` maps inputs with BOS to all logits."""
    bos = torch.zeros(num_sequences, 1, dtype=torch.long, device=device)
    tokens = complete(model, bos, num_steps)
    rewards = search_rewards(model, discriminator, tokens, num_rollouts, bos_id=0)
    inputs = torch.cat([bos, tokens[:, :-1]], 1)
    log_probs = torch.log_softmax(logits_of(inputs), -1).gather(-1, tokens[..., None]).squeeze(-1)
    loss = -(log_probs * rewards).sum()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    for group in optimizer.param_groups:
        nn.utils.clip_grad_norm_(group["params"], 5.0)
    optimizer.step()


def mle_step(model: PlainLSTM, optimizer: torch.optim.Optimizer, tokens: Tensor) -> None:
    """Take a step of maximum likelihood."""
    bos = torch.zeros_like(tokens[:, :1])
    logits = model(torch.cat([bos, tokens[:, :-1]], 1))
    loss = functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


def discriminator_step(
    model: PlainDiscriminator, optimizer: torch.optim.Optimizer, tokens: Tensor, labels: Tensor
) -> None:
    """Take a step of the discriminator, with the published penalty on its output layer."""
    model.train()
    penalty = 0.1 * (model.output.weight.square().sum() + model.output.bias.square().sum())
    loss = functional.cross_entropy(model(tokens), labels) + penalty
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


def bleu(references: list[list[str]], hypotheses: list[list[str]]) -> list[list[float]]:
    """BLEU-2..5 of each hypothesis against all references, by nltk in one call."""
    weights = [tuple([1 / n] * n) for n in range(2, 6)]
    smoothing = SmoothingFunction().method1
    return [
        sentence_bleu(references, sentence, weights, smoothing_function=smoothing) for sentence in hypotheses
    ]
