"""The area under the curve against a double loop."""

import math

import pytest
import torch
from torch import Tensor

from seqgan.evaluation.auc import area_under_curve


def by_loop(real: Tensor, fake: Tensor) -> float:
    wins = [1.0 if r > f else 0.5 if r == f else 0.0 for r in real.tolist() for f in fake.tolist()]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("num_values", [2, 5, 1000])
@pytest.mark.parametrize(("num_real", "num_fake"), [(1, 1), (1, 30), (40, 1), (57, 23)])
def test_equals_the_loop_with_and_without_ties(num_values: int, num_real: int, num_fake: int) -> None:
    rng = torch.Generator().manual_seed(num_values)
    for _ in range(5):
        real = torch.randint(num_values, (num_real,), generator=rng) + 0.25 * num_values
        fake = torch.randint(num_values, (num_fake,), generator=rng).float()
        fake[0] = real[0]
        assert area_under_curve(real, fake).item() == pytest.approx(by_loop(real, fake), abs=1e-6)


def test_known_values() -> None:
    low, high = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0, 5.0])
    assert area_under_curve(high, low) == 1
    assert area_under_curve(low, high) == 0
    assert area_under_curve(torch.zeros(7), torch.zeros(3)) == 0.5
    assert area_under_curve(torch.tensor([math.inf]), torch.tensor([-math.inf, math.inf])) == 0.75


def test_swapping_sides_gives_the_complement_and_monotone_maps_change_nothing() -> None:
    rng = torch.Generator().manual_seed(0)
    real, fake = torch.randn(200, generator=rng) + 0.5, torch.randn(300, generator=rng)
    area = area_under_curve(real, fake)
    torch.testing.assert_close(area_under_curve(fake, real), 1 - area)
    torch.testing.assert_close(area_under_curve(real.exp(), fake.exp()), area)


def test_large_counts_stay_exact() -> None:
    scores = torch.arange(20_000.0)
    assert area_under_curve(scores, scores).item() == pytest.approx(0.5, abs=1e-7)


def test_undefined() -> None:
    assert area_under_curve(torch.tensor([1.0, math.nan]), torch.tensor([0.0])).isnan()
    assert area_under_curve(torch.tensor([1.0]), torch.tensor([math.nan])).isnan()
    with pytest.raises(ValueError, match="0 real and 2 generated"):
        area_under_curve(torch.empty(0), torch.zeros(2))
