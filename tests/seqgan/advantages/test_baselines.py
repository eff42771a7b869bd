import pytest
import torch

from seqgan.advantages.baselines import (
    Baseline,
    leave_one_out_mean,
    leave_one_out_step_mean,
    prefix_baseline,
)

CPU = torch.device("cpu")


def test_each_step_gets_the_mean_of_the_other_sequences_that_reach_it():
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0], [7.0, 99.0, 99.0]])
    mask = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    baseline = leave_one_out_step_mean(values, mask)
    assert baseline[:, 0].tolist() == [5.5, 4.0, 2.5]
    assert baseline[:2, 1].tolist() == [5.0, 2.0]
    assert baseline[0, 2] == pytest.approx((4 + 5 + 7) / 3)  # nobody else is there: all of the others' values


def test_a_baseline_does_not_depend_on_the_own_value():
    values, mask = torch.rand(6, 4), torch.ones(6, 4, dtype=torch.bool)
    changed = values.clone()
    changed[2] += 10
    ours, theirs = leave_one_out_step_mean(values, mask), leave_one_out_step_mean(changed, mask)
    torch.testing.assert_close(ours[2], theirs[2])
    torch.testing.assert_close(theirs[1], ours[1] + 2)


def test_alternatives_are_measured_by_the_mean_of_the_others():
    values = torch.tensor([[[1.0, 2.0, 6.0]], [[0.0, 4.0, 8.0]]])
    assert leave_one_out_mean(values).tolist() == [[[4.0, 3.5, 1.5]], [[6.0, 4.0, 2.0]]]


def test_ewma_follows_the_mean_without_a_bias_towards_its_start():
    baseline = Baseline("ewma", 0.9, CPU)
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert (baseline(torch.full((2, 3), 5.0), mask) == 0).all()
    torch.testing.assert_close(baseline(torch.full((2, 3), 5.0), mask), torch.full((2, 3), 5.0))
    for _ in range(200):
        baseline(torch.full((2, 3), -3.0), mask)
    torch.testing.assert_close(baseline(torch.zeros(2, 3), mask), torch.full((2, 3), -3.0))


def test_ewma_stays_bounded_and_resumes():
    baseline, twin = Baseline("ewma", 0.5, CPU), Baseline("ewma", 0.5, CPU)
    rng, mask = torch.Generator().manual_seed(0), torch.ones(4, 2, dtype=torch.bool)
    for _ in range(1000):
        value = baseline(torch.rand(4, 2, generator=rng), mask)
    assert 0.2 < value[0, 0] < 0.8
    twin.load_state_dict(baseline.state_dict())
    assert torch.equal(twin(torch.zeros(4, 2), mask), baseline(torch.zeros(4, 2), mask))


def test_none_is_zero():
    assert (Baseline("none", 0.9, CPU)(torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool)) == 0).all()


@pytest.mark.parametrize("interval", [1, 2, 3])
def test_an_action_is_measured_by_the_prefix_that_it_continues(interval):
    values, mask = torch.rand(4, 7), torch.ones(4, 7, dtype=torch.bool)
    mask[1, 5:] = False
    found = prefix_baseline(values, mask, interval)
    first = leave_one_out_step_mean(values, mask)
    for step in range(7):
        prefix = step // interval * interval  # tokens of the last prefix that was completed
        expected = first[:, step] if prefix == 0 else values[:, prefix - 1]
        assert torch.equal(found[:, step], expected)


def test_a_rollout_baseline_of_prefixes_leaves_the_gradient_unbiased():
    """Its expectation over the actions at a step is a constant of the prefix: it does not see the action."""
    values, mask = torch.rand(5, 6), torch.ones(5, 6, dtype=torch.bool)
    for step in range(2, 6):
        changed = values.clone()
        changed[:, step:] += torch.rand(5, 6 - step)  # everything that the action at this step can change
        changed[:, : step // 2 * 2] = values[:, : step // 2 * 2]
        ours, theirs = (prefix_baseline(v, mask, 2)[:, step] for v in (values, changed))
        assert torch.equal(ours, theirs)
