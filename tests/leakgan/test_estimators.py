"""LeakGAN's action values: who is paid by whom, in which mixture, and what a control leaves of it."""

import copy
import dataclasses

import pytest
import torch

from leakgan.estimators import LeakGANCandidatesSettings, candidate_progress
from leakgan.generator import LeakGANGenerator, LeakGANSettings
from leakgan.losses import intrinsic_rewards, rescale
from seqgan.advantages.candidates import CandidatesSettings
from seqgan.advantages.rollouts import estimate_action_values
from seqgan.models.cnn_and_pairs import CNNAndPairsDiscriminator, CNNAndPairsDiscriminatorSettings
from seqgan.rewards.discriminator import DiscriminatorReward, DiscriminatorRewardSettings
from seqgan.sampling.sample import sample
from seqgan.text.alternatives import score_by_step
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import HIERARCHICAL_KINDS, rng, tiny_cnn, tiny_generator, whole
from tests.tiny_trainers import discriminator_reward, make_estimator

pytestmark = pytest.mark.slow

EOS = 2


@pytest.fixture(name="game", params=HIERARCHICAL_KINDS)
def a_generator_and_its_samples(request):
    generator = tiny_generator(request.param, 6).eval()
    given = sample(generator, 16, 6, eos_id=EOS, rng=rng(1))
    assert 1 < given.lengths.float().mean() < 6
    return generator, given


@pytest.mark.parametrize("rescaling", [None, 8.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_rollouts_are_rescaled_for_both_and_mixed_for_the_worker(game, weight, rescaling):
    generator, given = game
    found = make_estimator(generator, "rollouts", intrinsic_weight=weight, rescaling=rescaling)(
        generator, given
    )
    judged = estimate_action_values(
        generator, given, discriminator_reward(generator), num_rollouts=2, eos_id=EOS, rng=rng(6)
    )
    rescaled = judged if rescaling is None else rescale(judged, given.mask, rescaling)
    plan = generator.plan(given)
    intrinsic = intrinsic_rewards(plan.features, plan.goals, given.mask, 2).detach()
    torch.testing.assert_close(found.values[..., 0], weight * intrinsic + (1 - weight) * rescaled)
    torch.testing.assert_close(found.manager_values, rescaled)
    assert torch.equal(found.actions[..., 0], given.tokens)
    assert not found.values.requires_grad
    assert found.plan.goals.requires_grad
    metrics = make_estimator(generator, "rollouts").learn(given, found)
    last = judged.gather(1, given.lengths[:, None] - 1).mean()
    torch.testing.assert_close(
        metrics, {"reward/discriminator": last, "reward/intrinsic": intrinsic[given.mask].mean()}
    )


@pytest.mark.parametrize("rescaling", [None, 8.0])
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_candidates_are_mixed_as_they_stand_and_the_managers_values_are_rescaled(game, weight, rescaling):
    """Each candidate written out as a sequence of its own; the first is the sampled token itself."""
    generator, given = game
    tokens, mask = given.tokens, given.mask
    reward = discriminator_reward(generator)
    estimator = make_estimator(generator, "candidates", intrinsic_weight=weight, manager_rescaling=rescaling)
    drawn = torch.randint(0, 6, (16, 6, 2), generator=rng(3))
    actions = torch.cat([tokens[..., None], drawn], -1)
    estimator.draw = lambda policy, batch: actions
    found = estimator(generator, given)
    assert torch.equal(found.actions, actions)
    for step in range(6):
        reached = mask[:, step]
        for k in range(3):
            changed = tokens.clone()
            changed[:, step] = actions[:, step, k]
            plan = generator.plan(whole(changed))  # the goals before the step are the same
            intrinsic = intrinsic_rewards(plan.features, plan.goals, torch.ones_like(mask), 2)[
                :, step
            ].detach()
            judged = reward(TokenBatch(changed[:, : step + 1], mask[:, : step + 1]))
            expected = weight * intrinsic + (1 - weight) * judged
            torch.testing.assert_close(
                found.values[reached, step, k], expected[reached], atol=1e-5, rtol=1e-4
            )
    for k in range(3):
        others = [j for j in range(3) if j != k]
        torch.testing.assert_close(found.baseline[..., k], found.values[..., others].mean(-1))
    prefixes = [reward(TokenBatch(tokens[:, : t + 1], mask[:, : t + 1])) for t in range(6)]
    judged = torch.where(mask, torch.stack(prefixes, 1), 0.0)
    torch.testing.assert_close(found.discriminator, judged)
    rescaled = judged if rescaling is None else rescale(judged, mask, rescaling)
    torch.testing.assert_close(found.manager_values, rescaled)


def test_rescaling_acts_wherever_it_can_be_set(game):
    generator, given = game
    for kind, name in (("rollouts", "rescaling"), ("candidates", "manager_rescaling")):
        found = [
            make_estimator(generator, kind, **{name: delta})(generator, given) for delta in (None, 1.0, 16.0)
        ]
        for one, two in ((0, 1), (1, 2)):
            assert not torch.allclose(found[one].manager_values, found[two].manager_values, atol=1e-3)
    assert not hasattr(LeakGANCandidatesSettings(), "rescaling")


def test_candidates_have_no_setting_of_rollouts_and_baselines():
    own = {field.name for field in dataclasses.fields(LeakGANCandidatesSettings)}
    shared = {field.name for field in dataclasses.fields(CandidatesSettings)}
    assert own == shared | {"manager_rescaling", "intrinsic_weight"}


@pytest.mark.parametrize("kind", ["rollouts", "candidates"])
@pytest.mark.parametrize("control", ["constant", "random", "shuffled"])
def test_a_control_replaces_the_intrinsic_reward_and_the_managers_values_as_well(kind, control):
    """As large as the true ones, while the means over many draws know no action from another."""
    generator, num_draws = tiny_generator("leakgan", 6).eval(), 300
    given = sample(generator, 16, 5, eos_id=None, rng=rng(1))  # of one length: nobody is alone at a step
    settings = {"eos_id": None, "intrinsic_weight": 1.0}  # the discriminator says nothing to the worker
    true = make_estimator(generator, kind, **settings)(generator, given)
    estimator = make_estimator(generator, kind, control=control, **settings)
    if kind == "candidates":
        estimator.draw = lambda policy, batch: true.actions
    else:
        estimator.estimate = lambda policy, batch: true.discriminator
    drawn = [estimator(generator, given) for _ in range(num_draws)]
    for name in ("advantages", "manager_values"):
        exact = getattr(true, name)
        found = torch.stack([getattr(each, name) for each in drawn])
        assert float(found.std()) == pytest.approx(float(exact.std()), rel=0.1)
        if name == "advantages":
            uninformed = torch.zeros_like(exact)
        else:
            uninformed = (exact.mean() if control == "constant" else exact.mean(0)).expand_as(exact)
        bound = 5 * found.std(0) / num_draws**0.5 + 1e-5
        assert ((found.mean(0) - uninformed).abs() < bound).all()
        assert ((exact - uninformed).abs() > 2 * bound).any()


def test_the_state_of_rollouts_is_complete():
    generator = tiny_generator("leakgan", 6)
    given = sample(generator, 16, 6, eos_id=EOS, rng=rng(1))
    first, second = (make_estimator(generator, "rollouts", lag=0.5, baseline="ewma") for _ in range(2))
    with torch.no_grad():
        generator.worker.embedding.weight.add_(0.5)
    first.learn(given, first(generator, given))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    first.rng.manual_seed(1)
    second.rng.manual_seed(1)
    ours, theirs = first(generator, given), second(generator, given)
    assert torch.equal(ours.values, theirs.values)
    assert torch.equal(ours.baseline, theirs.baseline)
    assert torch.equal(ours.discriminator, theirs.discriminator)
    torch.testing.assert_close(  # half of the way behind the policy
        first.rollout_policy.worker.embedding.weight, generator.worker.embedding.weight - 0.25
    )
    assert first.rollout_policy is not generator
    assert first.rollout_policy.features.discriminator is generator.features.discriminator


@pytest.mark.parametrize("transform", ["logit", "probability"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("judge", ["leaking", "other"])
@pytest.mark.parametrize("parts", ["cnn", "cnn+pairs"])
def test_the_rewards_of_candidates_are_those_of_their_prefixes(parts, judge, precision, transform):
    """Whether the features of the goals tell them or not: against prefixes written out."""
    discriminators = []
    for seed in (13, 14):
        cnn = tiny_cnn(6, seed=seed)
        cnn.settings = dataclasses.replace(cnn.settings, scoring_precision=precision)
        both = CNNAndPairsDiscriminator(CNNAndPairsDiscriminatorSettings(), vocabulary_size=6, rng=rng(seed))
        both.cnn = cnn
        with torch.no_grad():
            both.pairs.token_biases.normal_(generator=rng(seed))
        discriminators.append(cnn if parts == "cnn" else both)
    leaking, other = discriminators
    policy = LeakGANGenerator(
        LeakGANSettings(embedding_size=4, hidden_size=4, manager_size=4, goal_size=3, horizon=2),
        vocabulary_size=6,
        bos_id=0,
        discriminator=leaking,
        rng=rng(2),
    ).eval()
    given = sample(policy, 16, 6, eos_id=EOS, rng=rng(1))
    settings = DiscriminatorRewardSettings(transform=transform)
    reward = DiscriminatorReward(settings, discriminator=leaking if judge == "leaking" else other)
    candidates = torch.randint(0, 6, (16, 6, 3), generator=rng(3))
    leaking.train()
    _, found = candidate_progress(policy, policy.plan(given), given, candidates, reward)
    assert leaking.training
    leaking.eval()
    expected = score_by_step(given, candidates, reward)
    tolerance = {"atol": 1e-5, "rtol": 1e-4} if precision == "float32" else {"atol": 0.05, "rtol": 0.05}
    torch.testing.assert_close(found[given.mask], expected[given.mask], **tolerance)
    assert expected[given.mask].std() > 0.05
    exact = score_by_step(
        given, candidates, DiscriminatorReward(settings, discriminator=with_float32(reward))
    )
    same = torch.allclose(found[given.mask], exact[given.mask], atol=1e-5, rtol=1e-4)
    assert same == (precision == "float32")


def with_float32(reward):
    """The reward's discriminator, exact."""
    found = copy.deepcopy(reward.discriminator)
    cnn = getattr(found, "cnn", found)
    cnn.settings = dataclasses.replace(cnn.settings, scoring_precision="float32")
    return found
