"""The adversarial step: who learns from what, and a task that only goals can carry."""

import copy

import pytest
import torch

import leakgan.algorithm as module
from leakgan.algorithm import LeakGANAlgorithm, LeakGANAlgorithmSettings
from leakgan.features import LeakedFeatures
from leakgan.generator import LeakGANGenerator, LeakGANSettings
from leakgan.losses import intrinsic_rewards, rescale, transition_cosines
from seqgan.advantages.rollouts import action_values
from seqgan.rewards.reward import DiscriminatorReward, DiscriminatorRewardSettings
from seqgan.sampling.sample import sample
from tests.leakgan.test_training import moved, weights
from tests.tiny_models import HIERARCHICAL_KINDS, rng, tiny_cnn, tiny_generator, whole

EOS = 2


def discriminator_reward(generator):
    return DiscriminatorReward(DiscriminatorRewardSettings(), generator.features.cnn.score)


def make_algorithm(generator, *, reward=None, values=None, eos_id=EOS, max_length=6, seed=0, **settings):
    """With rollouts judged by the discriminator, unless a function of the trajectories gives the values."""
    random = rng(seed)
    reward = reward or discriminator_reward(generator)

    def estimate(policy, trajectories):
        if values is not None:
            return values(trajectories)
        return action_values(
            policy, trajectories.tokens, trajectories.mask, reward, num_rollouts=2, eos_id=eos_id, rng=random
        )

    config = LeakGANAlgorithmSettings(
        **{"batch_size": 16, "learning_rate": 0.01, "manager_learning_rate": 0.01} | settings
    )
    return LeakGANAlgorithm(
        config,
        policy=generator,
        action_values=estimate,
        max_length=max_length,
        eos_id=eos_id,
        rng=random,
        reward=reward,
    )


@pytest.mark.parametrize("alternatives", [0, 3])
@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_every_parameter_of_manager_and_worker_moves_and_none_of_the_discriminator(kind, alternatives):
    generator = tiny_generator(kind, 6)
    before, theirs = weights(generator), weights(generator.features.cnn)
    algorithm = make_algorithm(generator, alternatives=alternatives, intrinsic_weight=0.5)
    for _ in range(3):
        algorithm.policy_step()
    still = set(before) - moved(generator, before)
    assert all("positions" in name or "attention_in.bias" in name for name in still)
    assert not moved(generator.features.cnn, theirs)
    assert all(parameter.grad is None for parameter in generator.features.cnn.parameters())


def test_neither_loss_reaches_the_others_parameters():
    generator = tiny_generator("leakgan", 6)
    algorithm = make_algorithm(generator, learning_rate=0.0, manager_learning_rate=0.0)
    trajectories = algorithm._act()
    tokens, mask = trajectories.tokens, trajectories.mask
    values = torch.rand(tokens.shape, generator=rng())
    plan = generator.plan(whole(tokens))
    algorithm._teach_manager(plan, values, mask, 1.0)
    assert all(parameter.grad is None for parameter in generator.worker_parameters())
    assert all(parameter.grad.norm() > 0 for parameter in generator.manager_parameters())
    generator.zero_grad()
    algorithm._learn(trajectories, tokens[..., None], values[..., None], 0 * values[..., None], 1.0)
    assert all(parameter.grad is None for parameter in generator.manager_parameters())
    assert all(parameter.grad is not None for parameter in generator.worker_parameters())
    assert all(parameter.grad is None for parameter in generator.features.cnn.parameters())


@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_each_has_its_own_step_size_and_clipping(factor):
    generator = tiny_generator("leakgan", 6)
    before = weights(generator)
    algorithm = make_algorithm(generator, learning_rate=0.02, manager_learning_rate=0.004, gradient_clip=1e-3)
    metrics, _ = algorithm.policy_step(factor)
    steps = {name: (tensor - before[name]).abs().max() for name, tensor in weights(generator).items()}
    assert max(v for k, v in steps.items() if k.startswith("manager")) == pytest.approx(
        0.004 * factor, rel=0.01
    )
    assert max(v for k, v in steps.items() if k.startswith("worker")) == pytest.approx(
        0.02 * factor, rel=0.01
    )
    norms = [
        torch.cat([p.grad.flatten() for p in part]).norm()
        for part in (generator.worker_parameters(), generator.manager_parameters())
    ]
    assert norms[0] == pytest.approx(1e-3, rel=0.01)
    torch.testing.assert_close(norms[1], metrics["manager/gradient_norm"])  # below its own limit


def one_step_game(**settings):
    """Sequences of one token: the reward of x is cos(f_1(x) − f_0, g_0)."""
    generator = tiny_generator("leakgan", 6, horizon=1, scale=0.1)
    return generator, make_algorithm(
        generator, eos_id=None, max_length=1, batch_size=64, whiten=True, **settings
    )


def ways(generator):
    """cos(f_1(x) − f_0, g_0) of each x."""
    plan = generator.plan(whole(torch.arange(6)[:, None]))
    return transition_cosines(plan.features, plan.goals, 1)[:, 0].detach()


@pytest.mark.parametrize("alternatives", [0, 4])
def test_the_worker_comes_to_prefer_what_moves_the_features_along_the_goal(alternatives):
    generator, algorithm = one_step_game(
        manager_learning_rate=0.0, learning_rate=0.05, alternatives=alternatives
    )
    wanted = ways(generator)
    before = generator(whole(torch.zeros(1, 1, dtype=torch.long)))[0, 0].softmax(-1)
    for _ in range(40):
        algorithm.policy_step()
    after = generator(whole(torch.zeros(1, 1, dtype=torch.long)))[0, 0].softmax(-1)
    assert before[wanted.argmax()] < 0.4
    assert after[wanted.argmax()] > 0.8
    assert torch.equal(ways(generator), wanted)


def test_the_manager_turns_its_goal_towards_the_move_that_is_worth_most():
    generator, algorithm = one_step_game(
        learning_rate=0.0,
        manager_learning_rate=0.05,
        rescaling=None,
        values=lambda trajectories: (trajectories.tokens == 3).float(),
    )
    before = ways(generator)
    for _ in range(80):
        algorithm.policy_step()
    after = ways(generator)
    assert before[3] < 0.9
    assert after[3] > 0.98
    assert after.argmax() == 3


def test_a_penalised_move_turns_the_goal_away():
    generator, algorithm = one_step_game(
        learning_rate=0.0,
        manager_learning_rate=0.05,
        rescaling=None,
        values=lambda trajectories: -(trajectories.tokens == 3).float(),
    )
    before = ways(generator)
    for _ in range(80):
        algorithm.policy_step()
    assert ways(generator)[3] < min(-0.9, float(before[3]))


def test_raising_the_intrinsic_reward_of_a_token_raises_its_probability(monkeypatch):
    generator = tiny_generator("leakgan", 6, scale=0.1)
    algorithm = make_algorithm(generator, values=lambda t: 0.0 * t.mask, learning_rate=0.03, batch_size=64)
    share = [(sample(generator, 200, 6, eos_id=None, rng=rng(9)).tokens == 4).float().mean()]
    tokens = []
    act = algorithm._act
    monkeypatch.setattr(algorithm, "_act", lambda: tokens.append(act()) or tokens[-1])
    monkeypatch.setattr(module, "intrinsic_rewards", lambda *_: (tokens[-1].tokens == 4).float())
    for _ in range(25):
        algorithm.policy_step()
    share.append((sample(generator, 200, 6, eos_id=None, rng=rng(9)).tokens == 4).float().mean())
    assert share[1] > share[0] + 0.3


@pytest.mark.parametrize("rescaling", [None, 8.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_workers_reward_is_mixed_and_the_managers_the_discriminators(weight, rescaling):
    generator = tiny_generator("leakgan", 6)
    seen = {}

    def values(trajectories):
        seen["trajectories"] = trajectories
        seen["values"] = torch.rand(trajectories.mask.shape, generator=rng(4)) * trajectories.mask
        return seen["values"]

    algorithm = make_algorithm(
        generator, values=values, intrinsic_weight=weight, rescaling=rescaling, manager_learning_rate=0.0
    )
    metrics, histograms = algorithm.policy_step()
    tokens, mask = seen["trajectories"].tokens, seen["trajectories"].mask
    assert 1 < mask.sum(1).float().mean() < 6
    plan = generator.plan(whole(tokens))
    intrinsic = intrinsic_rewards(plan.features, plan.goals, mask, 2)
    judged = seen["values"] if rescaling is None else rescale(seen["values"], mask, rescaling)
    torch.testing.assert_close(
        histograms["reward/action_values"][..., 0], weight * intrinsic + (1 - weight) * judged
    )
    cosines = transition_cosines(plan.features, plan.goals, 2)
    terms = [
        -judged[b, t + 1] * cosines[b, t] for b in range(16) for t in range(5) if mask[b, t + 1]
    ]  # the prefix reached by g_t has t + 2 tokens
    torch.testing.assert_close(metrics["manager/loss"], torch.stack(terms).mean().detach())
    torch.testing.assert_close(metrics["reward/intrinsic"], intrinsic[mask].mean().detach())
    torch.testing.assert_close(metrics["reward/intrinsic_03"], intrinsic[mask[:, 2], 2].mean().detach())
    last = seen["values"].gather(1, mask.sum(1, keepdim=True) - 1).mean()
    torch.testing.assert_close(metrics["reward/discriminator"], last)
    assert torch.equal(histograms["manager/goal_norms"], plan.norms)


def test_a_token_among_the_alternatives_earns_what_it_earned():
    generator = tiny_generator("leakgan", 6, horizon=3)
    algorithm = make_algorithm(generator, alternatives=2)
    trajectories = algorithm._act()
    tokens, mask = trajectories.tokens, trajectories.mask
    plan = generator.plan(whole(tokens))
    intrinsic = intrinsic_rewards(plan.features, plan.goals, mask, 3)
    values = algorithm._discriminator_values(trajectories)
    drawn = torch.randint(0, 6, tokens.shape, generator=rng(3))
    algorithm._draw_alternatives = lambda _: torch.stack([tokens, drawn], -1)
    _, rewards, baseline = algorithm._judge_worker(trajectories, plan, values, intrinsic)
    torch.testing.assert_close(rewards[..., 0][mask], intrinsic[mask], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(baseline, rewards.flip(-1))
    for step in range(6):
        other = tokens.clone()
        other[:, step] = drawn[:, step]
        changed = generator.plan(whole(other))  # the goals before the step are the same
        expected = intrinsic_rewards(changed.features, changed.goals, torch.ones_like(mask), 3)[:, step]
        torch.testing.assert_close(rewards[:, step, 1], expected, atol=1e-5, rtol=1e-4)
    for step in range(6):  # the discriminator's values are those of the prefixes as they stand
        prefix, real = tokens[:, : step + 1], mask[:, : step + 1]
        expected = torch.where(mask[:, step], algorithm.reward(prefix, real), 0.0)
        torch.testing.assert_close(values[:, step], expected)
    algorithm.settings = LeakGANAlgorithmSettings(alternatives=2, intrinsic_weight=0.25)
    _, mixed, _ = algorithm._judge_worker(trajectories, plan, values, intrinsic)
    torch.testing.assert_close(
        mixed[..., 0][mask], (0.25 * intrinsic + 0.75 * values)[mask], atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("alternatives", [0, 2])
def test_state_is_complete(alternatives):
    settings = {"lag": 0.5, "baseline": "ewma", "kl_weight": 0.1, "alternatives": alternatives}
    one, two = (tiny_generator("leakgan", 6) for _ in range(2))
    first, second = make_algorithm(one, **settings), make_algorithm(two, seed=5, **settings)
    first.start()
    for _ in range(3):
        first.policy_step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    two.load_state_dict(one.state_dict())
    second.rng.set_state(first.rng.get_state())
    first.policy_step()
    second.policy_step()
    assert not moved(two, weights(one))


def test_the_rollout_policy_and_the_reference_listen_to_the_same_discriminator():
    generator = tiny_generator("leakgan", 6)
    algorithm = make_algorithm(generator, lag=0.5)
    for other in (algorithm.reference, algorithm.rollout_policy):
        assert other is not generator
        assert other.features is generator.features


# A task that only goals can carry.


class ShuffledFeatures(LeakedFeatures):
    """Features of another sequence of the batch, where there is one."""

    random = rng(11)

    def advance(self, tokens, state):
        features, state = super().advance(tokens, state)
        return features[torch.randperm(len(features), generator=self.random)], state

    def of_prefixes(self, tokens):
        features = super().of_prefixes(tokens)
        return features[torch.randperm(len(features), generator=self.random)]


def repeated(trajectories):
    """1 for a second token that equals the first, whose reward keeps all first tokens equally frequent."""
    first, second = trajectories.tokens.unbind(1)
    shares = first.bincount(minlength=4) / len(first)
    return torch.stack([-4 * shares[first], (second == first).float()], 1)


def learn_to_repeat(features_kind):
    """P(y_2 = x | y_1 = x) for each x after training a worker that cannot see its own tokens."""
    config = LeakGANSettings(horizon=1, goal_size=8, manager_size=16, embedding_size=4, hidden_size=8)
    cnn = tiny_cnn(4, widths=(1, 2), num_filters=8)
    generator = LeakGANGenerator(config, vocabulary_size=4, bos_id=0, discriminator=cnn, rng=rng(2))
    generator.features = features_kind(cnn)
    torch.nn.init.zeros_(generator.worker.embedding.weight).requires_grad_(False)
    algorithm = make_algorithm(
        generator,
        values=repeated,
        eos_id=None,
        max_length=2,
        batch_size=64,
        intrinsic_weight=0.0,
        learning_rate=0.05,
        rescaling=None,
    )
    for _ in range(110):
        algorithm.policy_step()
    assert (generator.worker.embedding.weight == 0).all()
    tokens = torch.arange(4).repeat(100)[:, None].expand(-1, 2)
    with torch.no_grad():
        return generator.log_probs(whole(tokens))[:, 1].exp().view(100, 4).mean(0)


def test_what_only_goals_can_carry_is_learned_and_not_with_shuffled_features():
    """Without information the four probabilities sum up to 1."""
    learned = learn_to_repeat(LeakedFeatures)
    assert (learned > 0.9).sum() >= 3
    shuffled = learn_to_repeat(ShuffledFeatures)
    assert shuffled.sum().item() == pytest.approx(1, abs=0.2)
