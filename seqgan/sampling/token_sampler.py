"""Draw next tokens: one uniform number per token, by the inverse of the cumulative sum.

:class:`TokenSampler` is the one place where tokens are drawn, for samples and for rollouts alike.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.models.generator import Generator
from seqgan.models.kernels.fast_linear import Precision
from seqgan.runtime import devices
from seqgan.sampling.truncation import truncate_logits

BITS_PER_NAT = 1 / math.log(2)

BELOW_ONE = 1 - 2**-23  # a float32 times this is a smaller one

SAFE_BITS = 100.0  # thousands of terms up to 2**100 still have a finite float32 sum

BLOCK_SIZE = 128  # the most tokens in a block of the two-level search

CACHE_ELEMENTS = 2**21  # logits held at once on a CPU: 8 MB, which its caches keep near

DEVICE_ELEMENTS = 2**26  # the same elsewhere: 256 MB


def search_cumulative(
    masses: Float[Tensor, "*N G"], targets: Float[Tensor, "*N D"]
) -> tuple[Int[Tensor, "*N D"], Float[Tensor, "*N G"]]:
    """Find the first entry up to which more mass than the target (at least 0) lies; also the cumulative sum.

    An entry without mass is never found: targets are kept below the total, and the cumulative sum
    does not rise where there is no mass.
    """
    cumulative = masses.cumsum(-1)
    if devices.static_shapes(masses):  # a parallel sum may fall, or rise by rounding where nothing is added
        cumulative = torch.where(masses > 0, cumulative, 0.0).cummax(-1).values
    targets = torch.minimum(targets, cumulative[..., -1:] * BELOW_ONE)
    found = torch.searchsorted(cumulative, targets, right=True)
    return found.clamp(max=masses.shape[-1] - 1), cumulative  # NaN is sorted behind the last


def find_block(masses: Float[Tensor, "R G S"], uniforms: Float[Tensor, "R N"]) -> tuple[Tensor, ...]:
    """Draw N times from each row's G·S unnormalised masses, the first half: a block, by the blocks' sums.

    One cumulative sum over the G sums and one over the S masses of a block stand for one over all V.
    Returns the block (R, N), its masses (R, N, S), how far into it the draw lies (R, N), and each row's
    total mass (R, 1).
    """
    sums = masses.sum(-1)  # (R, G)
    total = sums.sum(-1, keepdim=True)
    targets = uniforms * total  # masses need no normalisation: the uniform number is scaled instead
    block, cumulative = search_cumulative(sums, targets)
    before = cumulative.gather(-1, block) - sums.gather(-1, block)  # (R, N), the mass of earlier blocks
    rows = torch.arange(len(masses), device=masses.device)[:, None]
    return block, masses[rows, block], (targets - before).clamp(min=0), total


def find_token(
    block: Int[Tensor, "R N"],
    inside: Float[Tensor, "R N S"],
    targets: Float[Tensor, "R N"],
    total: Float[Tensor, "R 1"],
) -> tuple[Int[Tensor, "R N"], Float[Tensor, "R N"]]:
    """Draw the second half of :func:`find_block`: tokens inside the blocks, and log-probabilities in nats."""
    place, _ = search_cumulative(inside, targets[..., None])  # (R, N, 1)
    mass = inside.gather(-1, place).squeeze(-1)
    return block * inside.shape[-1] + place.squeeze(-1), (mass / total).log2() / BITS_PER_NAT


class TokenSampler:
    """A source of next tokens, drawn from a generator's hidden vectors by its head.

    Logits are scaled by log2(e) / temperature, so that a token's mass is 2 to the power of a scaled logit:
    torch has a several times faster exp2 than exp on some processors. A linear head is scaled once, in a
    copy that does not follow later changes of the weights. Temperature 0 is the likeliest token.
    ``precision`` is that of the matrix product with the vocabulary alone.
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
        self._bits = generator.head.scaled(
            scale, padding=self.padding, num_rows=self.max_rows, precision=precision
        )
        self._safe_hidden = (SAFE_BITS - self._bits.offset) / self._bits.slope

    def draw(
        self, hidden: Float[Tensor, "R H"], uniforms: Float[Tensor, "R N"]
    ) -> tuple[Int[Tensor, "R N"], Float[Tensor, "R N"]]:
        """Draw N tokens for each hidden vector, one per number in [0, 1), with their log-probabilities.

        Rows are worked on a few at a time, since their masses are (rows, V); of each only the blocks that
        were hit (rows, N, S) are kept for the second half, which all rows share.
        """
        shift = self._may_overflow(hidden)
        chunks = zip(*(torch.split(tensor, self.max_rows) for tensor in (hidden, uniforms)), strict=True)
        found = [find_block(self._masses(h, shift), u) for h, u in chunks]
        tokens, log_probs = find_token(*(torch.cat(parts) for parts in zip(*found, strict=True)))
        return tokens.clamp(max=self.vocabulary_size - 1), log_probs

    def _may_overflow(self, hidden: Tensor) -> bool:
        """Return whether scaled logits might leave the safe range; off the CPU, always without asking."""
        if self.truncated or devices.static_shapes(hidden) or not len(hidden):
            return True
        return not bool(hidden.abs().amax() < self._safe_hidden)

    def _masses(self, hidden: Tensor, shift: bool) -> Float[Tensor, "R G S"]:
        logits = self._bits.compute(hidden)
        if self.truncated:
            logits = truncate_logits(logits / BITS_PER_NAT, self.top_k, self.top_p).mul_(BITS_PER_NAT)
        if shift:  # a pass over (R, V), spared where no mass can overflow
            logits.sub_(logits.amax(-1, keepdim=True))
        return logits.exp2_().view(len(hidden), self.num_blocks, self.block_size)
