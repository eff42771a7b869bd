"""The policy-gradient objective and its gradient, without a tensor of batch times vocabulary."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK
from seqgan.runtime import devices
from seqgan.text.token_batch import TokenBatch

Reduction = Literal["mean", "sum"]


def reinforce_loss(
    log_probs: Float[Tensor, "*N"],
    advantages: Float[Tensor, "*N"],
    mask: Bool[Tensor, "*N"],
    reduction: Reduction = "mean",
) -> Float[Tensor, ""]:
    """−Σ log G(y_t | y_<t) · A_t over real tokens, or its mean per token; advantages carry no gradient."""
    terms = torch.where(mask, -log_probs * advantages.detach(), 0.0)
    return terms.sum() if reduction == "sum" else terms.sum() / mask.sum().clamp(min=1)


def differentiate(
    policy: Generator,
    reference: Generator,
    tokens: Int[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    actions: Int[Tensor, "B T K"],
    advantages: Float[Tensor, "B T K"],
    *,
    temperature: float = 1.0,
    entropy_weight: float = 0.0,
    kl_weight: float = 0.0,
    reduction: Reduction = "mean",
) -> dict[str, Float[Tensor, ""]]:
    """Add the objective's gradient to that of the policy's parameters, and give the objective's parts.

    The objective is::

        loss − entropy_weight · entropy + kl_weight · KL(policy || reference)

    The loss is :func:`reinforce_loss`, its mean over the K actions of each step; entropy and KL are means
    over the real tokens, in nats. The logits of a few rows at a time are differentiated down to their
    hidden vectors, and what lies below those once in the end: the same gradient in little memory.
    """
    rows = torch.arange(mask.numel(), device=mask.device)
    rows = rows[mask.flatten()] if not devices.static_shapes(mask) else rows
    batch = TokenBatch(tokens, mask)
    hidden = policy.hidden(batch).flatten(0, 1)[rows]
    leaf = hidden.detach().requires_grad_()
    with inference(reference):
        reference_hidden = reference.hidden(batch).flatten(0, 1)[rows] if kl_weight else hidden.detach()
    real, actions, advantages = (part.flatten(0, 1)[rows] for part in (mask, actions, advantages))
    share = real / real.sum().clamp(min=1)  # of each row in a mean over real tokens
    weights = (share if reduction == "mean" else real.float()) / actions.shape[-1]
    loss, entropy, kl = hidden.new_zeros(()), hidden.new_zeros(()), hidden.new_zeros(())
    for chunk in _slices(len(rows), ROWS_PER_CHUNK.get(mask.device.type, 8192)):
        log_probs = torch.log_softmax(policy.head.logits(leaf[chunk]) / temperature, -1)
        taken = (advantages[chunk] * weights[chunk, None]).detach()
        judged = real[chunk, None].expand_as(taken)
        objective = reinforce_loss(log_probs.gather(-1, actions[chunk]), taken, judged, "sum")
        loss += objective.detach()
        with torch.set_grad_enabled(entropy_weight > 0):
            part = -(share[chunk] * (log_probs.exp() * log_probs).sum(-1)).sum()
        entropy += part.detach()
        objective = objective - entropy_weight * part
        if kl_weight:
            with torch.no_grad():
                others = torch.log_softmax(reference.head.logits(reference_hidden[chunk]) / temperature, -1)
            part = (share[chunk] * (log_probs.exp() * (log_probs - others)).sum(-1)).sum()
            kl += part.detach()
            objective = objective + kl_weight * part
        objective.backward()  # type: ignore[no-untyped-call]
    hidden.backward(leaf.grad)  # type: ignore[no-untyped-call]
    return {"policy/loss": loss, "policy/entropy": entropy} | ({"policy/kl": kl} if kl_weight else {})


def _slices(total: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, total, size)]
