import pytest
import torch
from torch.nn.functional import cross_entropy

from seqgan.models.kernels import cross_entropy as module
from seqgan.models.kernels.cross_entropy import linear_cross_entropy


@pytest.mark.parametrize("rows", [1, 127, 128, 300])
def test_equals_the_cross_entropy_of_the_logits_in_value_and_gradients(rows):
    rng = torch.Generator().manual_seed(rows)
    shapes = ((rows, 6), (11, 6), (11,))
    ours = [torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes]
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    targets = torch.randint(11, (rows,), generator=rng)
    loss = 3 * linear_cross_entropy(*ours, targets)
    reference = 3 * cross_entropy(theirs[0] @ theirs[1].T + theirs[2], targets)
    torch.testing.assert_close(loss, reference)
    loss.backward()
    reference.backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_impossible_tokens_leave_all_finite():
    hidden, weight = torch.randn(4, 3).requires_grad_(), torch.randn(5, 3).requires_grad_()
    bias = torch.tensor([-1e4, -1e4, 0.0, 0.0, 0.0]).requires_grad_()
    loss = linear_cross_entropy(hidden, weight, bias, torch.tensor([2, 3, 4, 2]))
    loss.backward()
    assert loss.isfinite()
    assert (weight.grad[:2] == 0).all()


def test_no_more_than_a_chunk_of_logits_exists(monkeypatch):
    monkeypatch.setitem(module.ROWS_PER_CHUNK, "cpu", 16)
    shapes = []
    original = module.fast_linear
    monkeypatch.setattr(module, "fast_linear", lambda *a: (shapes.append(r := original(*a)), r)[1])
    linear_cross_entropy(
        torch.randn(50, 3), torch.randn(7, 3), torch.randn(7), torch.zeros(50, dtype=torch.long)
    )
    logits = [tuple(s.shape) for s in shapes if s.shape[1] == 7 and s.shape[0] != 3]
    assert logits == [(16, 7)] * 3 + [(2, 7)]
    assert max(s.numel() for s in shapes) == 16 * 7
