"""Exact likelihoods of sequences under a generator, in nats per token.

A set's NLL is the sum over all its tokens divided by their number, never a mean of batch means.
"""

import math

import torch
from jaxtyping import Bool, Float64, Int
from torch import Tensor, nn

from seqgan.evaluation.signature import Estimate
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK

MAX_EXPONENT = 709.0  # of exp in float64


def nll(
    generator: Generator,
    tokens: Int[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    *,
    batch_size: int = 256,
    temperature: float = 1.0,
) -> Estimate:
    """Negative log-likelihood in nats per token of ``tokens`` where ``mask`` is True (EOS included).

    Of the generator's own samples, drawn at ``temperature``, it is an estimate of its entropy.

    Raises:
        ValueError: The mask holds no token.
    """
    sums = sequence_nll(generator, tokens, mask, batch_size=batch_size, temperature=temperature)
    return per_token(sums, mask.sum(1))


def sequence_nll(
    generator: Generator,
    tokens: Int[Tensor, "N T"],
    mask: Bool[Tensor, "N T"],
    *,
    batch_size: int = 256,
    temperature: float = 1.0,
) -> Float64[Tensor, "N"]:
    """Negative log-likelihood in nats of each whole sequence, on the CPU; 0 for an empty one.

    Scored without dropout and without gradient; the generator's mode is left as it was.
    """
    with inference(generator):
        batches = [
            _batch_nll(generator, batch.to(generator.device), kept.to(generator.device), temperature)
            for batch, kept in zip(
                torch.split(tokens, batch_size), torch.split(mask, batch_size), strict=True
            )
        ]
        return torch.cat(batches).cpu()


def per_token(sums: Float64[Tensor, "N"], lengths: Int[Tensor, "N"]) -> Estimate:
    """Sums over sequences as a mean over all their tokens, of which each has ``lengths``.

    The standard error is that of a ratio of two means over sequences (Cochran 1977, section 2.11):
    the tokens of one sequence are not independent, and its length is random too. The sentence values
    have that same error: each is the mean, and what its sequence adds to or takes from it.

    Raises:
        ValueError: There is no token.
    """
    lengths = lengths.to(sums)
    num_sequences, num_tokens = len(sums), lengths.sum()
    if not num_tokens:
        raise ValueError("sequences: there is no token to score")
    mean = sums.sum() / num_tokens
    values = mean + (sums - mean * lengths) * num_sequences / num_tokens
    return Estimate(float(mean), Estimate.mean(values.numpy()).standard_error, values.numpy())


def perplexity(sums: Float64[Tensor, "N"], lengths: Int[Tensor, "N"]) -> Estimate:
    """Return exp of the mean of negative log-likelihoods over all tokens, with errors by the delta method.

    Raises:
        ValueError: There is no token.
    """
    mean = per_token(sums, lengths)
    value = math.exp(mean.value) if mean.value < MAX_EXPONENT else math.inf
    if mean.sentence_values is None or value == math.inf:
        return Estimate(value)
    return Estimate.linear(value, value * (mean.sentence_values - mean.value))


def _batch_nll(
    generator: Generator, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"], temperature: float
) -> Float64[Tensor, "B"]:
    """Sum over each row's masked tokens. Only they are projected to logits, a few rows at a time."""
    rows = ROWS_PER_CHUNK.get(tokens.device.type, 8192)
    chunks = zip(
        torch.split(generator.hidden(tokens)[mask], rows), torch.split(tokens[mask], rows), strict=True
    )
    token_nll = [
        nn.functional.cross_entropy(generator.logits(hidden) / temperature, targets, reduction="none")
        for hidden, targets in chunks
    ]
    values = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
    values[mask] = torch.cat(token_nll).double()
    return values.sum(1)
