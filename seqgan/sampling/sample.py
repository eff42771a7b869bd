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
        for start in range(0, num_sequences, batch_size):
            rows = slice(start, start + batch_size)
            prompts = None if prompt is None else prompt.select(rows).to(uniforms.device)
            tokens[rows], log_probs[rows] = _sample_batch(generator, sampler, prompts, uniforms[rows], eos_id)
    mask = mask_from_tokens(tokens, eos_id)
    return Trajectories(
        torch.where(mask, tokens, pad_id),
        mask,
        prompt=prompt,
        columns={} if prompt is None else prompt.columns,
        log_probs=torch.where(mask, log_probs, 0.0),
    )


def _sample_batch(
    generator: Generator,
    sampler: TokenSampler,
    prompt: TokenBatch | None,
    uniforms: Float[Tensor, "B T"],
    eos_id: int | None,
) -> tuple[Int[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Return tokens and log-probabilities; behind EOS they mean nothing.

    All rows are read in step: while one still reads its prompt, another with a shorter one is completed. On a
    CPU sequences that are complete leave the batch, once they are enough to be worth a copy of the state.
    Each row has its own random numbers, so that no draw depends on which others are still there.
    """
    num_steps, static = uniforms.shape[1], devices.static_shapes(uniforms)
    tokens, log_probs = uniforms.new_zeros(uniforms.shape, dtype=torch.long), torch.zeros_like(uniforms)
    rows = torch.arange(len(uniforms), device=uniforms.device)  # (R,): those still in the batch
    goes_on = torch.ones_like(rows, dtype=torch.bool)
    last, state = torch.full_like(rows, generator.bos_id), generator.initial_state(len(rows))
    lengths = torch.zeros_like(rows) if prompt is None else prompt.lengths
    num_read = 0 if prompt is None else prompt.tokens.shape[1] if static else int(lengths.max())
    for step in range(num_read + num_steps if num_steps else 0):
        hidden, state = generator.advance(last, state)  # (R, H), read up to the token before
        places = step - lengths[rows]  # (R,): of the tokens to come; negative ones are the prompt's
        completes = places >= 0
        all_complete = step >= num_read
        chosen = torch.arange(len(rows), device=rows.device)  # (D,): rows for which a token is drawn
        if not (all_complete or static):
            chosen = chosen[completes]
        at = (rows[chosen], places[chosen].clamp(0, num_steps - 1))
        drawn, drawn_log_probs = (part[:, 0] for part in sampler.draw(hidden[chosen], uniforms[at][:, None]))
        if all_complete:
            last = drawn
        else:
            assert prompt is not None
            last = prompt.tokens[rows, step]
            last = last.index_put((chosen,), torch.where(completes[chosen], drawn, last[chosen]))
        # a row that is full keeps what it has; what one has drawn while it read its prompt is drawn over
        full = places[chosen] >= num_steps
        tokens[at] = torch.where(full, tokens[at], drawn)
        log_probs[at] = torch.where(full, log_probs[at], drawn_log_probs)
        if eos_id is None or static:  # asking which have ended would halt a GPU at every step
            continue
        goes_on = goes_on & ~(completes & ((last == eos_id) | (places >= num_steps - 1)))
        num_going_on = int(goes_on.sum())
        if num_going_on == 0:
            break
        if num_going_on <= SHARE_KEPT * len(rows):
            rows, last, state = rows[goes_on], last[goes_on], state.select(goes_on.nonzero().squeeze(1))
            goes_on = goes_on[goes_on]
    return tokens, log_probs
