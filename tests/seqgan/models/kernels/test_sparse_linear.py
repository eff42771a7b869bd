"""The sparse linear layer is torch's own on the same inputs, whatever share of them is 0."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seqgan.models.kernels import sparse_linear as module
from seqgan.models.kernels.sparse_linear import panels, sparse_linear, sparse_pays


def operands(rows: int, inputs: int, outputs: int, share: float) -> tuple[Tensor, Tensor]:
    """Inputs of which about ``share`` are not 0, of either sign, and a weight."""
    rng = torch.Generator().manual_seed(0)
    used = torch.rand(rows, inputs, generator=rng) < share
    values = torch.randn(rows, inputs, generator=rng)
    return torch.where(used, values, 0.0), torch.randn(outputs, inputs, generator=rng)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 40, 33), (64, 172, 344), (3, 1000, 100)])
def test_equals_torch(sizes: tuple[int, int, int], share: float) -> None:
    inputs, weight = operands(*sizes, share)
    result = sparse_linear(inputs, panels(weight))
    assert result.shape == (sizes[0], sizes[2])
    torch.testing.assert_close(result, functional.linear(inputs, weight), rtol=1e-4, atol=1e-4)


def test_takes_inputs_that_are_views_and_no_rows_at_all() -> None:
    inputs, weight = operands(20, 60, 50, 0.2)
    view = inputs[::2, 5:35]
    result = sparse_linear(view, panels(weight[:, 5:35]))
    torch.testing.assert_close(result, view @ weight[:, 5:35].T, rtol=1e-4, atol=1e-4)
    assert sparse_linear(inputs[:0], panels(weight)).shape == (0, 50)


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    inputs, weight = operands(40, 172, 344, 0.2)
    ready = panels(weight)
    together = sparse_linear(inputs, ready)
    alone = torch.cat([sparse_linear(row[None], ready) for row in inputs])
    assert torch.equal(together, alone)


def test_panels_are_small_slices_and_no_part_of_the_weight() -> None:
    _, weight = operands(1, 1720, 3457, 0.0)  # the last slice has one output
    ready = panels(weight.requires_grad_())
    assert [panel.shape[1] for panel in ready] == [128] * 27 + [1]
    assert max(panel.numel() for panel in ready) <= module.PANEL_ELEMENTS
    with torch.no_grad():
        weight.zero_()
    assert all(panel.abs().sum() > 0 and not panel.requires_grad for panel in ready)


def test_pays_in_float32_on_a_cpu_that_has_the_fast_embedding_bag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HAS_FAST_BAG", True)
    weight = torch.zeros(2, 2)
    assert sparse_pays(weight)
    assert not sparse_pays(weight.bfloat16())
    assert not sparse_pays(weight.to("meta"))
    monkeypatch.setattr(module, "HAS_FAST_BAG", False)
    assert not sparse_pays(weight)
