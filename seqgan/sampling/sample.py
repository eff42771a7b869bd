"""Sample sequences from a generator."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.fast_linear import Precision
from seqgan.runtime import devices
from seqgan.sampling.token_sampler import TokenSampler
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import mask_from_tokens
from seqgan.text.token_batch import TokenBatch

SHARE_KEPT = 0.8  # of the rows; with fewer that go on, those that have ended leave the batch


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
    prompt: TokenBatch | None = None,
    batch_size: int = 512,
    precision: Precision = "float32",
) -> Trajectories:
    """Draw sequences of at most ``max_length`` tokens, each the completion of its row of ``prompt``.

    In evaluation mode and without gradient. The random numbers depend neither on ``batch_size`` nor on
    prompts. The trajectories carry the prompt and its columns.

    Raises:
        ValueError: There are not as many prompts as sequences, or a setting is out of range.
    """
    if prompt is not None and len(prompt) != num_sequences:
        raise ValueError(f"prompt: {len(prompt)} rows for {num_sequences} sequences; there must be as many")
    uniforms = torch.rand(num_sequences, max_length, generator=rng, device=generator.device)
    tokens, log_probs = uniforms.new_zeros(uniforms.shape, dtype=torch.long), torch.zeros_like(uniforms)
    with inference(generator), generator.prepared(precision):
        sampler = TokenSampler(
            generator, temperature=temperature, top_k=top_k, top_p=top_p, precision=precision
        )
        for all_rows, all_prompts in _groups(uniforms, prompt):
            pieces = zip(*(torch.split(x, batch_size) for x in (all_rows, all_prompts)), strict=True)
            for rows, prompts in pieces:
                drawn = _sample_batch(generator, sampler, prompts, uniforms[rows], eos_id)
                tokens[rows], log_probs[rows] = drawn
    mask = mask_from_tokens(tokens, eos_id)
    return Trajectories(
        torch.where(mask, tokens, pad_id),
        mask,
        prompt=prompt,
        columns={} if prompt is None else prompt.columns,
        log_probs=torch.where(mask, log_probs, 0.0),
    )


def _groups(
    uniforms: Float[Tensor, "B T"], prompt: TokenBatch | None
) -> list[tuple[Int[Tensor, "R"], Int[Tensor, "R P"]]]:
    """Return rows whose prompts have one length; sampled together, their states grow in step."""
    if prompt is not None:
        return prompt.to(uniforms.device).by_length()
    rows = torch.arange(len(uniforms), device=uniforms.device)
    return [(rows, rows.new_empty(len(rows), 0))]


def _sample_batch(
    generator: Generator,
    sampler: TokenSampler,
    prompts: Int[Tensor, "B P"],
    uniforms: Float[Tensor, "B T"],
    eos_id: int | None,
) -> tuple[Int[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Return tokens and log-probabilities; behind EOS they mean nothing.

    On a CPU sequences that have ended leave the batch, once they are enough to be worth a copy of the state.
    Each row has its own random numbers, so that no draw depends on which others are still there.
    """
    compact = eos_id is not None and not devices.static_shapes(uniforms)
    tokens, log_probs = uniforms.new_zeros(uniforms.shape, dtype=torch.long), torch.zeros_like(uniforms)
    rows = torch.arange(len(uniforms), device=uniforms.device)  # (R,): those still in the batch
    goes_on = torch.ones_like(rows, dtype=torch.bool)
    last, state = generator.start(prompts)
    for step in range(uniforms.shape[1]):
        hidden, state = generator.advance(last, state)  # (R, H), read up to the step before
        drawn, drawn_log_probs = sampler.draw(hidden, uniforms[rows, step, None])  # (R, 1): one number each
        last = drawn[:, 0]
        tokens[rows, step], log_probs[rows, step] = last, drawn_log_probs[:, 0]
        if not compact:  # asking which have ended would halt a GPU at every step
            continue
        goes_on = goes_on & (last != eos_id)
        num_going_on = int(goes_on.sum())
        if num_going_on == 0:
            break
        if num_going_on <= SHARE_KEPT * len(rows):
            rows, last, state = rows[goes_on], last[goes_on], state.select(goes_on.nonzero().squeeze(1))
            goes_on = goes_on[goes_on]
    return tokens, log_probs
