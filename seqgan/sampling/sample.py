"""Sample sequences from a generator."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.fast_linear import Precision
from seqgan.runtime import devices
from seqgan.sampling.token_sampler import TokenSampler
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import mask_from_tokens


def sample(
    generator: Generator,
    num_sequences: int,
    max_length: int,
    *,
    eos_id: int | None,
    pad_id: int = 0,
    rng: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    prefix: Int[Tensor, "P"] | Sequence[int] = (),
    batch_size: int = 512,
    precision: Precision = "float32",
) -> Trajectories:
    """Draw sequences of at most ``max_length`` tokens, each kept exactly beginning with ``prefix``.

    In evaluation mode and without gradient. The random numbers do not depend on ``batch_size``.

    Raises:
        ValueError: The prefix is longer than ``max_length``, or a setting is out of range.
    """
    start = torch.as_tensor(prefix, dtype=torch.long, device=generator.device)
    if len(start) > max_length:
        raise ValueError(f"prefix: {len(start)} tokens are too many; there may be at most {max_length}")
    uniforms = torch.rand(num_sequences, max_length, generator=rng, device=generator.device)
    with inference(generator), generator.prepared(precision):
        sampler = TokenSampler(
            generator, temperature=temperature, top_k=top_k, top_p=top_p, precision=precision
        )
        parts = [
            _sample_batch(generator, sampler, start, u, eos_id) for u in torch.split(uniforms, batch_size)
        ]
    tokens, log_probs = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    mask = mask_from_tokens(tokens, eos_id)
    return Trajectories(
        tokens=torch.where(mask, tokens, pad_id), mask=mask, log_probs=torch.where(mask, log_probs, 0.0)
    )


def _sample_batch(
    generator: Generator,
    sampler: TokenSampler,
    prefix: Int[Tensor, "P"],
    uniforms: Float[Tensor, "B T"],
    eos_id: int | None,
) -> tuple[Int[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Tokens and log-probabilities; what lies behind EOS means nothing."""
    num_sequences, max_length = uniforms.shape
    may_stop = eos_id is not None and not devices.static_shapes(uniforms)
    finished = torch.zeros(num_sequences, dtype=torch.bool, device=uniforms.device)
    last, state = prefix.new_full((num_sequences,), generator.bos_id), generator.initial_state(num_sequences)
    tokens, log_probs = [], []
    for step in range(max_length):
        hidden, state = generator.advance(last, state)
        if step < len(prefix):
            last, last_log_probs = prefix[step].expand(num_sequences), uniforms.new_zeros(num_sequences)
        else:
            drawn, drawn_log_probs = sampler.draw(hidden, uniforms[:, step, None])
            last, last_log_probs = drawn[:, 0], drawn_log_probs[:, 0]
        tokens.append(last)
        log_probs.append(last_log_probs)
        if may_stop:
            finished |= last == eos_id
            if finished.all():
                break
    missing = (0, max_length - len(tokens))
    return functional.pad(torch.stack(tokens, 1), missing), functional.pad(torch.stack(log_probs, 1), missing)
