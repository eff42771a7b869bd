"""Generalised advantage estimation: against loops, REINFORCE and values by enumeration."""

import copy

import pytest
import torch

from seqgan.advantages.gae import GAE, GAESettings, estimate_advantages, explained_variance
from seqgan.advantages.returns import Returns, ReturnsSettings
from seqgan.sampling.sample import sample
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.token_batch import TokenBatch
from tests.references.enumeration import all_sequences, sequence_probabilities
from tests.tiny_models import KINDS, rng, tiny_generator

WEIGHTS = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7], [-0.4, 0.9, 0.1]])


def per_token(batch):
    """Depends on the token, its place and the token before; NaN behind the mask, where nobody may look."""
    scores = WEIGHTS[torch.arange(batch.tokens.shape[1]), batch.tokens]
    scores[:, 1:] += 0.5 * (batch.tokens[:, 1:] == batch.tokens[:, :-1])
    return torch.where(batch.mask, scores, torch.nan)


def per_sequence(batch):
    return torch.where(batch.mask, per_token(batch), 0.0).sum(1).square()


def make_gae(policy, reward=per_sequence, **settings):
    return GAE(GAESettings(**settings), policy=policy, reward=reward, rng=rng())


def given_sequences(policy, number=40, eos_id=2):
    return sample(policy, number, 3, eos_id=eos_id, rng=rng())


@pytest.mark.parametrize(("discount", "gae_lambda"), [(1.0, 0.9), (0.7, 0.3), (1.0, 0.0), (0.8, 1.0)])
def test_advantages_are_the_sums_of_the_definition(discount, gae_lambda):
    tokens, mask = all_sequences(3, 3, 2)
    rewards = torch.where(mask, per_token(TokenBatch(tokens, mask)), 100.0)
    values = torch.randn(mask.shape, generator=rng())
    found = estimate_advantages(rewards, values, mask, discount=discount, gae_lambda=gae_lambda)
    for b in range(len(tokens)):
        length = int(mask[b].sum())
        after = [*values[b, 1:length].tolist(), 0.0]
        deltas = [float(rewards[b, t]) + discount * after[t] - float(values[b, t]) for t in range(length)]
        for t in range(3):
            expected = sum((discount * gae_lambda) ** (s - t) * deltas[s] for s in range(t, length))
            assert found[b, t].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("reward", [per_sequence, per_token])
@pytest.mark.parametrize("kind", KINDS)
def test_with_lambda_1_and_a_critic_of_0_it_is_reinforce(kind, reward):
    """A critic is 0 before it has learned, also behind a policy that is far from uniform."""
    policy = tiny_generator(kind)
    given = given_sequences(policy)
    ours = make_gae(policy, reward, gae_lambda=1.0)(policy, given)
    returns = Returns(ReturnsSettings(baseline="none"), policy=policy, reward=reward, rng=rng())
    theirs = returns(policy, given)
    torch.testing.assert_close(ours.advantages, theirs.advantages, atol=1e-6, rtol=1e-6)
    assert torch.equal(ours.actions, theirs.actions)
    assert (ours.baseline == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_critic_learns_the_value_of_every_prefix(kind):
    """The mean return of all sequences that begin so, in the proportions in which the policy draws them."""
    policy = tiny_generator(kind, scale=0.5)
    tokens, mask = all_sequences(3, 3, 2)
    counts = (sequence_probabilities(policy, tokens, mask) * 400).round().long()
    rows = torch.arange(len(tokens)).repeat_interleave(counts)
    batch = Trajectories(tokens=tokens[rows], mask=mask[rows], log_probs=torch.zeros(len(rows), 3))
    gae = make_gae(policy, gae_lambda=1.0, critic_epochs=20, critic_learning_rate=2e-2)
    gae.start()
    reports = [gae.learn(batch, gae(policy, batch)) for _ in range(20)]
    critic, returns = gae.critic(batch).detach(), per_sequence(batch)
    for b, t in batch.mask[:: len(rows) // 40].nonzero().tolist():
        row = b * (len(rows) // 40)
        same = (batch.tokens[:, :t] == batch.tokens[row, :t]).all(1) & batch.mask[:, t]
        assert critic[row, t].item() == pytest.approx(float(returns[same].mean()), abs=0.01)
    assert reports[0]["critic/explained_variance"].item() == pytest.approx(0, abs=1e-6)
    assert reports[-1]["critic/explained_variance"] > 0.15
    assert reports[-1]["critic/loss"] < reports[0]["critic/loss"]


def test_the_values_are_what_the_critic_is_fitted_to_and_its_word_is_the_baseline():
    policy = tiny_generator("lstm")
    given = given_sequences(policy)
    gae = make_gae(policy, per_token, gae_lambda=0.5, discount=0.7)
    gae.start()
    for _ in range(20):
        gae.learn(given, gae(policy, given))
    found = gae(policy, given)
    critic = torch.where(given.mask, gae.critic(given).detach(), 0.0)
    rewards = torch.where(given.mask, per_token(given), 0.0)
    advantages = estimate_advantages(rewards, critic, given.mask, discount=0.7, gae_lambda=0.5)
    torch.testing.assert_close(found.advantages[..., 0], advantages)
    torch.testing.assert_close(found.baseline[..., 0], critic)
    assert critic.abs().max() > 0.1
    before = (found.values[..., 0] - critic)[given.mask].square().mean()
    report = gae.learn(given, found)
    torch.testing.assert_close(report["critic/loss"], before)


def test_the_critic_is_asked_without_dropout():
    policy = tiny_generator("lstm", dropout=0.5).train()
    given = given_sequences(policy)
    gae = make_gae(policy)
    gae.learn(given, gae(policy, given))
    gae.critic.train()
    assert torch.equal(gae(policy, given).baseline, gae(policy, given).baseline)


def test_the_critic_s_gradient_is_clipped():
    """Far below Adam's epsilon nothing moves."""
    policy = tiny_generator("lstm")
    given = given_sequences(policy)
    for clip, moves in ((1e-14, False), (1.0, True)):
        gae = make_gae(policy, critic_gradient_clip=clip)
        gae.learn(given, gae(policy, given))
        assert (gae(policy, given).baseline.abs().max() > 1e-3) == moves


def test_it_starts_with_the_policy_s_body_and_teaches_itself_alone():
    policy = tiny_generator("lstm")
    gae = make_gae(policy)
    with torch.no_grad():
        for parameter in policy.parameters():  # as pre-training does, after the critic was built
            parameter.mul_(1.5)
    gae.start()
    given = given_sequences(policy)
    torch.testing.assert_close(gae.critic.body.hidden(given), policy.hidden(given))
    before = copy.deepcopy(policy.state_dict())
    body = copy.deepcopy(gae.critic.body.state_dict())
    gae.learn(given, gae(policy, given))
    gae.learn(given, gae(policy, given))  # the first step moves the last layer only: it starts at 0
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())
    assert all(parameter.grad is None for parameter in policy.parameters())
    moved = {
        name for name, value in gae.critic.body.state_dict().items() if not torch.equal(value, body[name])
    }
    assert moved and not any(name.startswith("head") for name in moved)


def test_its_state_goes_on_exactly():
    policy = tiny_generator("lstm")
    given = given_sequences(policy)
    first, second = make_gae(policy), make_gae(policy)
    first.learn(given, first(policy, given))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for gae in (first, second):
        gae.learn(given, gae(policy, given))
    assert torch.equal(first(policy, given).values, second(policy, given).values)


def test_a_control_replaces_the_advantages_and_leaves_the_critic_its_targets():
    policy = tiny_generator("lstm")
    given = given_sequences(policy)
    true, control = make_gae(policy)(policy, given), make_gae(policy, control="random")(policy, given)
    assert torch.equal(true.values, control.values)
    assert not torch.equal(true.advantages, control.advantages)


def test_explained_variance_of_known_errors():
    targets = torch.tensor([[1.0, 3.0], [5.0, 99.0]])
    mask = torch.tensor([[True, True], [True, False]])
    for errors, expected in ((torch.zeros(2, 2), 1.0), (targets - 7.0, 0.0), (targets / 2, 0.75)):
        assert explained_variance(targets, errors, mask).item() == pytest.approx(expected)
