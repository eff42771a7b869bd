"""Every sequence of a tiny vocabulary, its probability, and what follows from summing over them all."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seqgan.models.generator import Generator
from seqgan.text.masking import mask_from_tokens
from seqgan.text.token_batch import TokenBatch


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
        return (
            torch.where(mask, generator.log_probs(TokenBatch(tokens, mask), temperature), 0.0)
            .sum(1)
            .double()
            .exp()
        )


def exact_action_values(
    generator: Generator, tokens: Tensor, mask: Tensor, reward: Callable[..., Any], eos_id: int | None
) -> Tensor:
    """Q by enumeration: the mean reward of all sequences with the same first t tokens, by probability."""
    every, every_mask = all_sequences(generator.vocabulary_size, tokens.shape[1], eos_id)
    weights = sequence_probabilities(generator, every, every_mask)
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)
    rewards = reward(TokenBatch(every, every_mask)).double()
    values = torch.zeros(tokens.shape, dtype=torch.float64)
    for b, (sequence, length) in enumerate(zip(tokens, mask.sum(1).tolist(), strict=True)):
        for t in range(length):
            same = (every[:, : t + 1] == sequence[: t + 1]).all(1) & every_mask[:, t]
            values[b, t] = (weights * rewards)[same].sum() / weights[same].sum()
    return values.float()
