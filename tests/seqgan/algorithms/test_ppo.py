"""PPO: against REINFORCE where both are the same, and against plain autograd where they are not."""

import copy

import pytest
import torch
from torch import nn

from seqgan.advantages.action_values import ActionValues
from seqgan.algorithms.ppo import PPO, PPOSettings
from seqgan.algorithms.reinforce import Reinforce, ReinforceSettings
from seqgan.sampling.settings import SamplingSettings
from tests.tiny_models import KINDS, rng, tiny_generator

TEMPERATURE = 0.7


class Fixed:
    """An estimator whose values are functions of the tokens alone; it counts how often it is asked."""

    def __init__(self, num_actions=1):
        self.num_actions = num_actions
        self.calls = 0

    def start(self):
        pass

    def __call__(self, policy, trajectories):
        self.calls += 1
        self.trajectories = trajectories
        shape = (*trajectories.tokens.shape, self.num_actions)
        own = trajectories.tokens[..., None]
        actions = torch.cat([own, torch.randint(0, 5, shape, generator=rng(1))[..., 1:]], -1)
        values = torch.sin(7.0 * actions + 3.0 * own + torch.arange(shape[1])[:, None])
        self.values = ActionValues(
            actions=actions, values=values, baseline=torch.zeros(shape), mask=trajectories.mask
        )
        return self.values

    def learn(self, trajectories, values):
        return {}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def make(algorithm, policy, estimator, settings):
    return algorithm(
        settings, policy=policy, estimator=estimator, sampling=SamplingSettings(temperature=TEMPERATURE),
        eos_id=2, max_length=4, rng=rng(),
    )  # fmt: skip


@pytest.mark.parametrize("num_actions", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_one_pass_is_reinforce(kind, num_actions):
    common = {"batch_size": 30, "learning_rate": 0.05, "entropy_weight": 0.1, "kl_weight": 0.2}
    ended = []
    for algorithm, settings in (
        (Reinforce, ReinforceSettings(**common)),
        (PPO, PPOSettings(**common, epochs=1)),
    ):
        policy = tiny_generator(kind, 5)
        trainer = make(algorithm, policy, Fixed(num_actions), settings)
        trainer.start()
        report = trainer.step(0.5)
        ended.append((nn.utils.parameters_to_vector(policy.parameters()), report.metrics))
    (theirs, expected), (ours, metrics) = ended
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    for name in expected.keys() - {"policy/loss"}:  # a ratio stands where a logarithm was
        value = expected[name]
        torch.testing.assert_close(metrics[name], value, atol=1e-5, rtol=1e-4)
    assert metrics["policy/clip_fraction"] == 0
    assert metrics["policy/old_kl"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_passes_are_those_of_plain_autograd(kind, reduction):
    """The ratio is to the policy before the first pass; a clipped action has no gradient any more."""
    policy = tiny_generator(kind, 5).eval()
    twin, estimator = copy.deepcopy(policy), Fixed(2)
    settings = PPOSettings(
        batch_size=30, learning_rate=0.05, epochs=4, clip_range=0.1, whiten=False, reduction=reduction
    )
    algorithm = make(PPO, policy, estimator, settings)
    algorithm.start()
    report = algorithm.step(0.5)
    assert estimator.calls == 1

    batch, values = estimator.trajectories, estimator.values
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.5 * 0.05)
    old, clipped, divergences, entropies = None, [], [], []
    for _ in range(4):
        whole = torch.log_softmax(twin(batch) / TEMPERATURE, -1)
        taken = whole.gather(-1, values.actions)  # (B, T, 2)
        old = taken.detach() if old is None else old
        ratio = (taken - old).exp()
        worth = torch.where(
            values.values > 0,
            values.values * ratio.clamp(max=1.1),
            values.values * ratio.clamp(min=0.9),
        )
        per_token = -worth.mean(-1)[batch.mask]
        loss = per_token.mean() if reduction == "mean" else per_token.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 5.0)
        optimizer.step()
        seen = ratio.detach()[batch.mask]
        clipped.append(((seen < 0.9) | (seen > 1.1)).float().mean())
        divergences.append((seen - 1 - seen.log()).mean())
        entropies.append(torch.distributions.Categorical(logits=whole.detach()).entropy()[batch.mask].mean())
    # Not the weights: Adam magnifies the rounding of a key bias, which shifts all scores alike.
    ours, theirs = (torch.log_softmax(each(batch), -1)[batch.mask] for each in (policy, twin))
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-3)
    found = [report.metrics[f"policy/{name}"] for name in ("clip_fraction", "old_kl", "entropy")]
    expected = [torch.stack(each).mean() for each in (clipped, divergences, entropies)]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-2)
    assert clipped[-1] > 0.2 and divergences[-1] > 1e-3


def test_each_pass_takes_every_sequence_once_with_what_belongs_to_it(monkeypatch):
    estimator = Fixed()
    settings = PPOSettings(batch_size=10, epochs=3, num_minibatches=4, learning_rate=0.05, whiten=False)
    algorithm = make(PPO, tiny_generator("lstm", 5), estimator, settings)
    algorithm.start()
    taken, descend = [], algorithm.descend

    def recorded(trajectories, actions, advantages, rate, old_log_probs):
        taken.append((trajectories, actions, advantages, old_log_probs))
        return descend(trajectories, actions, advantages, rate, old_log_probs)

    monkeypatch.setattr(algorithm, "descend", recorded)
    log_probs = algorithm.policy.eval().log_probs
    old = {}
    act = algorithm.act

    def acting():
        batch = act()
        found = torch.where(batch.mask, log_probs(batch, TEMPERATURE), 0.0).detach()
        old.update({tuple(row): value for row, value in zip(batch.tokens.tolist(), found, strict=True)})
        return batch

    monkeypatch.setattr(algorithm, "act", acting)
    algorithm.step()
    whole = sorted(estimator.trajectories.tokens.tolist())
    orders = [
        [row for part, *_ in taken[start : start + 4] for row in part.tokens.tolist()] for start in (0, 4, 8)
    ]
    assert [len(part) for part, *_ in taken[:4]] == [3, 3, 3, 1]
    assert all(sorted(order) == whole for order in orders)
    assert orders[0] != orders[1] != orders[2]
    expected = dict(
        zip(map(tuple, estimator.trajectories.tokens.tolist()), estimator.values.advantages, strict=True)
    )
    for part, actions, advantages, before in taken:
        assert torch.equal(actions[..., 0], part.tokens)
        for row, tokens in enumerate(map(tuple, part.tokens.tolist())):
            torch.testing.assert_close(advantages[row], expected[tokens])
            real = part.mask[row]
            torch.testing.assert_close(before[row, real, 0], old[tokens][real], atol=1e-5, rtol=1e-5)
