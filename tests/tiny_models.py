"""Generators so small that every sequence can be enumerated, and exact figures from the enumeration."""

import itertools

import pytest
import torch
from torch import Tensor

from seqgan.masking import mask_from_tokens
from seqgan.models.generator import Generator
from seqgan.models.lstm import LSTMConfig, LSTMGenerator
from seqgan.models.transformer import TransformerConfig, TransformerGenerator

KINDS = ("lstm", "transformer")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny_generator(
    kind: str,
    vocabulary_size: int = 3,
    *,
    seed: int = 1,
    scale: float | None = None,
    forbidden: tuple[int, ...] = (),
    dropout: float = 0.0,
    num_layers: int = 2,
    size: int = 8,
    max_length: int = 16,
) -> Generator:
    """A random generator far from uniform; BOS is token 0, which is an ordinary token unless forbidden."""
    arguments = {"vocabulary_size": vocabulary_size, "bos_id": 0, "forbidden": forbidden, "rng": rng(seed)}
    scale = scale or {"lstm": 1.0, "transformer": 0.5}[kind]
    shared = {"num_layers": num_layers, "dropout": dropout, "initial_scale": scale}
    if kind == "lstm":
        return LSTMGenerator(LSTMConfig(embedding_size=size, hidden_size=size, **shared), **arguments)
    config = TransformerConfig(model_size=size, max_length=max_length, **shared)
    return TransformerGenerator(config, **arguments)


def all_sequences(vocabulary_size: int, num_steps: int, eos_id: int | None) -> tuple[Tensor, Tensor]:
    """Every sequence once, tokens behind EOS being 0, with masks."""
    tokens = torch.tensor(list(itertools.product(range(vocabulary_size), repeat=num_steps)))
    mask = mask_from_tokens(tokens, eos_id)
    distinct = torch.unique(torch.where(mask, tokens, -1), dim=0)
    return distinct.clamp(min=0), distinct >= 0


def sequence_probabilities(
    generator: Generator, tokens: Tensor, mask: Tensor, temperature: float = 1.0
) -> Tensor:
    """The probability of each sequence, teacher-forced."""
    with torch.no_grad():
        return torch.where(mask, generator.log_probs(tokens, temperature), 0.0).sum(1).double().exp()


def exact_action_values(
    generator: Generator, tokens: Tensor, mask: Tensor, reward, eos_id: int | None
) -> Tensor:
    """Q by enumeration: the mean reward of all sequences with the same first t tokens, by probability."""
    every, every_mask = all_sequences(generator.vocabulary_size, tokens.shape[1], eos_id)
    weights = sequence_probabilities(generator, every, every_mask)
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)
    rewards = reward(every, every_mask).double()
    values = torch.zeros(tokens.shape, dtype=torch.float64)
    for b, (sequence, length) in enumerate(zip(tokens, mask.sum(1).tolist(), strict=True)):
        for t in range(length):
            same = (every[:, : t + 1] == sequence[: t + 1]).all(1) & every_mask[:, t]
            values[b, t] = (weights * rewards)[same].sum() / weights[same].sum()
    return values.float()
