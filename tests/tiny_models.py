"""Generators so small that every sequence can be enumerated (``tests.references.enumeration``)."""

from typing import Any

import torch
from torch import Tensor

from leakgan.generator import LeakGANGenerator, LeakGANSettings, LeakGANTransformerSettings
from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorSettings
from seqgan.models.generator import Generator
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from seqgan.models.transformer import TransformerGenerator, TransformerSettings
from seqgan.text.token_batch import TokenBatch

KINDS = ("lstm", "transformer")
HIERARCHICAL_KINDS = ("leakgan", "leakgan-transformer")
EVERY_KIND = (*KINDS, *HIERARCHICAL_KINDS)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def whole(tokens: Tensor) -> TokenBatch:
    """A batch without padding."""
    return TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))


def tiny_cnn(
    vocabulary_size: int, *, widths: tuple[int, ...] = (1, 3, 2), num_filters: int = 3, seed: int = 13
) -> CNNDiscriminator:
    """A random discriminator whose features differ clearly from prefix to prefix."""
    config = CNNDiscriminatorSettings(
        embedding_size=4, widths=widths, num_filters=(num_filters,) * len(widths), dropout=0.5
    )
    cnn = CNNDiscriminator(config, vocabulary_size=vocabulary_size, rng=rng(seed))
    with torch.no_grad():
        for weight in (*cnn.filters, *cnn.filter_biases, cnn.output_weight):
            weight.normal_(0.0, 1.0, generator=rng(seed + weight.numel()))
        cnn.highway_bias.normal_(0.0, 0.5, generator=rng(seed))
    return cnn


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
    horizon: int = 2,
) -> Generator:
    """A random generator far from uniform; BOS is token 0, which is an ordinary token unless forbidden."""
    arguments: dict[str, Any] = {
        "vocabulary_size": vocabulary_size,
        "bos_id": 0,
        "forbidden": forbidden,
        "rng": rng(seed),
    }
    scale = scale or {"lstm": 1.0, "transformer": 0.5, "leakgan": 0.6, "leakgan-transformer": 0.3}[kind]
    shared: dict[str, Any] = {"num_layers": num_layers, "dropout": dropout, "initial_scale": scale}
    if kind in HIERARCHICAL_KINDS:
        arguments["discriminator"] = tiny_cnn(vocabulary_size)
        shared |= {"manager_size": 6, "goal_size": 3, "horizon": horizon}
    if kind == "lstm":
        return LSTMGenerator(LSTMSettings(embedding_size=size, hidden_size=size, **shared), **arguments)
    if kind == "leakgan":
        return LeakGANGenerator(LeakGANSettings(embedding_size=size, hidden_size=size, **shared), **arguments)
    shared |= {"model_size": size, "max_length": max_length}
    if kind == "transformer":
        return TransformerGenerator(TransformerSettings(**shared), **arguments)
    return LeakGANGenerator(LeakGANTransformerSettings(**shared), **arguments)
