"""Action values by Monte-Carlo search, all prefixes in lockstep (Yu et al. 2017, section 2.2, equation 4).

A branch is one completion of one prefix. The state of every prefix is met while the sequence itself
is read once; there its branches start, and from then on all branches go forward together. So T steps
are enough, and nothing is ever encoded twice.

With an interval c only the prefixes of c, 2c, ... tokens are completed. An action in between takes the
value of the next of them, which is unbiased: the mean value of a longer prefix, given a shorter
one, is the value of the shorter one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.fast_linear import Precision
from seqgan.rewards.reward import Reward
from seqgan.runtime import devices
from seqgan.sampling.token_sampler import TokenSampler
from seqgan.text.masking import mask_from_tokens

SCORED_ROWS = 2**16  # completions held and handed to the reward at once


@dataclass(frozen=True, kw_only=True)
class RolloutSettings:
    """Settings of the Monte-Carlo search."""

    num_rollouts: Annotated[int, Range(minimum=1)] = 16
    """Completions per prefix; at least 1, the paper's 16."""
    interval: Annotated[int, Range(minimum=1)] = 1
    """Steps between two prefixes that are completed; the actions between take the value of the next one."""
    temperature: Annotated[float, Range(minimum=0)] = 1.0
    """Temperature at which completions are sampled; 0 takes the likeliest token."""
    max_rows: Annotated[int, Range(minimum=1)] = 4096
    """Completions sampled together, which bounds the memory and changes no result; at least 1."""
    precision: Precision = "float32"
    """Number format of the product with the vocabulary: float32, or bfloat16 where the CPU is fast at it."""


def action_values(
    policy: Generator,
    tokens: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    reward: Reward,
    *,
    num_rollouts: int = 16,
    interval: int = 1,
    temperature: float = 1.0,
    max_rows: int = 4096,
    precision: Precision = "float32",
    eos_id: int | None,
    pad_id: int = 0,
    rng: torch.Generator,
) -> Float[Tensor, "B T"]:
    """Q(y_1..y_{t-1}, y_t): the mean reward of ``num_rollouts`` completions of y_1..y_t by the policy.

    With an ``interval`` t is rounded up to a multiple of it. Where that reaches the last real token it is
    the reward of the sequence itself, and 0 behind the mask. The policy is in evaluation mode and
    without gradient. The random numbers do not depend on ``max_rows``.
    """
    num_sequences, num_steps = tokens.shape
    num_prefixes = (num_steps - 1) // interval
    branches = num_prefixes * num_rollouts  # of one sequence
    shape = (num_prefixes, num_rollouts, num_steps - 1)
    with inference(policy), policy.prepared(precision):
        sampler = TokenSampler(policy, temperature=temperature, precision=precision)
        tokens = torch.where(mask, tokens, pad_id)
        final = reward(tokens, mask)
        values = final[:, None].repeat(1, num_steps)
        groups = _slices(num_sequences, max(SCORED_ROWS, max_rows) // branches) if branches else ()
        for group in groups:
            read = tokens[group]
            goes_on = mask[group, interval::interval]  # prefixes that are not yet the whole
            uniforms = torch.stack([torch.rand(shape, generator=rng, device=tokens.device) for _ in read])
            completions = tokens.new_empty(len(read), num_prefixes, num_rollouts, num_steps)
            for rows in _slices(len(read), max_rows // branches):
                for some in _slices(num_rollouts, max_rows // num_prefixes):
                    numbers = uniforms[rows, :, some]
                    completions[rows, :, some] = _complete(
                        policy, sampler, read[rows], goes_on[rows], numbers, interval, eos_id
                    )
            means = _mean_rewards(reward, completions, goes_on, eos_id, pad_id)
            means = torch.where(goes_on, means, final[group, None])
            values[group, : num_prefixes * interval] = means.repeat_interleave(interval, 1)
    return torch.where(mask, values, 0.0)


def _slices(total: int, size: int) -> Iterator[slice]:
    """``total`` rows in slices of ``size``, at least one row each."""
    step = max(1, size)
    return (slice(start, start + step) for start in range(0, total, step))


def _complete(
    policy: Generator,
    sampler: TokenSampler,
    tokens: Int[Tensor, "B T"],
    goes_on: Bool[Tensor, "B P"],
    uniforms: Float[Tensor, "B P N S"],
    interval: int,
    eos_id: int | None,
) -> Int[Tensor, "B P N T"]:
    """N completions of each of the P prefixes, by S = T - 1 numbers each; behind EOS they mean nothing.

    On a CPU branches of ended prefixes never start and ended branches leave the batch. Elsewhere
    all go on to the end, so that shapes do not depend on values.
    """
    (num_sequences, num_steps), num_rollouts = tokens.shape, uniforms.shape[2]
    compact = not devices.static_shapes(tokens)
    completions = tokens[:, None, None].repeat(1, goes_on.shape[1], num_rollouts, 1)
    all_completions, all_uniforms = completions.view(-1, num_steps), uniforms.reshape(-1, num_steps - 1)
    numbers = torch.arange(len(all_completions), device=tokens.device).view(completions.shape[:3])
    sequences = torch.arange(num_sequences, device=tokens.device)

    # The batch is all sequences, then the active branches; `branch` and `last` are the branches'
    # places among the completions and the tokens that they drew last.
    branch, last = sequences[:0], tokens[:0, 0]
    bos = tokens.new_full((num_sequences,), policy.bos_id)
    _, state = policy.advance(bos, policy.initial_state(num_sequences))
    for step in range(1, num_steps):
        hidden, state = policy.advance(torch.cat([tokens[:, step - 1], last]), state)
        prefix = step // interval - 1
        opening = sequences[goes_on[:, prefix]] if compact else sequences
        if step % interval:
            opening = sequences[:0]
        opened, _ = sampler.draw(hidden[opening], uniforms[opening, prefix, :, step - 1])
        drawn, _ = sampler.draw(hidden[num_sequences:], all_uniforms[branch, step - 1, None])
        rows = torch.arange(num_sequences, len(hidden), device=tokens.device)
        rows = torch.cat([rows, opening.repeat_interleave(num_rollouts)])
        branch = torch.cat([branch, numbers[opening, prefix].flatten()])
        last = torch.cat([drawn.flatten(), opened.flatten()])
        all_completions[branch, step] = last
        if compact and eos_id is not None:
            alive = last != eos_id
            branch, last, rows = branch[alive], last[alive], rows[alive]
        unchanged = not len(opening) and num_sequences + len(rows) == len(hidden)
        if step < num_steps - 1 and not unchanged:
            state = state.select(torch.cat([sequences, rows]))
    return completions


def _mean_rewards(
    reward: Reward,
    completions: Int[Tensor, "B P N T"],
    goes_on: Bool[Tensor, "B P"],
    eos_id: int | None,
    pad_id: int,
) -> Float[Tensor, "B P"]:
    """The mean reward of each prefix's completions; means nothing where the prefix had ended."""
    if not devices.static_shapes(goes_on):  # only those that are asked for
        wanted = completions[goes_on]
        means = torch.zeros(goes_on.shape)
        means[goes_on] = _rewards(reward, wanted.flatten(0, 1), eos_id, pad_id).view(wanted.shape[:2]).mean(1)
        return means
    rewards = _rewards(reward, completions.flatten(0, 2), eos_id, pad_id)
    return rewards.view(completions.shape[:3]).mean(2)


def _rewards(
    reward: Reward, tokens: Int[Tensor, "R T"], eos_id: int | None, pad_id: int
) -> Float[Tensor, "R"]:
    if not len(tokens):
        return torch.zeros(0, device=tokens.device)
    mask = mask_from_tokens(tokens, eos_id)
    return reward(torch.where(mask, tokens, pad_id), mask)
