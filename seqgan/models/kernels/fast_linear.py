"""A linear layer by the fastest matrix product that the machine has."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

Precision = Literal["float32", "bfloat16"]

ONEDNN_LINEAR = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
ONEDNN_LAYOUT = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
ONEDNN_HAS_BFLOAT16 = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)


def fast_linear(
    inputs: Float[Tensor, "*N I"], weight: Float[Tensor, "O I"], bias: Float[Tensor, "O"] | None = None
) -> Float[Tensor, "*N O"]:
    """Return ``inputs @ weight.T + bias``: torch's ``linear`` up to rounding, differentiable once.

    In float32 on a CPU torch multiplies by MKL, which on some processors reaches less than half of
    what oneDNN does there, forward and backward. So that case goes to oneDNN's linear operator,
    where this torch has it. Everything else goes to torch's own.
    """
    if weight.is_mkldnn:
        return _onednn_linear(inputs, weight, bias)
    tensors = (inputs, weight) if bias is None else (inputs, weight, bias)
    float32_on_cpu = all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
    if ONEDNN_LINEAR is None or not float32_on_cpu or inputs.numel() == 0:
        return functional.linear(inputs, weight, bias)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        product: Tensor = _OneDNNLinear.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]
        return product
    return _onednn_linear(inputs, weight, bias)


def laid_out(weight: Float[Tensor, "O I"], num_rows: int) -> Tensor:
    """Lay out a weight for many calls of :func:`fast_linear`, each with about ``num_rows`` rows.

    oneDNN otherwise brings a weight into the layout of its product in every call. The result is a
    copy without gradient that only oneDNN can read, or the weight itself where oneDNN is of no use.
    """
    known = weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and ONEDNN_HAS_BFLOAT16())
    if ONEDNN_LINEAR is None or ONEDNN_LAYOUT is None or weight.device.type != "cpu" or not known:
        return weight
    layout: Tensor = ONEDNN_LAYOUT(weight.detach(), num_rows)
    return layout


def _onednn_linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    assert ONEDNN_LINEAR is not None
    product: Tensor = ONEDNN_LINEAR(inputs, weight, bias, "none", [], "")
    return product


class _OneDNNLinear(torch.autograd.Function):
    """oneDNN's linear operator has no derivative in torch; these are its three, by the same operator."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _onednn_linear(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        wants_inputs, wants_weight, wants_bias = ctx.needs_input_grad
        rows = gradient.reshape(-1, len(weight))
        columns = inputs.reshape(-1, weight.shape[1]).t()
        return (
            _onednn_linear(gradient, weight.t()) if wants_inputs else None,
            _onednn_linear(rows.t(), columns) if wants_weight else None,
            rows.sum(0) if wants_bias else None,
        )
