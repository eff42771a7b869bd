"""The adversarial step: who learns from what, and a task that only goals can carry."""

import copy

import pytest
import torch

from leakgan.algorithm import LeakGANAlgorithm, LeakGANAlgorithmSettings, differentiate_manager
from leakgan.estimators import LeakGANValues
from leakgan.features import LeakedFeatures
from leakgan.generator import LeakGANGenerator, LeakGANSettings
from leakgan.losses import intrinsic_rewards, transition_cosines
from seqgan.advantages.returns import Returns, ReturnsSettings
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from tests.tiny_models import HIERARCHICAL_KINDS, rng, tiny_cnn, tiny_generator, whole
from tests.tiny_trainers import make_estimator, moved, weights

EOS = 2
ALGORITHM = {"batch_size": 16, "learning_rate": 0.01, "manager_learning_rate": 0.01}


def make_algorithm(
    generator, estimator="rollouts", *, eos_id=EOS, max_length=6, seed=0, options=None, **settings
):
    """With an estimator, or with LeakGAN's of the given kind, judged by the discriminator."""
    random = rng(seed)
    if isinstance(estimator, str):
        estimator = make_estimator(generator, estimator, eos_id=eos_id, random=random, **options or {})
    return LeakGANAlgorithm(
        LeakGANAlgorithmSettings(**ALGORITHM | settings),
        policy=generator,
        estimator=estimator,
        sampling=SamplingSettings(),
        max_length=max_length,
        eos_id=eos_id,
        rng=random,
    )


class Told:
    """An estimator whose rewards are functions of the trajectories: of the worker, and of the manager."""

    def __init__(self, manager, worker=None):
        self.manager = manager
        self.worker = worker

    def __call__(self, policy, trajectories):
        plan = policy.plan(trajectories)
        horizon = policy.settings.horizon
        intrinsic = intrinsic_rewards(plan.features, plan.goals.detach(), trajectories.mask, horizon)
        values = (intrinsic if self.worker is None else self.worker(trajectories))[..., None]
        judged = self.manager(trajectories)
        self.trajectories = trajectories
        self.found = LeakGANValues(
            actions=trajectories.tokens[..., None],
            values=values,
            baseline=torch.zeros_like(values),
            mask=trajectories.mask,
            plan=plan,
            manager_values=judged,
            discriminator=torch.full_like(judged, torch.nan),  # for the log, and for nobody to learn from
            intrinsic=intrinsic,
        )
        return self.found

    def start(self):
        pass

    def learn(self, trajectories, values):
        return {}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["rollouts", "candidates"])
@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_every_parameter_of_manager_and_worker_moves_and_none_of_the_discriminator(kind, estimator):
    generator = tiny_generator(kind, 6)
    discriminator = generator.features.discriminator
    before, theirs = weights(generator), weights(discriminator)
    algorithm = make_algorithm(generator, estimator, options={"intrinsic_weight": 0.5})
    for _ in range(3):
        algorithm.step()
    still = set(before) - moved(generator, before)
    assert all("positions" in name or "attention_in.bias" in name for name in still)
    assert not moved(discriminator, theirs)
    assert all(parameter.grad is None for parameter in discriminator.parameters())


def test_neither_loss_reaches_the_others_parameters():
    generator = tiny_generator("leakgan", 6)
    given = sample(generator, 16, 6, eos_id=EOS, rng=rng())
    values = torch.rand(given.tokens.shape, generator=rng())
    differentiate_manager(generator.plan(given), values, given.mask, 2)
    assert all(parameter.grad is None for parameter in generator.worker_parameters())
    assert all(parameter.grad.norm() > 0 for parameter in generator.manager_parameters())
    generator.zero_grad()
    no_values = Told(lambda t: torch.zeros(t.mask.shape), lambda t: torch.rand(t.mask.shape, generator=rng()))
    make_algorithm(generator, no_values, learning_rate=0.0, manager_learning_rate=0.0).step()
    assert all((parameter.grad == 0).all() for parameter in generator.manager_parameters())
    assert all(parameter.grad is not None for parameter in generator.worker_parameters())
    assert all(parameter.grad is None for parameter in generator.features.discriminator.parameters())


@pytest.mark.parametrize("rate", [pytest.param(1.0, marks=pytest.mark.slow), 0.25])
def test_each_has_its_own_step_size_and_clipping(rate):
    generator = tiny_generator("leakgan", 6)
    before = weights(generator)
    algorithm = make_algorithm(generator, learning_rate=0.02, manager_learning_rate=0.004, gradient_clip=1e-3)
    metrics = algorithm.step(rate).metrics
    steps = {name: (tensor - before[name]).abs().max() for name, tensor in weights(generator).items()}
    managers = {name for name in steps if name.startswith("manager")}
    assert max(steps[name] for name in managers) == pytest.approx(0.004 * rate, rel=0.01)
    assert max(steps[name] for name in set(steps) - managers) == pytest.approx(0.02 * rate, rel=0.01)
    norms = [
        torch.cat([p.grad.flatten() for p in part]).norm()
        for part in (generator.worker_parameters(), generator.manager_parameters())
    ]
    assert norms[0] == pytest.approx(1e-3, rel=0.01)
    torch.testing.assert_close(norms[1], metrics["manager/gradient_norm"])  # below its own limit


@pytest.mark.slow
def test_neither_moves_before_both_gradients_are_taken():
    """A step of both is the worker's beside a resting manager and the manager's beside a resting worker."""

    def stepped(**settings):
        generator = tiny_generator("leakgan", 6)
        make_algorithm(generator, "rollouts", options={"intrinsic_weight": 0.5}, **settings).step()
        return weights(generator)

    both, worker, manager = stepped(), stepped(manager_learning_rate=0.0), stepped(learning_rate=0.0)
    for name, tensor in both.items():
        assert torch.equal(tensor, (manager if name.startswith("manager") else worker)[name]), name
        other = (worker if name.startswith("manager") else manager)[name]
        assert "positions" in name or not torch.equal(tensor, other), name


def one_step_game(estimator="rollouts", options=None, **settings):
    """Sequences of one token: the reward of x is cos(f_1(x) − f_0, g_0)."""
    generator = tiny_generator("leakgan", 6, horizon=1, scale=0.1)
    return generator, make_algorithm(
        generator,
        estimator,
        eos_id=None,
        max_length=1,
        batch_size=64,
        whiten=True,
        options=options,
        **settings,
    )


def ways(generator):
    """cos(f_1(x) − f_0, g_0) of each x."""
    plan = generator.plan(whole(torch.arange(6)[:, None]))
    return transition_cosines(plan.features, plan.goals, 1)[:, 0].detach()


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["rollouts", "candidates"])
def test_the_worker_comes_to_prefer_what_moves_the_features_along_the_goal(estimator):
    generator, algorithm = one_step_game(estimator, manager_learning_rate=0.0, learning_rate=0.05)
    wanted = ways(generator)
    before = generator(whole(torch.zeros(1, 1, dtype=torch.long)))[0, 0].softmax(-1)
    for _ in range(40):
        algorithm.step()
    after = generator(whole(torch.zeros(1, 1, dtype=torch.long)))[0, 0].softmax(-1)
    assert before[wanted.argmax()] < 0.4
    assert after[wanted.argmax()] > 0.8
    assert torch.equal(ways(generator), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [1, -1])
def test_the_manager_turns_its_goal_towards_the_move_that_is_worth_most_and_from_a_penalised_one(sign):
    generator, algorithm = one_step_game(
        Told(lambda trajectories: sign * (trajectories.tokens == 3).float()),
        learning_rate=0.0,
        manager_learning_rate=0.05,
    )
    before = ways(generator)
    for _ in range(80):
        algorithm.step()
    after = ways(generator)
    if sign > 0:
        assert before[3] < 0.9
        assert after[3] > 0.98
        assert after.argmax() == 3
    else:
        assert after[3] < min(-0.9, float(before[3]))


@pytest.mark.slow
def test_raising_the_reward_of_a_token_raises_its_probability():
    generator = tiny_generator("leakgan", 6, scale=0.1)
    paid = Told(lambda t: 0.0 * t.mask, lambda trajectories: (trajectories.tokens == 4).float())
    algorithm = make_algorithm(generator, paid, learning_rate=0.03, batch_size=64)
    share = [(sample(generator, 200, 6, eos_id=None, rng=rng(9)).tokens == 4).float().mean()]
    for _ in range(25):
        algorithm.step()
    share.append((sample(generator, 200, 6, eos_id=None, rng=rng(9)).tokens == 4).float().mean())
    assert share[1] > share[0] + 0.3


def test_the_managers_loss_is_that_of_the_prefixes_that_its_goals_have_led_to():
    generator = tiny_generator("leakgan", 6)
    told = Told(lambda t: torch.rand(t.mask.shape, generator=rng(4)) * t.mask)
    report = make_algorithm(generator, told, manager_learning_rate=0.0).step()
    mask, judged, plan = told.found.mask, told.found.manager_values, told.found.plan
    assert 1 < mask.sum(1).float().mean() < 6
    cosines = transition_cosines(plan.features, plan.goals, 2).detach()
    terms = [
        -judged[b, t + 1] * cosines[b, t] for b in range(16) for t in range(5) if mask[b, t + 1]
    ]  # the prefix reached by g_t has t + 2 tokens
    torch.testing.assert_close(report.metrics["manager/loss"], torch.stack(terms).mean())
    assert torch.equal(report.histograms["manager/goal_norms"], plan.norms[mask])
    torch.testing.assert_close(report.metrics["manager/goal_norm"], plan.norms[mask].mean().detach())
    assert torch.equal(report.histograms["reward/action_values"], told.found.values[mask].flatten())


def test_values_of_another_estimator_are_refused():
    generator = tiny_generator("leakgan", 6)
    other = Returns(ReturnsSettings(), policy=generator, reward=lambda b: b.lengths.float(), rng=rng())
    with pytest.raises(ValueError, match="--estimator.kind: LeakGAN takes leakgan-rollouts"):
        make_algorithm(generator, other).step()


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["rollouts", "candidates"])
def test_state_is_complete(estimator):
    options = {"lag": 0.5, "baseline": "ewma"} if estimator == "rollouts" else {}
    one, two = (tiny_generator("leakgan", 6) for _ in range(2))
    first = make_algorithm(one, estimator, options=options, kl_weight=0.1)
    second = make_algorithm(two, estimator, options=options, kl_weight=0.1, seed=5)
    first.start()
    for _ in range(3):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.estimator.load_state_dict(copy.deepcopy(first.estimator.state_dict()))
    two.load_state_dict(one.state_dict())
    second.rng.set_state(first.rng.get_state())
    first.step()
    second.step()
    assert not moved(two, weights(one))


def test_the_reference_listens_to_the_same_discriminator():
    """So its distribution moves as the discriminator is trained, though its own weights stay."""
    generator = tiny_generator("leakgan", 6)
    algorithm = make_algorithm(generator)
    assert algorithm.reference is not generator
    assert algorithm.reference.features.discriminator is generator.features.discriminator
    batch = whole(torch.randint(0, 6, (4, 5), generator=rng()))
    before = algorithm.reference(batch)
    with torch.no_grad():
        generator.features.discriminator.embedding.mul_(2.0)
    assert not torch.allclose(algorithm.reference(batch), before)


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


def centred(trajectories):
    """The same less the batch's mean of each step."""
    rewards = repeated(trajectories)
    return rewards - rewards.mean(0)


def learn_to_repeat(features_kind):
    """P(y_2 = x | y_1 = x) for each x after training a worker that cannot see its own tokens."""
    settings = LeakGANSettings(horizon=1, goal_size=8, manager_size=16, embedding_size=4, hidden_size=8)
    cnn = tiny_cnn(4, widths=(1, 2), num_filters=8)
    generator = LeakGANGenerator(settings, vocabulary_size=4, bos_id=0, discriminator=cnn, rng=rng(2))
    generator.features = features_kind(cnn)
    torch.nn.init.zeros_(generator.worker.embedding.weight).requires_grad_(False)
    algorithm = make_algorithm(
        generator, Told(repeated, centred), eos_id=None, max_length=2, batch_size=64, learning_rate=0.05
    )
    for _ in range(110):
        algorithm.step()
    assert (generator.worker.embedding.weight == 0).all()
    tokens = torch.arange(4).repeat(100)[:, None].expand(-1, 2)
    with torch.no_grad():
        return generator.log_probs(whole(tokens))[:, 1].exp().view(100, 4).mean(0)


@pytest.mark.slow
def test_what_only_goals_can_carry_is_learned_and_not_with_shuffled_features():
    """Without information the four probabilities sum up to 1."""
    learned = learn_to_repeat(LeakedFeatures)
    assert (learned > 0.9).sum() >= 3
    shuffled = learn_to_repeat(ShuffledFeatures)
    assert shuffled.sum().item() == pytest.approx(1, abs=0.2)
