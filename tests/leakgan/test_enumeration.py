"""Both gradients of LeakGAN against enumeration (V = 3, T = 3): rollouts and candidates, mixed, rescaled."""

import math

import pytest
import torch

from leakgan.algorithm import LeakGANAlgorithm, LeakGANAlgorithmSettings
from seqgan.algorithms import reinforce
from seqgan.sampling.settings import SamplingSettings
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.token_batch import TokenBatch
from tests.leakgan.test_estimators import make_estimator
from tests.tiny_models import (
    all_sequences,
    exact_action_values,
    rng,
    sequence_probabilities,
    tiny_generator,
    whole,
)

WEIGHTS = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7], [-0.4, 0.9, 0.1]])
RESTING = {
    "learning_rate": 0.0,
    "manager_learning_rate": 0.0,
    "gradient_clip": 1e9,
    "manager_gradient_clip": 1e9,
}


def reward(batch):
    """Depends on every token and its place, and not only through a sum; defined for prefixes as well."""
    scores = torch.where(batch.mask, WEIGHTS[torch.arange(batch.tokens.shape[1]), batch.tokens], 0.0)
    return scores.sum(1) + scores[:, 0] * scores[:, -1]


class Game:
    """A generator, all its sequences, their probabilities, and what a prefix is worth to whom."""

    def __init__(self, horizon, eos_id, estimator, weight):
        self.generator = tiny_generator("leakgan", 3, horizon=horizon, num_layers=1, size=4).eval()
        self.horizon, self.eos_id = horizon, eos_id
        self.estimator, self.weight = estimator, weight
        self.tokens, self.mask = all_sequences(3, 3, eos_id)
        self.probabilities = sequence_probabilities(self.generator, self.tokens, self.mask).float()
        self.values = exact_action_values(self.generator, self.tokens, self.mask, reward, eos_id)
        self.worker = self.generator.worker_parameters()
        self.manager = self.generator.manager_parameters()

    def algorithm(self, batch_size, baseline=None, **options):
        random = rng()
        options |= {"num_rollouts": 1, "baseline": baseline} if self.estimator == "rollouts" else {}
        estimator = make_estimator(
            self.generator, self.estimator, eos_id=self.eos_id, reward=reward, random=random,
            intrinsic_weight=self.weight, **options,
        )  # fmt: skip
        settings = LeakGANAlgorithmSettings(batch_size=batch_size, whiten=False, reduction="sum", **RESTING)
        return LeakGANAlgorithm(
            settings, policy=self.generator, estimator=estimator, sampling=SamplingSettings(), max_length=3,
            eos_id=self.eos_id, rng=random,
        )  # fmt: skip

    def discriminator_value(self, prefix):
        """By rollouts the expected reward of what becomes of the prefix; by candidates its own."""
        if self.estimator == "candidates":
            return float(reward(whole(prefix[None])))
        last = len(prefix) - 1
        same = (self.tokens[:, : last + 1] == prefix).all(1) & self.mask[:, last]
        return float(self.values[same.int().argmax(), last])

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

    def payment(self, prefix):
        """What the worker is paid for the last token of a prefix."""
        return self.weight * self.intrinsic_reward(prefix) + (1 - self.weight) * self.discriminator_value(
            prefix
        )

    def exact_worker_gradient(self):
        """Σ over prefixes of p(prefix) Σ_x payment(prefix x) ∇ π(x | prefix)."""
        total = torch.zeros(())
        for length in range(3):
            prefixes = self.tokens[:, :length].unique(dim=0) if length else self.tokens[:1, :0]
            for prefix in prefixes:
                begins = (self.tokens[:, :length] == prefix).all(1) & self.mask[:, length]
                if not begins.any():
                    continue
                padded = torch.cat([prefix, torch.zeros(3 - length, dtype=torch.long)])
                distribution = self.generator(whole(padded[None]))[0, length].softmax(-1)
                for x in range(3):
                    payment = self.payment(torch.cat([prefix, torch.tensor([x])]))
                    total = total + self.probabilities[begins].sum() * payment * distribution[x]
        return gradient(total, self.worker)

    def exact_manager_gradient(self):
        """Σ_Y p(Y) Σ_t value(y_1..y_{t+C}) ∇ cos(f_{t+C} − f_t, g_t)."""
        total = torch.zeros(())
        for tokens, mask, probability in zip(self.tokens, self.mask, self.probabilities, strict=True):
            plan = self.generator.plan(whole(tokens[None]))
            features, goals = plan.features[0], plan.goals[0]
            for t in range(int(mask.sum()) - self.horizon + 1):
                value = self.discriminator_value(tokens[: t + self.horizon])
                total = total + probability * value * along(
                    features[t + self.horizon] - features[t], goals[t]
                )
        return gradient(total, self.manager)


def along(moved, goal):
    """The cosine with a goal of length 1; 0 where the features have not moved."""
    return moved @ goal / moved.norm() if moved.norm() > 0 else 0.0 * goal.sum()


def gradient(value, parameters):
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    pairs = zip(parameters, gradients, strict=True)
    return torch.cat([torch.zeros_like(p).flatten() if g is None else g.flatten() for p, g in pairs])


def left_behind(parameters):
    """The gradient that a step has left in the parameters."""
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("horizon", "eos_id"), [(1, None), (2, 2)])
@pytest.mark.parametrize(
    ("estimator", "weight", "baseline"),
    [
        ("rollouts", 1.0, "none"),
        ("rollouts", 0.4, "step_mean"),
        ("candidates", 1.0, None),
        ("candidates", 0.4, None),
    ],
)
def test_steps_give_both_exact_gradients_within_their_standard_errors(
    estimator, weight, baseline, horizon, eos_id, monkeypatch
):
    """The spread between steps gives the standard errors; the policy rests."""
    game, size, num_steps = Game(horizon, eos_id, estimator, weight), 250, 16
    unscaled = {"rescaling": None} if estimator == "rollouts" else {"manager_rescaling": None}
    algorithm = game.algorithm(size, baseline, **unscaled)
    masks, act = [], algorithm.act
    monkeypatch.setattr(algorithm, "act", lambda: masks.append(act()) or masks[-1])
    worker, manager = [], []
    for _ in range(num_steps):
        algorithm.step()
        num_transitions = (masks[-1].mask.sum(1) - horizon + 1).clamp(min=0).sum()
        worker.append(-left_behind(game.worker) / size)
        manager.append(-left_behind(game.manager) * num_transitions / size)  # its loss is a mean over these
    for estimates, exact in (
        (worker, game.exact_worker_gradient()),
        (manager, game.exact_manager_gradient()),
    ):
        stacked = torch.stack(estimates)
        bound = 5 * stacked.std(0) / num_steps**0.5 + 1e-5
        assert ((stacked.mean(0) - exact).abs() < bound).all()
        assert (exact.abs() > 2 * bound).any()  # narrow enough to see a gradient


def naive_rescale(values, mask, delta):
    """By counting who is better at a step, one sequence at a time."""
    scaled = torch.zeros_like(values)
    for t in range(values.shape[1]):
        rows = [b for b in range(len(values)) if mask[b, t]]
        for b in rows:
            better = sum(bool(values[other, t] > values[b, t]) for other in rows)
            equal = sum(bool(values[other, t] == values[b, t]) for other in rows)
            rank = better + (equal + 1) / 2
            scaled[b, t] = 1 / (1 + math.exp(-delta * (0.5 - rank / len(rows))))
    return scaled


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["rollouts", "candidates"])
@pytest.mark.parametrize(("horizon", "eos_id"), [(1, None), (2, 2)])
def test_with_rescaling_a_step_over_all_sequences_is_that_of_loops(estimator, horizon, eos_id, monkeypatch):
    """Every sequence once, every token a candidate: ranks belong to a batch, so nothing is an expectation."""
    game, delta = Game(horizon, eos_id, estimator, 0.4), 3.0
    tokens, mask = game.tokens, game.mask
    everything = Trajectories(tokens=tokens, mask=mask, log_probs=torch.zeros(tokens.shape))
    monkeypatch.setattr(reinforce, "sample", lambda *_, **__: everything)
    name = "rescaling" if estimator == "rollouts" else "manager_rescaling"
    algorithm = game.algorithm(len(tokens), "none", **{name: delta})
    every_token = torch.arange(3).expand(*tokens.shape, 3)
    if estimator == "rollouts":
        monkeypatch.setattr(algorithm.estimator, "estimate", lambda policy, batch: game.values)
    else:
        monkeypatch.setattr(algorithm.estimator, "draw", lambda policy, batch: every_token)
    algorithm.step()

    judged = torch.zeros(tokens.shape)
    for b, t in mask.nonzero().tolist():
        judged[b, t] = game.discriminator_value(tokens[b, : t + 1])
    rescaled = naive_rescale(judged, mask, delta)
    worker, manager, num_transitions = torch.zeros(()), torch.zeros(()), 0
    for b in range(len(tokens)):
        length = int(mask[b].sum())
        log_probs = game.generator(TokenBatch(tokens[b : b + 1], mask[b : b + 1]))[0].log_softmax(-1)
        plan = game.generator.plan(whole(tokens[b : b + 1]))
        for t in range(length):
            prefix = tokens[b, :t]
            if estimator == "rollouts":
                payment = 0.4 * game.intrinsic_reward(tokens[b, : t + 1]) + 0.6 * float(rescaled[b, t])
                worker = worker + payment * log_probs[t, tokens[b, t]]
                continue
            payments = [game.payment(torch.cat([prefix, torch.tensor([x])])) for x in range(3)]
            for x in range(3):
                others = (sum(payments) - payments[x]) / 2
                worker = worker + (payments[x] - others) / 3 * log_probs[t, x]
        for t in range(length - horizon + 1):
            moved = plan.features[0, t + horizon] - plan.features[0, t]
            manager = manager + rescaled[b, t + horizon - 1] * along(moved, plan.goals[0, t])
            num_transitions += 1
    torch.testing.assert_close(-left_behind(game.worker), gradient(worker, game.worker), atol=1e-4, rtol=1e-3)
    exact = gradient(manager / num_transitions, game.manager)
    torch.testing.assert_close(-left_behind(game.manager), exact, atol=1e-5, rtol=1e-3)
    assert exact.norm() > 1e-3
