"""The Donsker-Varadhan bound against closed forms."""

import math

import numpy as np
import pytest
import torch

from seqgan.evaluation.divergence_bound import donsker_varadhan_bound


def gaussians(seed, number=40_000, shift=1.0):
    """Draws of N(shift, 1) and N(0, 1): the log-ratio is shift · x - shift² / 2, KL is shift² / 2."""
    rng = torch.Generator().manual_seed(seed)
    p, q = (torch.randn(number, generator=rng, dtype=torch.float64) + mean for mean in (shift, 0.0))
    return p, q


def test_the_log_ratio_reaches_the_divergence_whatever_constant_is_added():
    p, q = gaussians(0)
    for constant in (0.0, 3.0, -700.0):
        found = donsker_varadhan_bound(p - 0.5 + constant, q - 0.5 + constant)
        assert found.value == pytest.approx(0.5, abs=4 * found.standard_error)
        assert found.standard_error < 0.01


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.7, 1.5])
def test_a_score_that_is_not_the_log_ratio_stays_below(slope):
    """Of f = s·x it is s - s²/2, by the moments of the normal distribution: 1/2 at most, at s = 1."""
    p, q = gaussians(1)
    found = donsker_varadhan_bound(slope * p, slope * q)
    assert found.value == pytest.approx(slope - slope**2 / 2, abs=max(4 * found.standard_error, 1e-12))
    assert found.value <= 0.5


def test_a_discrete_distribution_by_hand():
    """p = (3/4, 1/4), q = (1/4, 3/4): f = ±ln 3 gives KL = ln(3) / 2."""
    log = math.log(3)
    real, fake = torch.tensor([log, log, log, -log]), torch.tensor([log, -log, -log, -log])
    assert donsker_varadhan_bound(real, fake).value == pytest.approx(log / 2)


def test_the_standard_error_is_that_of_repeated_draws():
    found = [donsker_varadhan_bound(*gaussians(seed, 400)) for seed in range(200)]
    deviation = np.std([estimate.value for estimate in found], ddof=1)
    assert np.mean([estimate.standard_error for estimate in found]) == pytest.approx(deviation, rel=0.15)


def test_one_side_alone_is_refused():
    with pytest.raises(ValueError, match="there are 0 real and 2 generated ones"):
        donsker_varadhan_bound(torch.zeros(0), torch.zeros(2))
