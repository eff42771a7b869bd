"""Mean cross-entropy through a linear head, in row chunks that stay in the processor's cache."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqgan.models.kernels.fast_linear import fast_linear

ROWS_PER_CHUNK = {"cpu": 128, "cuda": 8192}  # rows of logits that exist at once


class _LinearCrossEntropy(torch.autograd.Function):
    """Loss and gradients in one pass, so that no (R, V) tensor outlives its chunk."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
    ) -> Tensor:
        rows = ROWS_PER_CHUNK.get(hidden.device.type, 8192)
        total = hidden.new_zeros(())
        hidden_grad, weight_grad = torch.empty_like(hidden), torch.zeros_like(weight.T)
        bias_grad = torch.zeros_like(bias)
        for start in range(0, len(hidden), rows):
            chunk, target = hidden[start : start + rows], targets[start : start + rows, None]
            logits = fast_linear(chunk, weight, bias)  # (rows, V), the largest tensor that ever exists
            log_normaliser = logits.logsumexp(1, keepdim=True)
            total += (log_normaliser - logits.gather(1, target)).sum()
            errors = logits.sub_(log_normaliser).exp_()  # softmax - one-hot
            errors.scatter_add_(1, target, errors.new_full((), -1.0).expand_as(target))
            hidden_grad[start : start + rows] = fast_linear(errors, weight.T)
            weight_grad += fast_linear(chunk.T, errors.T)  # faster than its transpose
            bias_grad += errors.sum(0)
        ctx.save_for_backward(hidden_grad, weight_grad.T.contiguous(), bias_grad)
        return total / len(hidden)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # type: ignore[no-untyped-def]
        hidden_grad, weight_grad, bias_grad = ctx.saved_tensors
        scale = gradient / len(hidden_grad)
        return hidden_grad * scale, weight_grad * scale, bias_grad * scale, None


def linear_cross_entropy(
    hidden: Float[Tensor, "R H"],
    weight: Float[Tensor, "V H"],
    bias: Float[Tensor, "V"],
    targets: Int[Tensor, "R"],
) -> Float[Tensor, ""]:
    """Return the mean over the rows of −log softmax(hidden·weightᵀ + bias)[target], in nats.

    Equal to :func:`torch.nn.functional.cross_entropy` of the logits, which are never all in memory.
    Gradients are computed with the loss: call it where they are wanted.
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, targets)  # type: ignore[no-untyped-call]
    return loss
