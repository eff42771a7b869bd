"""Exact likelihoods of sequences under a generator, in nats per token.

A set's NLL is the sum over all its tokens divided by their number, never a mean of batch means.
"""

import math

import torch
from jaxtyping import Float64, Int
from torch import Tensor, nn

from seqgan.evaluation.signature import Estimate
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK
from seqgan.text.token_batch import TokenBatch

MAX_EXPONENT = 709.0  # of exp in float64


def nll(
    generator: Generator, batch: TokenBatch, *, batch_size: int = 256, temperature: float = 1.0
) -> Estimate:
    """Return the negative log-likelihood of sequences in nats per real token, EOS included.

    Of the generator's own samples, drawn at ``temperature``, it is an estimate of its entropy.

    Raises:
        ValueError: The mask holds no token.
    """
    sums = sequence_nll(generator, batch, batch_size=batch_size, temperature=temperature)
    return per_token(sums, batch.lengths)


def sequence_nll(
    generator: Generator, batch: TokenBatch, *, batch_size: int = 256, temperature: float = 1.0
) -> Float64[Tensor, "N"]:
    """Return the negative log-likelihood in nats of each whole sequence, on the CPU; 0 for an empty one.

    Scored without dropout and without gradient; the generator's mode is left as it was.
    """
    with inference(generator):
        parts = batch.split(batch_size)
        return torch.cat([_batch_nll(generator, p.to(generator.device), temperature) for p in parts]).cpu()


def per_token(sums: Float64[Tensor, "N"], lengths: Int[Tensor, "N"]) -> Estimate:
    """Turn sums over sequences into a mean over all their tokens, of which each has ``lengths``.

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


def _batch_nll(generator: Generator, batch: TokenBatch, temperature: float) -> Float64[Tensor, "B"]:
    """Sum over each row's masked tokens. Only they are projected to logits, a few rows at a time."""
    mask = batch.mask
    rows = ROWS_PER_CHUNK.get(mask.device.type, 8192)
    # (N, H) hidden vectors and (N,) ids of the N real tokens; logits are (rows, V) at most
    hidden, targets = generator.hidden(batch)[mask], batch.tokens[mask]
    chunks = zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)
    token_nll = [
        nn.functional.cross_entropy(generator.head.logits(hidden) / temperature, targets, reduction="none")
        for hidden, targets in chunks
    ]
    values = torch.zeros(mask.shape, dtype=torch.float64, device=mask.device)
    values[mask] = torch.cat(token_nll).double()
    return values.sum(1)
