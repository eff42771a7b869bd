"""Sampling from generators: one uniform number per token, by the inverse of the cumulative sum.

:class:`TokenSampler` is the one place where tokens are drawn, for samples and for rollouts alike.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seqgan.masking import mask_from_tokens
from seqgan.models.fast_linear import Precision, fast_linear, laid_out
from seqgan.models.generator import Generator

BITS_PER_NAT = 1 / math.log(2)
BELOW_ONE = 1 - 2**-23  # a float32 times this is a smaller one
SAFE_BITS = 100.0  # thousands of terms up to 2**100 still have a finite float32 sum
BLOCK_SIZE = 128  # the most tokens in a block of the two-level search
CACHE_ELEMENTS = 2**21  # logits held at once on a CPU: 8 MB, which its caches keep near
DEVICE_ELEMENTS = 2**26  # the same elsewhere: 256 MB


@dataclass(frozen=True)
class Trajectories:
    """Sampled sequences. The mask is True up to and including EOS; behind it tokens are PAD."""

    tokens: Int[Tensor, "B T"]
    log_probs: Float[Tensor, "B T"]
    """Nats, under the distribution that was sampled; 0 behind the mask and for a given prefix."""
    mask: Bool[Tensor, "B T"]


def may_look(tensor: Tensor) -> bool:
    """Whether the program may branch on values: off the CPU it would have to wait for the device."""
    return tensor.device.type == "cpu"


@contextmanager
def inference(*modules: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradient inside; every submodule's own mode is restored afterwards."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def truncate_logits(
    logits: Float[Tensor, "R V"], top_k: int | None, top_p: float | None
) -> Float[Tensor, "R V"]:
    """Rule out all but the ``top_k`` likeliest tokens, then all but the smallest set of mass ``top_p``.

    The likeliest token always stays (Holtzman et al. 2020 for ``top_p``).
    """
    if top_k is not None and top_k < logits.shape[-1]:
        values, indices = logits.topk(top_k, -1)
        logits = torch.full_like(logits, -math.inf).scatter(-1, indices, values)
    if top_p is not None and top_p < 1:
        logits = _keep_mass(logits, top_p)
    return logits


def _keep_mass(logits: Float[Tensor, "R V"], top_p: float) -> Float[Tensor, "R V"]:
    """Rule out all but the smallest set of mass ``top_p``; of equal logits the first ones belong to it.

    On a CPU numpy sorts the values alone, many times faster than torch, which carries indices along;
    rows where the last value kept comes several times are then done by indices.
    """
    if not may_look(logits):
        return _keep_mass_by_indices(logits, top_p)
    values = torch.from_numpy(np.sort(logits.detach().numpy(), -1)).flip(-1)
    num_kept = (~_outside(values, top_p)).sum(-1, keepdim=True)
    kept = logits >= values.gather(-1, num_kept - 1)
    truncated = logits.masked_fill(~kept, -math.inf)
    tied = (kept.sum(-1, keepdim=True) != num_kept).squeeze(-1)
    truncated[tied] = _keep_mass_by_indices(logits[tied], top_p)
    return truncated


def _keep_mass_by_indices(logits: Float[Tensor, "R V"], top_p: float) -> Float[Tensor, "R V"]:
    values, indices = logits.sort(stable=True, dim=-1, descending=True)
    outside = _outside(values, top_p)
    return logits.masked_fill(torch.zeros_like(outside).scatter(-1, indices, outside), -math.inf)


def _outside(values: Float[Tensor, "R V"], top_p: float) -> Bool[Tensor, "R V"]:
    """Which of the descending logits come behind the mass; never the first."""
    masses = values.softmax(-1)
    outside = masses.cumsum(-1) - masses >= top_p
    outside[..., 0] = False
    return outside


def search_cumulative(
    masses: Float[Tensor, "*N G"], targets: Float[Tensor, "*N D"]
) -> tuple[Int[Tensor, "*N D"], Float[Tensor, "*N G"]]:
    """The first entry up to which more mass than the target (at least 0) lies, and the cumulative sum.

    An entry without mass is never found: targets are kept below the total, and the cumulative sum
    does not rise where there is no mass.
    """
    cumulative = masses.cumsum(-1)
    if not may_look(masses):  # a parallel sum may fall, or rise by rounding where nothing is added
        cumulative = torch.where(masses > 0, cumulative, 0.0).cummax(-1).values
    targets = torch.minimum(targets, cumulative[..., -1:] * BELOW_ONE)
    found = torch.searchsorted(cumulative, targets, right=True)
    return found.clamp(max=masses.shape[-1] - 1), cumulative  # NaN is sorted behind the last


def find_block(masses: Float[Tensor, "R G S"], uniforms: Float[Tensor, "R N"]) -> tuple[Tensor, ...]:
    """The first half of N draws from each row's G·S unnormalised masses: a block, by the blocks' sums.

    Gives the block (R, N), its masses (R, N, S), how far into it the draw lies (R, N), and each
    row's total mass (R, 1).
    """
    sums = masses.sum(-1)
    total = sums.sum(-1, keepdim=True)
    targets = uniforms * total
    block, cumulative = search_cumulative(sums, targets)
    before = cumulative.gather(-1, block) - sums.gather(-1, block)
    rows = torch.arange(len(masses), device=masses.device)[:, None]
    return block, masses[rows, block], (targets - before).clamp(min=0), total


def find_token(
    block: Int[Tensor, "R N"],
    inside: Float[Tensor, "R N S"],
    targets: Float[Tensor, "R N"],
    total: Float[Tensor, "R 1"],
) -> tuple[Int[Tensor, "R N"], Float[Tensor, "R N"]]:
    """The second half of :func:`find_block`: tokens inside the blocks, and log-probabilities in nats."""
    place, _ = search_cumulative(inside, targets[..., None])
    mass = inside.gather(-1, place).squeeze(-1)
    return block * inside.shape[-1] + place.squeeze(-1), (mass / total).log2() / BITS_PER_NAT


class TokenSampler:
    """Draws next tokens from a generator's hidden vectors; holds a scaled copy of its output layer.

    The weights are scaled by log2(e) / temperature, so that a token's mass is 2 to the power of one
    matrix product: torch has a several times faster exp2 than exp on some processors.
    Temperature 0 is the likeliest token. ``precision`` is that of the matrix product alone; with
    bfloat16 logits are rounded to 8 bits. The copy does not follow later changes of the weights.
    A generator without an output layer is asked for its logits instead, always in float32.
    From weights that are not finite come tokens without meaning, with log-probabilities NaN.

    Raises:
        ValueError: A temperature below 0, ``top_k`` below 1, or ``top_p`` outside (0, 1].
    """

    def __init__(
        self,
        generator: Generator,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        precision: Precision = "float32",
    ) -> None:
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature: {temperature} is out of range; it must be at least 0 and finite")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k: {top_k} is out of range; it must be at least 1")
        if top_p is not None and not 0 < top_p <= 1:
            raise ValueError(f"top_p: {top_p} is out of range; it must be more than 0 and at most 1")
        if temperature == 0:
            temperature, top_k = 1.0, 1
        self.top_k, self.top_p = top_k, top_p
        self.vocabulary_size = generator.vocabulary_size
        self.truncated = top_k is not None or top_p is not None
        scale = BITS_PER_NAT / temperature
        self.num_blocks = math.ceil(self.vocabulary_size / BLOCK_SIZE)
        self.block_size = math.ceil(self.vocabulary_size / self.num_blocks)
        self.padding = self.num_blocks * self.block_size - self.vocabulary_size
        elements = CACHE_ELEMENTS if generator.device.type == "cpu" else DEVICE_ELEMENTS
        self.max_rows = max(1, elements // (self.vocabulary_size + self.padding))
        forbidden = generator.forbidden_logits * max(scale, 1.0)
        self._bits: Callable[[Tensor], Tensor]  # the scaled and padded logits of hidden vectors
        if generator.has_output_layer:
            self._copy_output_layer(generator, scale, forbidden, getattr(torch, precision))
        else:
            self.safe_hidden = forbidden.new_zeros(())  # nothing is known of how large the logits are
            self._bits = lambda hidden: self._pad(generator.logits(hidden) * scale + forbidden)

    def _copy_output_layer(
        self, generator: Generator, scale: float, forbidden: Float[Tensor, "V"], dtype: torch.dtype
    ) -> None:
        weight = generator.output_weight.detach() * scale
        bias = generator.output_bias.detach() * scale
        self.safe_hidden = (SAFE_BITS - bias.abs().amax()) / weight.abs().sum(1).amax()
        padded_bias = self._pad(bias + forbidden).to(dtype)
        padded_weight = laid_out(functional.pad(weight, (0, 0, 0, self.padding)).to(dtype), self.max_rows)
        self._bits = lambda hidden: fast_linear(hidden.to(dtype), padded_weight, padded_bias).float()

    def _pad(self, logits: Float[Tensor, "*N V"]) -> Float[Tensor, "*N _"]:
        """With impossible tokens added, up to whole blocks."""
        return functional.pad(logits, (0, self.padding), value=-math.inf)

    def draw(
        self, hidden: Float[Tensor, "R H"], uniforms: Float[Tensor, "R N"]
    ) -> tuple[Int[Tensor, "R N"], Float[Tensor, "R N"]]:
        """For each hidden vector N tokens, one per uniform number in [0, 1), and their log-probabilities."""
        shift = self._may_overflow(hidden)
        chunks = zip(*(torch.split(tensor, self.max_rows) for tensor in (hidden, uniforms)), strict=True)
        found = [find_block(self._masses(h, shift), u) for h, u in chunks]
        tokens, log_probs = find_token(*(torch.cat(parts) for parts in zip(*found, strict=True)))
        return tokens.clamp(max=self.vocabulary_size - 1), log_probs

    def _may_overflow(self, hidden: Tensor) -> bool:
        """Whether logits might leave the safe range, by |w·h| <= |w|_1 max|h|; off the CPU, unasked."""
        if self.truncated or not may_look(hidden) or not len(hidden):
            return True
        return not bool(hidden.abs().amax() < self.safe_hidden)

    def _masses(self, hidden: Tensor, shift: bool) -> Float[Tensor, "R G S"]:
        logits = self._bits(hidden)
        if self.truncated:
            logits = truncate_logits(logits / BITS_PER_NAT, self.top_k, self.top_p).mul_(BITS_PER_NAT)
        if shift:
            logits.sub_(logits.amax(-1, keepdim=True))
        return logits.exp2_().view(len(hidden), self.num_blocks, self.block_size)


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
    return Trajectories(torch.where(mask, tokens, pad_id), torch.where(mask, log_probs, 0.0), mask)


def _sample_batch(
    generator: Generator,
    sampler: TokenSampler,
    prefix: Int[Tensor, "P"],
    uniforms: Float[Tensor, "B T"],
    eos_id: int | None,
) -> tuple[Int[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Tokens and log-probabilities; what lies behind EOS means nothing."""
    num_sequences, max_length = uniforms.shape
    may_stop = eos_id is not None and may_look(uniforms)
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
