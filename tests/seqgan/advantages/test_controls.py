"""Controls: as large as the true advantages, and without a word about the actions."""

import dataclasses
import itertools
from collections import Counter

import pytest
import torch

from seqgan.advantages.action_values import ActionValues
from seqgan.advantages.baselines import leave_one_out_mean, leave_one_out_step_mean
from seqgan.advantages.candidates import Candidates, CandidatesSettings
from seqgan.advantages.controls import apply_control, draw_control
from seqgan.advantages.returns import Returns, ReturnsSettings
from seqgan.advantages.rollouts import Rollouts, RolloutsSettings
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.masking import mask_from_lengths
from tests.tiny_models import rng, tiny_generator

CONTROLS = ("constant", "random", "shuffled")
MASK = mask_from_lengths(
    torch.tensor([5, 3, 5, 1, 4, 5, 2, 5]), 6
)  # nobody alone at a step, and nobody at the last


def true_values(num_actions, mask=MASK):
    """Values whose spread grows with the step, with the baselines of rollouts or candidates."""
    spread = torch.arange(1.0, mask.shape[1] + 1)[:, None]
    values = 5 + spread * torch.randn(*mask.shape, num_actions, generator=rng(1))
    values = torch.where(mask[..., None], values, 0.0)
    if num_actions == 1:
        baseline = leave_one_out_step_mean(values[..., 0], mask)[..., None]
    else:
        baseline = leave_one_out_mean(values)
    actions = torch.zeros(values.shape, dtype=torch.long)
    return ActionValues(actions=actions, values=values, baseline=baseline, mask=mask)


@pytest.mark.slow
@pytest.mark.parametrize("num_actions", [1, 4])
@pytest.mark.parametrize("control", CONTROLS)
def test_mean_and_deviation_are_those_of_the_true_advantages_and_the_signal_is_gone(control, num_actions):
    values = true_values(num_actions)
    true = values.advantages[MASK]
    drawn = torch.stack([apply_control(values, control, rng(s)).advantages[MASK] for s in range(2000)])
    assert float(drawn.mean()) == pytest.approx(
        float(true.mean()), abs=5 * float(drawn.std()) / drawn.numel() ** 0.5
    )
    assert float(drawn.std(correction=0)) == pytest.approx(float(true.std(correction=0)), rel=0.03)
    # The expected advantage of an action is its group's mean, which leaving one out makes 0.
    bound = 5 * drawn.std(0) / 2000**0.5 + 1e-5
    assert (drawn.mean(0).abs() < bound).all()
    correlations = [
        float(torch.corrcoef(torch.stack([d.flatten(), true.flatten()]))[0, 1]) for d in drawn[:400]
    ]
    assert abs(sum(correlations) / 400) < 0.05
    assert (true.abs() > 2 * bound.amax()).any()


@pytest.mark.slow
@pytest.mark.parametrize("num_actions", [1, 4])
def test_random_and_shuffled_keep_the_size_of_every_step(num_actions):
    values = true_values(num_actions)
    for control in ("random", "shuffled"):
        drawn = [apply_control(values, control, rng(s)).advantages for s in range(500)]
        for step in range(5):
            real = MASK[:, step]
            true = values.advantages[real, step].std(correction=0)
            ours = torch.stack([d[real, step] for d in drawn]).std(correction=0)
            assert float(ours) == pytest.approx(float(true), rel=0.05)


def test_constant_has_one_size_for_all():
    values = true_values(4)
    drawn = apply_control(values, "constant", rng()).advantages[MASK]
    assert len((drawn - values.advantages[MASK].mean()).abs().unique().round(decimals=3).unique()) == 1


def test_constant_is_mean_plus_or_minus_deviation_of_the_real_advantages():
    values = true_values(4)
    values = dataclasses.replace(values, baseline=torch.zeros_like(values.values))  # the mean is not 0
    true = values.advantages[MASK]
    drawn = apply_control(values, "constant", rng()).advantages[MASK]
    deviation = true.std(correction=0)
    expected = torch.where(drawn > true.mean(), true.mean() + deviation, true.mean() - deviation)
    torch.testing.assert_close(drawn, expected)
    assert 0.3 < float((drawn > true.mean()).float().mean()) < 0.7


def test_all_orders_of_the_candidates_are_equally_frequent():
    advantages = torch.tensor([1.0, 2.0, 3.0]).expand(3000, 2, 3)
    drawn = draw_control(advantages, torch.ones(3000, 2, dtype=torch.bool), "shuffled", rng())
    orders = Counter(map(tuple, drawn.flatten(0, 1).tolist()))
    assert set(orders) == set(itertools.permutations((1.0, 2.0, 3.0)))
    assert all(abs(count - 1000) < 5 * (1000 * 5 / 6) ** 0.5 for count in orders.values())
    assert len(drawn[:, :, 0].unique(dim=0)) == 9  # steps are shuffled independently of each other


def test_candidates_never_leave_their_step_and_tokens_never_their_column():
    steps = torch.arange(8 * 6).view(8, 6, 1).float() * 10 + torch.arange(4)
    drawn = draw_control(steps, MASK, "shuffled", rng())
    assert torch.equal(drawn.sort(-1).values[MASK], steps[MASK])
    assert (drawn[~MASK] == 0).all()
    columns = torch.arange(8 * 6).view(8, 6, 1).float() + 1
    drawn = draw_control(columns, MASK, "shuffled", rng())[..., 0]
    assert (drawn[~MASK] == 0).all()
    for step in range(5):
        real = MASK[:, step]
        assert sorted(drawn[real, step].tolist()) == sorted(columns[real, step, 0].tolist())
    assert not torch.equal(drawn[:, :5], columns[:, :5, 0])


@pytest.mark.parametrize("control", ["random", "shuffled"])
def test_a_sequence_alone_at_its_step_teaches_nothing(control):
    values = true_values(1, mask_from_lengths(torch.tensor([3, 2, 2]), 3))
    assert values.advantages[0, 2].abs() > 0.1
    controlled = apply_control(values, control, rng()).advantages
    assert controlled[0, 2] == 0
    assert controlled[0, 1].abs() > 0.1


def test_the_values_stay_true_for_the_log():
    values = true_values(4)
    for control in CONTROLS:
        assert torch.equal(apply_control(values, control, rng()).values, values.values)
    assert apply_control(values, "none", rng()) is values


@pytest.mark.parametrize("kind", ["rollouts", "candidates", "returns"])
@pytest.mark.parametrize("control", ["none", *CONTROLS])
def test_every_estimator_applies_its_control(kind, control):
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 20, 5, eos_id=5, rng=rng(2))
    common = {"policy": policy, "sampling": SamplingSettings(), "eos_id": 5, "pad_id": 0}

    def reward(batch):
        return torch.where(batch.mask, batch.tokens, 0).sum(1).float()

    def estimate(control):
        parts = {**common, "reward": reward, "rng": rng(4)}
        if kind == "rollouts":
            return Rollouts(RolloutsSettings(num_rollouts=2, control=control), **parts)(policy, given)
        if kind == "returns":
            chosen = {name: parts[name] for name in ("policy", "reward", "rng")}
            return Returns(ReturnsSettings(control=control), **chosen)(policy, given)
        chosen = {name: parts[name] for name in ("reward", "sampling", "rng")}
        return Candidates(CandidatesSettings(num_candidates=4, control=control), **chosen)(policy, given)

    true, found = estimate("none"), estimate(control)
    assert torch.equal(true.values, found.values)
    assert torch.equal(true.advantages, found.advantages) == (control == "none")
