"""The fast linear layer is torch's own, up to rounding, and so are its gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seqgan.models.kernels import fast_linear as module
from seqgan.models.kernels.fast_linear import fast_linear, laid_out

SHAPES = [(1, 5), (64, 172), (3, 7, 32), (0, 8), (300, 1), (6,)]


def operands(*shape: int, outputs: int = 37) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    sizes = shape, (outputs, shape[-1]), (outputs,)
    inputs, weight, bias = (torch.randn(size, generator=rng) for size in sizes)
    return inputs, weight, bias


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("with_bias", [True, False])
def test_equals_torch(shape: tuple[int, ...], with_bias: bool) -> None:
    inputs, weight, bias = operands(*shape)
    chosen = bias if with_bias else None
    expected = functional.linear(inputs, weight, chosen)
    torch.testing.assert_close(fast_linear(inputs, weight, chosen), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wanted", [(True, True, True), (True, False, False), (False, True, False)])
def test_gradients_equal_those_of_torch(shape: tuple[int, ...], wanted: tuple[bool, ...]) -> None:
    gradients = []
    for linear in (fast_linear, functional.linear):
        tensors = [tensor.requires_grad_(want) for tensor, want in zip(operands(*shape), wanted, strict=True)]
        loss = linear(*tensors).tanh().square().sum()
        gradients.append(torch.autograd.grad(loss, [t for t in tensors if t.requires_grad]))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_takes_gradients_that_are_expanded_views() -> None:
    inputs, weight, bias = (tensor.requires_grad_() for tensor in operands(8, 16))
    fast_linear(inputs, weight, bias).sum().backward()
    torch.testing.assert_close(weight.grad, inputs.detach().sum(0).expand(37, -1))
    torch.testing.assert_close(inputs.grad, weight.detach().sum(0).expand(8, -1))
    torch.testing.assert_close(bias.grad, torch.full((37,), 8.0))


def test_takes_views_that_are_not_contiguous() -> None:
    inputs, weight, _ = operands(16, 24, outputs=10)
    result = fast_linear(inputs[::2, ::3], weight[:, ::3])
    torch.testing.assert_close(result, inputs[::2, ::3] @ weight[:, ::3].T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_types_keep_their_type(dtype: torch.dtype) -> None:
    inputs, weight, bias = (tensor.to(dtype) for tensor in operands(8, 16))
    torch.testing.assert_close(fast_linear(inputs, weight, bias), functional.linear(inputs, weight, bias))


def test_works_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, weight, bias = operands(8, 16)
    monkeypatch.setattr(module, "ONEDNN_LINEAR", None)
    assert fast_linear(inputs, weight, bias).equal(functional.linear(inputs, weight, bias))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("num_rows", [1, 64, 300])
def test_a_weight_laid_out_gives_the_same_with_any_number_of_rows(num_rows: int, dtype: torch.dtype) -> None:
    inputs, weight, bias = (tensor.to(dtype) for tensor in operands(64, 172))
    ready = laid_out(weight.requires_grad_(), num_rows)
    assert ready.shape == weight.shape and ready.dtype == dtype
    for rows in (inputs, inputs[:5]):
        expected = functional.linear(rows.float(), weight.float(), bias.float())
        precision = {"rtol": 0.02, "atol": 0.1} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
        torch.testing.assert_close(fast_linear(rows, ready, bias).float(), expected, **precision)


def test_a_weight_stays_itself_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ONEDNN_LAYOUT", None)
    _, weight, _ = operands(8, 16)
    assert laid_out(weight, 8) is weight
    monkeypatch.undo()
    monkeypatch.setattr(module, "ONEDNN_HAS_BFLOAT16", lambda: False)
    rounded = weight.bfloat16()
    assert laid_out(rounded, 8) is rounded
