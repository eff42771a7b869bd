"""LeakGAN's arithmetic against values worked out by hand and loops over one sequence at a time."""

import math

import pytest
import torch

from leakgan.losses import (
    goal_spread,
    intrinsic_rewards,
    manager_loss,
    progress,
    rescale,
    transition_cosines,
    transition_mask,
    values_of_transitions,
)
from seqgan.text.masking import mask_from_lengths
from tests.tiny_models import rng

# A walk in the plane: from 0 one to the right, one up, two to the right, one down.
WALK = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [3.0, 1.0], [3.0, 0.0]]])
RIGHT, UP, LEFT, DOWN = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]
HALF = math.sqrt(0.5)


def goals(*directions):
    return torch.tensor([directions])


def random_case(num_sequences=5, num_steps=7, size=3, seed=0):
    random = rng(seed)
    features = torch.randn(num_sequences, num_steps + 1, size, generator=random)
    directions = torch.randn(num_sequences, num_steps, size, generator=random)
    lengths = torch.tensor([7, 1, 4, 3, 7])[:num_sequences].clamp(max=num_steps)
    return features, directions / directions.norm(dim=-1, keepdim=True), mask_from_lengths(lengths, num_steps)


def cosine(a, b):
    return float(sum(a * b) / (sum(a * a) * sum(b * b)).sqrt())


def test_transition_cosines_of_known_values():
    wanted = goals(RIGHT, UP, UP, LEFT)
    by_one = transition_cosines(WALK, wanted, 1)
    torch.testing.assert_close(by_one, torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    by_two = transition_cosines(WALK, wanted, 2)  # (1, 1), (2, 1), (2, -1), beyond the end
    torch.testing.assert_close(by_two, torch.tensor([[HALF, 1 / math.sqrt(5), -1 / math.sqrt(5), 0.0]]))
    by_four = transition_cosines(WALK, wanted, 4)  # (3, 0)
    torch.testing.assert_close(by_four, torch.tensor([[1.0, 0.0, 0.0, 0.0]]))


@pytest.mark.parametrize("horizon", [5, 6, 20])
def test_a_horizon_beyond_the_sequence_has_no_transitions(horizon):
    wanted, mask = goals(RIGHT, UP, UP, LEFT), torch.ones(1, 4, dtype=torch.bool)
    assert transition_cosines(WALK, wanted, horizon).tolist() == [[0.0] * 4]
    assert transition_mask(mask, horizon).tolist() == [[False] * 4]
    assert values_of_transitions(torch.ones(1, 4), horizon).tolist() == [[0.0] * 4]
    assert manager_loss(torch.zeros(1, 4), torch.ones(1, 4), transition_mask(mask, horizon)) == 0
    # What the worker is paid for is then the way from every earlier prefix.
    rewards = intrinsic_rewards(WALK, wanted, mask, horizon)
    torch.testing.assert_close(rewards, intrinsic_rewards(WALK, wanted, mask, 4))


def test_one_step_is_enough_of_a_sequence():
    features, wanted, mask = WALK[:, :2], goals(RIGHT), torch.ones(1, 1, dtype=torch.bool)
    for horizon, expected in ((1, 1.0), (2, 0.0)):
        assert transition_cosines(features, wanted, horizon).tolist() == [[expected]]
        assert transition_mask(mask, horizon).tolist() == [[horizon == 1]]
        assert intrinsic_rewards(features, wanted, mask, horizon).tolist() == [[1.0]]
    assert values_of_transitions(torch.tensor([[3.0]]), 1).tolist() == [[3.0]]
    assert goal_spread(wanted, mask) == 0


@pytest.mark.parametrize("horizon", [1, 2, 3, 7, 9])
def test_transitions_are_those_of_a_loop(horizon):
    features, wanted, mask = random_case()
    cosines, reaches = transition_cosines(features, wanted, horizon), transition_mask(mask, horizon)
    values = torch.randn(5, 7, generator=rng(1))
    worth = values_of_transitions(values, horizon)
    total, count = 0.0, 0
    for b in range(5):
        length = int(mask[b].sum())
        for t in range(7):
            assert bool(reaches[b, t]) == (t + horizon <= length)
            if t + horizon > 7:
                continue
            expected = cosine(features[b, t + horizon] - features[b, t], wanted[b, t])
            assert cosines[b, t].item() == pytest.approx(expected, abs=1e-5)
            value_of_prefix = values[
                b, t + horizon - 1
            ]  # of y_1..y_{t+C}, whose last token is in this column
            assert worth[b, t] == value_of_prefix
            if t + horizon <= length:
                total, count = total - float(value_of_prefix) * expected, count + 1
    assert manager_loss(cosines, worth, reaches).item() == pytest.approx(total / max(count, 1), abs=1e-5)


def test_a_horizon_that_reaches_over_the_end_is_masked():
    mask = mask_from_lengths(torch.tensor([4, 3, 2, 1]), 5)
    assert transition_mask(mask, 1).tolist() == mask.tolist()
    assert transition_mask(mask, 3).int().tolist() == [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0] * 5, [0] * 5]


def test_the_manager_loss_falls_as_rewarded_goals_are_met_and_rises_with_penalised_ones():
    mask = torch.ones(1, 1, dtype=torch.bool)
    for value, sign in ((2.0, -1), (-1.0, 1)):
        cosines = torch.tensor([[0.3]], requires_grad=True)
        loss = manager_loss(cosines, torch.tensor([[value]]), mask)
        assert loss.item() == pytest.approx(-value * 0.3)
        loss.backward()
        assert cosines.grad.sign().item() == sign


def test_a_goal_follows_the_gradient_to_where_the_features_went_when_that_was_worth_it():
    features, _, _ = random_case(1, 1, seed=3)
    for value in (1.0, -1.0):
        goal = torch.nn.Parameter(torch.tensor([[[0.5, -0.5, HALF]]]))
        mask = torch.ones(1, 1, dtype=torch.bool)
        optimizer = torch.optim.SGD([goal], lr=0.1)
        before = transition_cosines(features, goal, 1).item()
        for _ in range(200):
            optimizer.zero_grad()
            manager_loss(transition_cosines(features, goal, 1), torch.tensor([[value]]), mask).backward()
            optimizer.step()
        after = transition_cosines(features, goal, 1).item()
        assert abs(before) < 0.9
        assert after == pytest.approx(value, abs=0.01)


def test_no_gradient_reaches_features_or_values():
    features, wanted, mask = random_case()
    features.requires_grad_()
    wanted.requires_grad_()
    values = torch.ones(5, 7, requires_grad=True)
    worth = values_of_transitions(values, 2)
    manager_loss(transition_cosines(features, wanted, 2), worth, transition_mask(mask, 2)).backward()
    assert features.grad is None
    assert values.grad is None
    assert wanted.grad.norm() > 0


def test_intrinsic_rewards_of_known_values():
    wanted, mask = goals(RIGHT, UP, UP, LEFT), torch.ones(1, 4, dtype=torch.bool)
    by_one = intrinsic_rewards(WALK, wanted, mask, 1)
    torch.testing.assert_close(by_one, torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    by_two = intrinsic_rewards(WALK, wanted, mask, 2)
    # y_2: up, asked for by g_1 (up: 1) and by g_0 (right, and went (1, 1)); y_3: right under g_2 (up: 0) and
    # g_1 (up, went (2, 1)); y_4: down under g_3 (left: 0) and g_2 (up, went (2, -1)).
    expected = [1.0, (1 + HALF) / 2, 0.5 / math.sqrt(5), -0.5 / math.sqrt(5)]
    torch.testing.assert_close(by_two, torch.tensor([expected]))


def test_a_step_straight_along_all_goals_earns_one_and_one_against_them_minus_one():
    straight = torch.arange(6.0)[None, :, None] * torch.tensor([3.0, 4.0])
    mask = torch.ones(1, 5, dtype=torch.bool)
    along = torch.tensor([0.6, 0.8]).expand(1, 5, 2)
    torch.testing.assert_close(intrinsic_rewards(straight, along, mask, 3), torch.ones(1, 5))
    torch.testing.assert_close(intrinsic_rewards(straight, -along, mask, 3), -torch.ones(1, 5))


@pytest.mark.parametrize("horizon", [1, 2, 4, 7, 9])
def test_intrinsic_rewards_are_those_of_a_loop_and_end_with_the_sequence(horizon):
    features, wanted, mask = random_case()
    rewards = intrinsic_rewards(features, wanted, mask, horizon)
    for b in range(5):
        for t in range(1, 8):
            terms = [
                cosine(features[b, t] - features[b, t - i], wanted[b, t - i])
                for i in range(1, horizon + 1)
                if t - i >= 0
            ]
            expected = sum(terms) / len(terms) if mask[b, t - 1] else 0.0
            assert rewards[b, t - 1].item() == pytest.approx(expected, abs=1e-5)


def test_each_way_to_take_a_step_is_paid_by_where_it_leads():
    ways = torch.tensor([[[1.0, 1.0], [2.0, 0.0], [1.0, -3.0], [0.0, 0.0]]])  # from (1, 0), second step
    rewards = progress(ways, WALK, goals(RIGHT, UP, UP, LEFT), 2, 1)
    torch.testing.assert_close(rewards, torch.tensor([[1.0, 0.0, -1.0, 0.0]]))
    rewards = progress(ways, WALK, goals(RIGHT, UP, UP, LEFT), 2, 2)  # the last has not left the start
    expected = [(1 + HALF) / 2, (0 + 1) / 2, (-1 + 1 / math.sqrt(10)) / 2, 0.0]
    torch.testing.assert_close(rewards, torch.tensor([expected]))


def test_what_lies_behind_the_mask_changes_nothing():
    features, wanted, mask = random_case()
    values = torch.randn(5, 7, generator=rng(1))
    behind = torch.cat([torch.zeros(5, 1, dtype=torch.bool), ~mask], 1)
    other = torch.where(behind[..., None], 100 * torch.randn(5, 8, 3, generator=rng(2)), features)
    elsewhere = torch.where(mask[..., None], wanted, -wanted)
    others = torch.where(mask, values, 50.0)
    for horizon in (1, 3):
        first, second = (
            (
                intrinsic_rewards(f, g, mask, horizon),
                manager_loss(
                    transition_cosines(f, g, horizon),
                    values_of_transitions(v, horizon),
                    transition_mask(mask, horizon),
                ),
                goal_spread(g, mask),
                rescale(v, mask, 4.0),
            )
            for f, g, v in ((features, wanted, values), (other, elsewhere, others))
        )
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize("horizon", [1, 3, 8])
def test_padding_changes_nothing(horizon):
    features, wanted, mask = random_case()
    values = torch.randn(5, 7, generator=rng(1))

    def longer(tensor):
        return torch.cat([tensor, 9 * torch.ones_like(tensor[:, :3])], 1)

    wider = torch.cat([mask, torch.zeros(5, 3, dtype=torch.bool)], 1)
    first, second = (
        manager_loss(
            transition_cosines(f, g, horizon), values_of_transitions(v, horizon), transition_mask(m, horizon)
        )
        for f, g, v, m in (
            (features, wanted, values, mask),
            (longer(features), longer(wanted), longer(values), wider),
        )
    )
    torch.testing.assert_close(first, second)
    padded = intrinsic_rewards(longer(features), longer(wanted), wider, horizon)
    torch.testing.assert_close(padded[:, :7], intrinsic_rewards(features, wanted, mask, horizon))
    assert (padded[:, 7:] == 0).all()
    torch.testing.assert_close(rescale(longer(values), wider, 8.0)[:, :7], rescale(values, mask, 8.0))
    torch.testing.assert_close(goal_spread(longer(wanted), wider), goal_spread(wanted, mask))


def test_rescaled_rewards_of_known_values():
    rewards = torch.tensor([[0.7], [0.1], [0.9], [0.3]])  # ranks 2, 4, 1, 3
    rescaled = rescale(rewards, torch.ones(4, 1, dtype=torch.bool), 4.0)
    expected = [1 / (1 + math.exp(-x)) for x in (0.0, -2.0, 1.0, -1.0)]
    torch.testing.assert_close(rescaled[:, 0], torch.tensor(expected))


def test_rescaling_is_per_step_and_among_those_that_reach_it():
    """The third sequence ends after one step: only the two others share the second."""
    rewards = torch.tensor([[3.0, 1.0], [2.0, 5.0], [1.0, 9.0]])
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    first, second = (torch.tensor([2, 1]), torch.tensor([1, 2]))
    rescaled = rescale(rewards, mask, 6.0)
    torch.testing.assert_close(rescaled[:, 0], torch.sigmoid(6 * (0.5 - torch.tensor([1, 2, 3]) / 3)))
    torch.testing.assert_close(rescaled[:2, 1], torch.sigmoid(6 * (0.5 - first / 2)))
    torch.testing.assert_close(rescaled[[1, 0], 1], torch.sigmoid(6 * (0.5 - second / 2)))
    assert rescaled[2, 1] == 0
    alone = rescale(torch.tensor([[2.0]]), torch.tensor([[True]]), 6.0)
    torch.testing.assert_close(alone, torch.sigmoid(torch.tensor([[-3.0]])))


def test_rescaling_keeps_the_order_whatever_the_scale_and_moves_with_the_batch():
    rewards, mask = torch.rand(40, 6, generator=rng()), torch.rand(40, 6, generator=rng(1)) < 0.8
    rescaled = rescale(rewards, mask, 16.0)
    for step in range(6):
        real = mask[:, step]
        order = rewards[real, step].argsort()
        assert (rescaled[real, step][order].diff() > 0).all()
    assert (rescaled[~mask] == 0).all()
    assert torch.equal(rescale((5 * rewards).exp() - 3, mask, 16.0), rescaled)
    permutation = torch.randperm(40, generator=rng(2))
    assert torch.equal(rescale(rewards[permutation], mask[permutation], 16.0), rescaled[permutation])


def test_equal_rewards_are_rescaled_alike_wherever_they_stand():
    rewards = torch.tensor([[1.0], [5.0], [1.0], [0.0], [1.0]])  # ranks 3, 1, 3, 5, 3
    rescaled = rescale(rewards, torch.ones(5, 1, dtype=torch.bool), 2.0)[:, 0]
    torch.testing.assert_close(rescaled, torch.sigmoid(2 * (0.5 - torch.tensor([3.0, 1, 3, 5, 3]) / 5)))
    same = rescale(torch.full((4, 3), 7.0), torch.ones(4, 3, dtype=torch.bool), 16.0)
    torch.testing.assert_close(same, torch.sigmoid(torch.tensor(16 * (0.5 - 2.5 / 4))).expand(4, 3))


def test_goal_spread_is_one_less_the_mean_cosine_between_sequences():
    _, wanted, mask = random_case()
    cosines = [
        cosine(wanted[a, t], wanted[b, t])
        for t in range(7)
        for a in range(5)
        for b in range(5)
        if a != b and mask[a, t] and mask[b, t]
    ]
    expected = 1 - sum(cosines) / len(cosines)
    assert goal_spread(wanted, mask).item() == pytest.approx(expected, abs=1e-5)
    collapsed = wanted[:1].expand(5, -1, -1)
    assert goal_spread(collapsed, mask).item() == pytest.approx(0, abs=1e-5)
    opposite = torch.cat([collapsed[:1], -collapsed[:1]])
    assert goal_spread(opposite, mask[[0, 4]]).item() == pytest.approx(2, abs=1e-5)
