"""The policy gradient against enumeration: V = 3, T = 3, every sequence."""

import copy

import pytest
import torch

from seqgan.advantages.candidates import alternative_values
from seqgan.advantages.rollouts import action_values
from seqgan.algorithms.objectives import differentiate, reinforce_loss
from seqgan.algorithms.reinforce import Reinforce, ReinforceSettings
from seqgan.models.kernels.cross_entropy import ROWS_PER_CHUNK
from seqgan.sampling.sample import sample
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import (
    KINDS,
    all_sequences,
    exact_action_values,
    rng,
    sequence_probabilities,
    tiny_generator,
    whole,
)

WEIGHTS = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7], [-0.4, 0.9, 0.1]])


def reward(tokens, mask):
    """Depends on every token and its place, and not only through a sum."""
    scores = torch.where(mask, WEIGHTS[torch.arange(tokens.shape[1]), tokens], 0.0)
    return scores.sum(1) + scores[:, 0] * scores[:, -1]


def exact_gradient(policy, eos_id):
    """grad sum_Y p(Y) R(Y), by differentiating the sum itself."""
    tokens, mask = all_sequences(3, 3, eos_id)
    log_probs = torch.where(mask, policy.log_probs(TokenBatch(tokens, mask)), 0.0).sum(1)
    value = (log_probs.exp() * reward(tokens, mask)).sum()
    return torch.autograd.grad(value, list(policy.parameters()), allow_unused=True)


def flat(gradients):
    return torch.cat([g.flatten() for g in gradients if g is not None])


@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_expected_estimator_is_the_exact_gradient(kind, eos_id):
    policy = tiny_generator(kind)
    tokens, mask = all_sequences(3, 3, eos_id)
    probabilities = sequence_probabilities(policy, tokens, mask)
    values = exact_action_values(policy, tokens, mask, reward, eos_id)
    losses = [
        reinforce_loss(policy.log_probs(whole(t[None])), v[None], m[None], "sum")
        for t, v, m in zip(tokens, values, mask, strict=True)
    ]
    expected = sum(p * loss for p, loss in zip(probabilities.float(), losses, strict=True))
    ours = torch.autograd.grad(-expected, list(policy.parameters()), allow_unused=True)
    torch.testing.assert_close(flat(ours), flat(exact_gradient(policy, eos_id)), atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_in_chunks_is_that_of_the_whole(kind, reduction, monkeypatch):
    """Against one backward pass through the whole (B, T, V) tensor, at variable lengths, with all terms."""
    monkeypatch.setitem(ROWS_PER_CHUNK, "cpu", 4)
    policy, reference = tiny_generator(kind, 5), tiny_generator(kind, 5, seed=2)
    tokens = torch.randint(0, 5, (6, 4), generator=rng(3))
    mask = torch.arange(4) < torch.tensor([4, 1, 3, 2, 4, 3])[:, None]
    actions = torch.randint(0, 5, (6, 4, 3), generator=rng(4))
    advantages = torch.randn(6, 4, 3, generator=rng(5))
    weights = {"temperature": 0.7, "entropy_weight": 0.3, "kl_weight": 0.6}
    parts = differentiate(
        policy, reference, tokens, mask, actions, advantages, reduction=reduction, **weights
    )
    ours = [parameter.grad for parameter in policy.parameters()]

    batch = TokenBatch(tokens, mask)
    log_probs = torch.log_softmax(policy(batch) / 0.7, -1)
    taken = -(log_probs.gather(-1, actions) * advantages).mean(-1)[mask]
    loss = taken.mean() if reduction == "mean" else taken.sum()
    entropy = torch.distributions.Categorical(logits=log_probs).entropy()[mask].mean()
    others = torch.distributions.Categorical(logits=reference(batch).detach() / 0.7)
    kl = torch.distributions.kl_divergence(torch.distributions.Categorical(logits=log_probs), others)[
        mask
    ].mean()
    objective = loss - 0.3 * entropy + 0.6 * kl
    theirs = torch.autograd.grad(objective, list(policy.parameters()), allow_unused=True)
    torch.testing.assert_close(flat(ours), flat(theirs), atol=1e-5, rtol=1e-4)
    figures = [parts[f"policy/{name}"] for name in ("loss", "entropy", "kl")]
    torch.testing.assert_close(figures, [loss.detach(), entropy.detach(), kl.detach()])


def make_algorithm(policy, eos_id=None, config=None, reward=reward, num_rollouts=2, seed=0):
    random = rng(seed)

    def estimate(rollout_policy, trajectories):
        return action_values(
            rollout_policy,
            trajectories.tokens,
            trajectories.mask,
            reward,
            num_rollouts=num_rollouts,
            eos_id=eos_id,
            rng=random,
        )

    return Reinforce(
        config or ReinforceSettings(),
        policy=policy,
        action_values=estimate,
        max_length=3,
        eos_id=eos_id,
        rng=random,
        reward=reward,
    )


@pytest.mark.parametrize("baseline", ["none", "step_mean"])
@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_large_sample_gives_the_exact_gradient(kind, eos_id, baseline):
    policy = tiny_generator(kind)
    exact = flat(exact_gradient(policy, eos_id))
    size = 20_000
    config = ReinforceSettings(
        batch_size=size,
        learning_rate=0.0,
        gradient_clip=1e9,
        baseline=baseline,
        whiten=False,
        reduction="sum",
    )
    make_algorithm(policy, eos_id, config).policy_step()
    estimated = -flat([p.grad for p in policy.parameters()]) / size
    assert torch.cosine_similarity(estimated, exact, dim=0) > 0.995
    torch.testing.assert_close(estimated.norm(), exact.norm(), atol=0, rtol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rewarded_becomes_likelier_and_every_parameter_moves(kind):
    policy = tiny_generator(kind, scale=0.3)
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}

    def ones(tokens, mask):
        return (tokens == 1).float().mean(1)

    algorithm = make_algorithm(
        policy, config=ReinforceSettings(batch_size=64, learning_rate=0.02), reward=ones
    )
    share = [(sample(policy, 500, 3, eos_id=None, rng=rng(9)).tokens == 1).float().mean()]
    for _ in range(25):
        algorithm.policy_step()
    share.append((sample(policy, 500, 3, eos_id=None, rng=rng(9)).tokens == 1).float().mean())
    assert share[1] > share[0] + 0.3
    still = [name for name, p in policy.named_parameters() if torch.equal(p, before[name])]
    assert all("attention_in.bias" in name for name in still)  # a key bias shifts all scores alike


def test_loss_of_known_values_is_per_token_and_blind_behind_the_mask():
    log_probs = torch.tensor([[-1.0, -2.0], [-3.0, -50.0]])
    mask = torch.tensor([[True, True], [True, False]])
    advantages = torch.tensor([[2.0, 1.0], [-1.0, 1e6]])
    assert reinforce_loss(log_probs, advantages, mask, "sum") == 2 + 2 - 3
    assert reinforce_loss(log_probs, advantages, mask) == pytest.approx(1 / 3)


def test_dropout_is_off_while_acting_and_learning():
    policy = tiny_generator("lstm", dropout=0.5)
    config = ReinforceSettings(batch_size=50, learning_rate=0.0, temperature=0.7)
    seen = {}

    def estimate(rollout_policy, trajectories):
        seen["log_probs"] = trajectories.log_probs
        seen["again"] = rollout_policy.eval().log_probs(trajectories, 0.7)
        return torch.ones_like(trajectories.log_probs)

    algorithm = Reinforce(
        config, policy=policy.train(), action_values=estimate, max_length=3, eos_id=None, rng=rng()
    )
    algorithm.policy_step()
    torch.testing.assert_close(seen["log_probs"], seen["again"], atol=1e-5, rtol=1e-5)


def test_learning_does_not_depend_on_dropout():
    gradients = []
    for seed in range(2):
        torch.manual_seed(seed)
        policy = tiny_generator("lstm", dropout=0.5).train()
        make_algorithm(policy, config=ReinforceSettings(batch_size=20)).policy_step()
        gradients.append(flat(p.grad for p in policy.parameters()))
    assert torch.equal(*gradients)


def test_entropy_and_divergence_are_exact_and_pull_as_they_say():
    def step_many(config):
        policy = tiny_generator("lstm", scale=1.0)
        algorithm = make_algorithm(
            policy, config=config, reward=lambda tokens, mask: (tokens == 1).float().sum(1)
        )
        algorithm.start()
        for _ in range(30):
            metrics, _ = algorithm.policy_step()
        return metrics

    settings = {"batch_size": 64, "learning_rate": 0.02}
    free = step_many(ReinforceSettings(**settings))
    spread = step_many(ReinforceSettings(**settings, entropy_weight=3.0))
    near = step_many(ReinforceSettings(**settings, kl_weight=3.0))
    far = step_many(ReinforceSettings(**settings, kl_weight=1e-6))
    assert spread["policy/entropy"] > free["policy/entropy"] + 0.2
    assert 0 <= near["policy/kl"] < 0.2 * far["policy/kl"]


def test_the_entropy_is_that_of_the_distribution():
    policy = tiny_generator("lstm")
    torch.nn.init.zeros_(policy.head.weight)
    torch.nn.init.zeros_(policy.head.bias)  # uniform over 3 tokens
    metrics, _ = make_algorithm(policy, config=ReinforceSettings(batch_size=10, kl_weight=1.0)).policy_step()
    torch.testing.assert_close(metrics["policy/entropy"], torch.tensor(3.0).log())
    torch.testing.assert_close(metrics["policy/kl"], torch.tensor(0.0))


def test_the_rollout_policy_lags_behind():
    policy = tiny_generator("lstm")
    algorithm = make_algorithm(policy, config=ReinforceSettings(batch_size=8, learning_rate=0.1, lag=0.75))
    start = policy.head.bias.detach().clone()
    algorithm.policy_step()
    expected = 0.75 * start + 0.25 * policy.head.bias.detach()
    torch.testing.assert_close(algorithm.rollout_policy.head.bias.detach(), expected)
    assert make_algorithm(policy).rollout_policy is policy


def test_state_is_complete():
    config = ReinforceSettings(batch_size=8, learning_rate=0.05, lag=0.5, baseline="ewma", kl_weight=0.1)
    one, two = (tiny_generator("lstm") for _ in range(2))
    first, second = make_algorithm(one, config=config), make_algorithm(two, config=config, seed=5)
    first.start()
    for _ in range(3):
        first.policy_step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    two.load_state_dict(one.state_dict())
    second.rng.set_state(first.rng.get_state())
    first.policy_step()
    second.policy_step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_reward_per_step_is_the_mean_action_value_of_those_that_reach_it():
    policy = tiny_generator("lstm")
    algorithm = make_algorithm(policy, eos_id=2, config=ReinforceSettings(batch_size=40))
    seen = {}
    original = algorithm.action_values
    algorithm.action_values = lambda p, t: seen.setdefault("q", original(p, seen.setdefault("t", t)))
    metrics, values = algorithm.policy_step()
    mask = seen["t"].mask
    for step in range(3):
        torch.testing.assert_close(
            metrics[f"reward/step_{step + 1:02d}"], seen["q"][mask[:, step], step].mean()
        )
    final = reward(seen["t"].tokens, mask).mean()
    torch.testing.assert_close(metrics["reward/mean"], final)
    assert torch.equal(values["reward/action_values"][..., 0], seen["q"])


def prefix_reward(tokens, mask):
    """Defined for prefixes of any length, and not a sum."""
    places = torch.arange(tokens.shape[1])
    scores = torch.where(mask, WEIGHTS[places, tokens], 0.0)
    return scores.sum(1) + scores[:, 0] * scores[:, -1] * mask[:, -1]


@pytest.mark.parametrize("eos_id", [None, 2])
def test_alternatives_follow_the_exact_expectation_over_all_actions(eos_id):
    """grad sum_Y p(Y) sum_t sum_a G(a | y_<t) R(y_<t, a), the distribution of states held fixed."""
    policy = tiny_generator("lstm")
    tokens, mask = all_sequences(3, 3, eos_id)
    probabilities = sequence_probabilities(policy, tokens, mask).float()
    distribution = policy(whole(tokens)).softmax(-1)
    value = torch.zeros(())
    for step in range(3):
        for action in range(3):
            prefix = tokens[:, : step + 1].clone()
            prefix[:, step] = action
            rewards = prefix_reward(prefix, mask[:, : step + 1])
            value = value + (probabilities * mask[:, step] * distribution[:, step, action] * rewards).sum()
    exact = flat(torch.autograd.grad(value, list(policy.parameters()), allow_unused=True))
    config = ReinforceSettings(
        batch_size=4000,
        alternatives=6,
        learning_rate=0.0,
        gradient_clip=1e9,
        whiten=False,
        reduction="sum",
    )
    make_algorithm(policy, eos_id, config, prefix_reward).policy_step()
    estimated = -flat([p.grad for p in policy.parameters()]) / 4000
    assert torch.cosine_similarity(estimated, exact, dim=0) > 0.995
    torch.testing.assert_close(estimated.norm(), exact.norm(), atol=0, rtol=0.1)


def test_alternatives_are_judged_as_the_last_token_of_their_prefix():
    tokens = torch.tensor([[1, 2, 0], [2, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    alternatives = torch.tensor([[[0, 1], [2, 1], [1, 2]], [[2, 0], [1, 1], [0, 0]]])
    seen = []

    def ends(tokens, mask):
        seen.append(tokens[mask.all(1)].tolist())
        return tokens[:, -1] + 10.0 * tokens.shape[1]

    values = alternative_values(tokens, mask, alternatives, ends)
    assert seen == [[[0], [1], [2], [0]], [[1, 2], [1, 1]], [[1, 2, 1], [1, 2, 2]]]
    assert values.tolist() == [[[10, 11], [22, 21], [31, 32]], [[12, 10], [0, 0], [0, 0]]]


def test_a_smaller_factor_makes_a_smaller_step():
    def moved(factor):
        policy = tiny_generator("lstm")
        before = policy.head.bias.detach().clone()
        make_algorithm(policy, config=ReinforceSettings(batch_size=8, learning_rate=0.1)).policy_step(factor)
        return (policy.head.bias.detach() - before).abs().max()

    torch.testing.assert_close(moved(0.25), 0.25 * moved(1.0), atol=1e-5, rtol=1e-3)
    assert moved(0.0) == 0


def test_only_the_given_parameters_are_clipped_and_moved():
    policy = tiny_generator("lstm")
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}
    algorithm = make_algorithm(policy, config=ReinforceSettings(batch_size=8, learning_rate=0.1))
    given = Reinforce(
        ReinforceSettings(batch_size=8, learning_rate=0.1, gradient_clip=1e-3, reduction="sum"),
        policy=policy,
        action_values=algorithm.action_values,
        max_length=3,
        eos_id=None,
        rng=rng(),
        parameters=[policy.head.bias],
    )
    metrics, _ = given.policy_step()
    moved = [name for name, p in policy.named_parameters() if not torch.equal(p, before[name])]
    assert moved == ["head.bias"]
    torch.testing.assert_close(policy.head.bias.grad.norm(), torch.tensor(1e-3), rtol=1e-2, atol=0)
    assert policy.head.weight.grad.norm() > 0.1  # neither clipped nor part of the norm
    assert metrics["policy/gradient_norm"] > 1e-2


def test_one_alternative_is_refused():
    with pytest.raises(ValueError, match="--algorithm.alternatives"):
        make_algorithm(tiny_generator("lstm"), config=ReinforceSettings(alternatives=1))
