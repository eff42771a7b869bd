"""Both gradients of LeakGAN against enumeration: V = 3, T = 3, every sequence."""

import pytest
import torch

from leakgan.algorithm import LeakGANAlgorithm, LeakGANAlgorithmSettings
from seqgan.sampling.trajectories import Trajectories
from tests.tiny_models import (
    all_sequences,
    exact_action_values,
    rng,
    sequence_probabilities,
    tiny_generator,
    whole,
)

WEIGHTS = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7], [-0.4, 0.9, 0.1]])


def reward(tokens, mask):
    scores = torch.where(mask, WEIGHTS[torch.arange(tokens.shape[1]), tokens], 0.0)
    return scores.sum(1) + scores[:, 0] * scores[:, -1]


class Game:
    """A generator, all its sequences, their probabilities and exact action values."""

    def __init__(self, horizon, eos_id):
        self.generator = tiny_generator("leakgan", 3, horizon=horizon, num_layers=1, size=4).eval()
        self.horizon, self.eos_id = horizon, eos_id
        self.tokens, self.mask = all_sequences(3, 3, eos_id)
        self.probabilities = sequence_probabilities(self.generator, self.tokens, self.mask).float()
        self.values = exact_action_values(self.generator, self.tokens, self.mask, reward, eos_id)
        self.worker = self.generator.worker_parameters()
        self.manager = self.generator.manager_parameters()

    def lookup(self, policy, trajectories):
        """The exact action values of sampled sequences."""
        same = (trajectories.tokens[:, None] == self.tokens).all(-1)
        same &= (trajectories.mask[:, None] == self.mask).all(-1)
        return self.values[same.int().argmax(1)]

    def algorithm(self, batch_size=2, baseline="none", **settings):
        config = LeakGANAlgorithmSettings(
            batch_size=batch_size,
            learning_rate=0.0,
            manager_learning_rate=0.0,
            gradient_clip=1e9,
            manager_gradient_clip=1e9,
            whiten=False,
            baseline=baseline,
            reduction="sum",
            rescaling=None,
            **settings,
        )
        return LeakGANAlgorithm(
            config,
            policy=self.generator,
            action_values=self.lookup,
            max_length=3,
            eos_id=self.eos_id,
            rng=rng(),
        )

    def intrinsic_reward(self, prefix):
        """Of the last token of one prefix, by a loop over the goals behind it."""
        with torch.no_grad():
            plan = self.generator.plan(whole(prefix[None]))
        features, goals, last = plan.features[0], plan.goals[0], len(prefix)
        terms = [
            float(along(features[last] - features[last - i], goals[last - i]))
            for i in range(1, self.horizon + 1)
            if last - i >= 0
        ]
        return sum(terms) / len(terms)

    def exact_worker_gradient(self):
        """Sum over prefixes of p(prefix) sum_x r(prefix, x) grad W(x | prefix)."""
        total = torch.zeros(())
        for length in range(3):
            prefixes = self.tokens[:, :length].unique(dim=0) if length else self.tokens[:1, :0]
            for prefix in prefixes:
                begins = (self.tokens[:, :length] == prefix).all(1)
                probability = self.probabilities[begins & self.mask[:, length]].sum()
                padded = torch.cat([prefix, torch.zeros(3 - length, dtype=torch.long)])
                distribution = self.generator(whole(padded[None]))[0, length].softmax(-1)
                for x in range(3):
                    payment = self.intrinsic_reward(torch.cat([prefix, torch.tensor([x])]))
                    total = total + probability * payment * distribution[x]
        return gradient(total, self.worker)

    def worker_gradients(self):
        """What one sampled sequence contributes, for each sequence."""
        for tokens, mask in zip(self.tokens, self.mask, strict=True):
            log_probs = self.generator.log_probs(whole(tokens[None]))[0]
            rewards = [self.intrinsic_reward(tokens[: t + 1]) for t in range(int(mask.sum()))]
            total = sum(r * log_prob for r, log_prob in zip(rewards, log_probs, strict=False))
            yield gradient(total, self.worker)

    def manager_gradients(self):
        """R(Y) sum_t grad cos(f_{t+C} − f_t, g_t) for each sequence Y."""
        for tokens, mask in zip(self.tokens, self.mask, strict=True):
            plan = self.generator.plan(whole(tokens[None]))
            features, goals, length = plan.features[0], plan.goals[0], int(mask.sum())
            total = 0.0 * goals.sum()
            for t in range(length - self.horizon + 1):
                total = total + along(features[t + self.horizon] - features[t], goals[t])
            yield reward(tokens[None], mask[None])[0] * gradient(total, self.manager)

    def expectation(self, gradients):
        """The mean of what sequences contribute, and its standard deviation."""
        stacked = torch.stack(list(gradients)).double()
        weights = self.probabilities.double()[:, None]
        mean = (weights * stacked).sum(0)
        return mean, (weights * (stacked - mean).square()).sum(0).sqrt()


def along(moved, goal):
    """The cosine with a goal of length 1; 0 where the features have not moved."""
    return moved @ goal / moved.norm() if moved.norm() > 0 else 0.0 * goal.sum()


def gradient(value, parameters):
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for p, g in zip(parameters, gradients, strict=True)
        ]
    )


def left_behind(parameters):
    """The gradient that a step has left in the parameters."""
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
    )


@pytest.fixture(params=[(1, None), (2, None), (1, 2), (2, 2)], ids=str)
def game(request):
    return Game(*request.param)


def test_the_workers_expected_gradient_is_the_exact_one(game):
    exact = game.exact_worker_gradient()
    mean, _ = game.expectation(game.worker_gradients())
    torch.testing.assert_close(mean.float(), exact, atol=1e-5, rtol=1e-4)
    # All sequences at once through the algorithm, each weighted by its probability.
    algorithm = game.algorithm(intrinsic_weight=1.0)
    trajectories = Trajectories(tokens=game.tokens, mask=game.mask, log_probs=torch.zeros(game.tokens.shape))
    plan = game.generator.plan(whole(game.tokens))
    every = [[game.intrinsic_reward(y[: t + 1]) for t in range(3)] for y in game.tokens]
    intrinsic = torch.where(game.mask, torch.tensor(every), 0.0)
    actions, rewards, baseline = algorithm._judge_worker(trajectories, plan, game.values, intrinsic)
    weighted = game.probabilities[:, None, None] * rewards
    algorithm._learn(trajectories, actions, weighted, baseline, 1.0)
    torch.testing.assert_close(-left_behind(game.worker), exact, atol=1e-5, rtol=1e-4)
    assert exact.norm() > 0.01


def test_the_managers_gradient_is_the_exact_transition_policy_gradient(game):
    exact, _ = game.expectation(game.manager_gradients())
    plan = game.generator.plan(whole(game.tokens))
    weighted = game.probabilities[:, None] * game.values
    game.algorithm()._teach_manager(plan, weighted, game.mask, 1.0)
    num_transitions = (game.mask.sum(1) - game.horizon + 1).clamp(min=0).sum()
    ours = -left_behind(game.manager) * num_transitions
    torch.testing.assert_close(ours, exact.float(), atol=1e-5, rtol=1e-4)
    assert exact.norm() > 0.01


@pytest.mark.parametrize("baseline", ["none", "step_mean"])
def test_one_large_policy_step_gives_both_within_their_standard_errors(game, baseline):
    size = 6000
    algorithm = game.algorithm(size, baseline)
    seen = []
    algorithm.action_values = lambda policy, trajectories: (
        seen.append(trajectories),
        game.lookup(policy, trajectories),
    )[1]
    algorithm.policy_step()
    num_transitions = (seen[0].mask.sum(1) - game.horizon + 1).clamp(min=0).sum()
    for ours, gradients in (
        (-left_behind(game.worker) / size, game.worker_gradients()),
        (-left_behind(game.manager) * num_transitions / size, game.manager_gradients()),
    ):
        exact, deviation = game.expectation(gradients)
        bound = 5 * deviation / size**0.5 + 1e-5
        assert ((ours - exact).abs() < bound).all()
        assert (exact.abs() > 2 * bound).any()  # narrow enough to see a gradient
