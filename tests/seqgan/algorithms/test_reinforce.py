"""REINFORCE's step as a whole, against enumeration (V = 3, T = 3) and against plain autograd."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from seqgan.advantages.action_values import ActionValues
from seqgan.advantages.candidates import Candidates, CandidatesSettings
from seqgan.advantages.returns import Returns, ReturnsSettings
from seqgan.advantages.rollouts import Rollouts, RolloutsSettings
from seqgan.algorithms import reinforce as module
from seqgan.algorithms.ppo import PPO, PPOSettings
from seqgan.algorithms.reinforce import KL_INTERVAL, Reinforce, ReinforceSettings
from seqgan.runtime.trainer import Trainer
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import mask_from_lengths
from seqgan.text.token_batch import TokenBatch
from tests.references.enumeration import all_sequences, exact_action_values, sequence_probabilities
from tests.tiny_models import KINDS, rng, tiny_generator

WEIGHTS = torch.tensor([[0.3, -1.0, 2.0], [1.5, 0.2, -0.7], [-0.4, 0.9, 0.1]])
PLAIN = {"learning_rate": 0.0, "gradient_clip": 1e9, "whiten": False, "reduction": "sum"}


def reward(batch):
    """Depends on every token and its place, and not only through a sum; defined for prefixes as well."""
    scores = torch.where(batch.mask, WEIGHTS[torch.arange(batch.tokens.shape[1]), batch.tokens], 0.0)
    return scores.sum(1) + scores[:, 0] * scores[:, -1]


class Fixed:
    """An estimator that answers what it is told, and remembers what it was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.log = []

    def __call__(self, policy, trajectories):
        self.log.append("call")
        self.policy, self.trajectories = policy, trajectories
        self.found = self.answer(trajectories)
        return self.found

    def start(self):
        self.log.append("start")

    def learn(self, trajectories, values):
        self.log.append("learn")
        assert trajectories is self.trajectories
        assert values is self.found
        return {"critic/loss": torch.tensor(1.0)}

    def state_dict(self):
        return {"log": list(self.log)}

    def load_state_dict(self, state):
        self.log = list(state["log"])


def values_of(trajectories, values, actions=None):
    actions = trajectories.tokens[..., None] if actions is None else actions
    return ActionValues(
        actions=actions, values=values, baseline=torch.zeros_like(values), mask=trajectories.mask
    )


def make_estimator(policy, kind, *, eos_id=None, reward=reward, random=None, sampling=None, **settings):
    parts = {"policy": policy, "reward": reward, "sampling": sampling or SamplingSettings(), "eos_id": eos_id}
    parts |= {"pad_id": 0, "rng": random or rng()}
    if kind == "rollouts":
        return Rollouts(RolloutsSettings(**{"num_rollouts": 2} | settings), **parts)
    if kind == "returns":
        names = ("policy", "reward", "rng")
        return Returns(ReturnsSettings(**settings), **{name: parts[name] for name in names})
    names = ("reward", "sampling", "rng")
    return Candidates(CandidatesSettings(**settings), **{name: parts[name] for name in names})


def make_algorithm(
    policy, estimator="returns", *, eos_id=None, seed=0, reward=reward, temperature=1.0, **settings
):
    """With an estimator, or with one of the given kind, which draws from the same random numbers."""
    random, sampling = rng(seed), SamplingSettings(temperature=temperature)
    if isinstance(estimator, str):
        estimator = make_estimator(
            policy, estimator, eos_id=eos_id, reward=reward, random=random, sampling=sampling
        )
    return Reinforce(
        ReinforceSettings(**settings),
        policy=policy,
        estimator=estimator,
        sampling=sampling,
        max_length=3,
        eos_id=eos_id,
        rng=random,
    )


def gradients(policy):
    return {name: p.grad for name, p in policy.named_parameters()}


def assert_gradients(policy, exact, *, atol=2e-5, rtol=1e-3):
    """Every parameter's own gradient, where the exact one reaches it."""
    for (name, parameter), gradient in zip(policy.named_parameters(), exact, strict=True):
        if gradient is not None:
            torch.testing.assert_close(
                parameter.grad, gradient, atol=atol, rtol=rtol, msg=lambda m, n=name: f"{n}: {m}"
            )
    assert max(float(g.abs().max()) for g in exact if g is not None) > 0.01


# The step as a whole, on all sequences at once instead of on a sample.


@pytest.fixture
def whole_population(monkeypatch):
    """Let the algorithm act by drawing every sequence once."""

    def of(policy, eos_id):
        tokens, mask = all_sequences(3, 3, eos_id)
        everything = Trajectories(tokens=tokens, mask=mask, log_probs=torch.zeros(tokens.shape))
        monkeypatch.setattr(module, "sample", lambda *_, **__: everything)
        return everything, sequence_probabilities(policy, tokens, mask).float()

    return of


@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_with_exact_values_has_the_exact_gradient_in_every_parameter(kind, eos_id, whole_population):
    """∇ Σ_Y p(Y) R(Y), by differentiating the sum itself."""
    policy = tiny_generator(kind).eval()
    batch, probabilities = whole_population(policy, eos_id)
    exact_values = exact_action_values(policy, batch.tokens, batch.mask, reward, eos_id)
    log_probs = torch.where(batch.mask, policy.log_probs(batch), 0.0).sum(1)
    expected = -(log_probs.exp() * reward(batch)).sum()
    exact = torch.autograd.grad(expected, list(policy.parameters()), allow_unused=True)
    estimator = Fixed(lambda t: values_of(t, (probabilities[:, None] * exact_values)[..., None]))
    make_algorithm(policy, estimator, eos_id=eos_id, **PLAIN).step()
    assert_gradients(policy, exact)


@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_over_all_actions_has_the_exact_gradient_in_every_parameter(kind, eos_id, whole_population):
    """∇ Σ_Y p(Y) Σ_t Σ_a π(a | y_<t) R(y_<t a), the distribution of prefixes held fixed."""
    policy = tiny_generator(kind).eval()
    batch, probabilities = whole_population(policy, eos_id)
    distribution = policy(batch).softmax(-1)
    every_action = torch.arange(3).expand(*batch.tokens.shape, 3)
    rewards = torch.zeros(every_action.shape)
    for step in range(3):
        for action in range(3):
            prefix = batch.tokens[:, : step + 1].clone()
            prefix[:, step] = action
            rewards[:, step, action] = reward(TokenBatch(prefix, batch.mask[:, : step + 1]))
    reached = probabilities[:, None, None] * batch.mask[..., None]
    total = -(reached * distribution * rewards).sum()
    exact = torch.autograd.grad(total, list(policy.parameters()), allow_unused=True)
    weighted = 3 * (reached * distribution * rewards).detach()  # the loss is a mean over the 3 actions
    estimator = Fixed(lambda t: values_of(t, weighted, every_action))
    make_algorithm(policy, estimator, eos_id=eos_id, **PLAIN).step()
    assert_gradients(policy, exact)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_that_of_plain_autograd_and_adam(kind, whiten):
    """All terms at once, means over tokens, clipping: every parameter ends where a plain step takes it."""
    policy = tiny_generator(kind, 5).eval()
    tokens = sample(policy, 40, 3, eos_id=2, rng=rng(0))
    given = torch.randn(40, 3, 2, generator=rng(1))
    actions = torch.randint(0, 5, (40, 3, 2), generator=rng(2))
    twin = copy.deepcopy(policy)
    algorithm = make_algorithm(
        policy, Fixed(lambda t: values_of(t, given, actions)), eos_id=2, temperature=0.7, batch_size=40,
        learning_rate=0.03, gradient_clip=0.1, whiten=whiten, advantage_clip=1.0, entropy_weight=0.3,
        kl_weight=0.6,
    )  # fmt: skip
    algorithm.start()
    with torch.no_grad():  # so that the divergence from the reference is not 0
        for ours, theirs in zip(policy.parameters(), twin.parameters(), strict=True):
            ours.mul_(1.1)
            theirs.copy_(ours)
    report = algorithm.step(0.5)
    batch = algorithm.estimator.trajectories
    assert not torch.equal(batch.tokens, tokens.tokens)

    mask = batch.mask
    advantages = given
    if whiten:
        advantages = (given - given[mask].mean()) / given[mask].std(correction=0)
    advantages = advantages.clamp(-1, 1)
    whole = torch.log_softmax(twin(batch) / 0.7, -1)
    reference = torch.log_softmax(algorithm.reference(batch) / 0.7, -1).detach()
    loss = -(whole.gather(-1, actions) * advantages).mean(-1)[mask].mean()
    entropy = torch.distributions.Categorical(logits=whole).entropy()[mask].mean()
    divergence = (
        nn.functional.kl_div(reference, whole, log_target=True, reduction="none").sum(-1)[mask].mean()
    )
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.5 * 0.03)
    (loss - 0.3 * entropy + 0.6 * divergence).backward()
    norm = nn.utils.clip_grad_norm_(twin.parameters(), 0.1)
    optimizer.step()
    for (name, ours), theirs in zip(policy.named_parameters(), twin.parameters(), strict=True):
        if theirs.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-3)
            sure = theirs.grad.abs() > 1e-5  # Adam magnifies the rounding of zeros
            torch.testing.assert_close(
                ours[sure], theirs[sure], atol=1e-4, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}"
            )
    torch.testing.assert_close(
        [report.metrics[f"policy/{name}"] for name in ("loss", "entropy", "kl", "gradient_norm")],
        [loss.detach(), entropy.detach(), divergence.detach(), norm],
        atol=1e-5, rtol=1e-4,
    )  # fmt: skip
    assert norm > 0.15
    assert divergence > 1e-3


# The step as a whole, on samples.


def per_sequence_gradients(policy, value_of, eos_id):
    """What one sampled sequence contributes to each parameter, for every sequence, and its probability."""
    tokens, mask = all_sequences(3, 3, eos_id)
    probabilities = sequence_probabilities(policy, tokens, mask)
    rows = []
    for row in range(len(tokens)):
        log_probs = policy.log_probs(TokenBatch(tokens[row : row + 1], mask[row : row + 1]))[0]
        total = (log_probs * value_of(row)).sum()
        found = torch.autograd.grad(total, list(policy.parameters()), allow_unused=True)
        rows.append(torch.cat([g.flatten() for g in found if g is not None]))
    return torch.stack(rows).double(), probabilities[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["returns", "rollouts"])
@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_large_sample_gives_every_parameter_its_gradient_within_standard_errors(kind, eos_id, estimator):
    """The bound is that of REINFORCE with whole returns, whose variance rollouts can only lower."""
    policy, size = tiny_generator(kind).eval(), 8000
    tokens, mask = all_sequences(3, 3, eos_id)
    returns = torch.where(mask, reward(TokenBatch(tokens, mask))[:, None], 0.0)
    contributions, probabilities = per_sequence_gradients(policy, lambda row: returns[row], eos_id)
    exact = (probabilities * contributions).sum(0)
    deviation = (probabilities * (contributions - exact).square()).sum(0).sqrt()
    algorithm = make_algorithm(policy, estimator, eos_id=eos_id, batch_size=size, **PLAIN)
    algorithm.step()
    ours = -torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None]).double() / size
    bound = 5 * 1.3 * deviation / size**0.5 + 1e-5  # two rollouts of one sequence share its prefix
    assert ((ours - exact).abs() < bound).all()
    assert (exact.abs() > 2 * bound).any()  # narrow enough to see a gradient


@pytest.mark.slow
@pytest.mark.parametrize("eos_id", [None, 2])
def test_a_large_sample_of_candidates_gives_the_expectation_over_all_actions(eos_id):
    """Σ_Y p(Y) Σ_t Σ_a ∇π(a | y_<t) R(y_<t a) in every parameter; the spread of steps gives the bound."""
    policy = tiny_generator("lstm").eval()
    tokens, mask = all_sequences(3, 3, eos_id)
    probabilities = sequence_probabilities(policy, tokens, mask).float()
    distribution = policy(TokenBatch(tokens, mask)).softmax(-1)
    value = torch.zeros(())
    for step in range(3):
        for action in range(3):
            prefix = tokens[:, : step + 1].clone()
            prefix[:, step] = action
            rewards = reward(TokenBatch(prefix, mask[:, : step + 1]))
            value = value + (probabilities * mask[:, step] * distribution[:, step, action] * rewards).sum()
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(value, list(policy.parameters()))])
    random, found = rng(), []
    estimator = make_estimator(policy, "candidates", eos_id=eos_id, random=random, num_candidates=4)
    algorithm = Reinforce(
        ReinforceSettings(batch_size=400, **PLAIN), policy=policy, estimator=estimator,
        sampling=SamplingSettings(), max_length=3, eos_id=eos_id, rng=random,
    )  # fmt: skip
    for _ in range(30):
        algorithm.step()
        found.append(-torch.cat([p.grad.flatten() for p in policy.parameters()]) / 400)
    estimates = torch.stack(found)
    bound = 5 * estimates.std(0) / 30**0.5 + 1e-5
    assert ((estimates.mean(0) - exact).abs() < bound).all()
    assert (exact.abs() > 2 * bound).sum() > 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rewarded_becomes_likelier_and_every_parameter_moves(kind):
    policy = tiny_generator(kind, scale=0.3)
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}
    algorithm = make_algorithm(
        policy,
        "rollouts",
        reward=lambda batch: (batch.tokens == 1).float().mean(1),
        batch_size=64,
        learning_rate=0.02,
    )
    share = [(sample(policy, 500, 3, eos_id=None, rng=rng(9)).tokens == 1).float().mean()]
    for _ in range(25):
        algorithm.step()
    share.append((sample(policy, 500, 3, eos_id=None, rng=rng(9)).tokens == 1).float().mean())
    assert share[1] > share[0] + 0.3
    still = [name for name, p in policy.named_parameters() if torch.equal(p, before[name])]
    assert all("attention_in.bias" in name for name in still)  # a key bias shifts all scores alike


# Who is asked what, and when.


def test_the_steps_of_a_step():
    policy = tiny_generator("lstm")
    estimator = Fixed(lambda t: values_of(t, torch.randn(*t.mask.shape, 1, generator=rng())))
    algorithm = make_algorithm(policy, estimator, batch_size=8)
    assert isinstance(algorithm, Trainer)
    assert algorithm.steps_per_turn == 1
    algorithm.start()
    report = algorithm.step()
    assert estimator.log == ["start", "call", "learn"]
    assert estimator.policy is policy
    assert report.metrics["critic/loss"] == 1
    assert report.always


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_acting_and_learning_are_at_the_temperature_of_sampling(temperature):
    policy = tiny_generator("lstm")
    seen = Fixed(lambda t: values_of(t, torch.ones(*t.mask.shape, 1)))
    make_algorithm(policy, seen, batch_size=50, temperature=temperature, **PLAIN).step()
    trajectories = seen.trajectories
    log_probs = policy.log_probs(trajectories, temperature)
    torch.testing.assert_close(trajectories.log_probs, log_probs.detach(), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(trajectories.log_probs, policy.log_probs(trajectories), atol=0.05)
    exact = torch.autograd.grad(-log_probs.sum(), list(policy.parameters()))
    assert_gradients(policy, exact, atol=1e-3)


def test_the_precision_of_sampling_reaches_the_acting():
    def acted(precision):
        policy = tiny_generator("lstm", 50)
        seen = Fixed(lambda t: values_of(t, torch.ones(*t.mask.shape, 1)))
        Reinforce(
            ReinforceSettings(batch_size=100), policy=policy, estimator=seen, max_length=3, eos_id=None,
            rng=rng(), sampling=SamplingSettings(precision=precision),
        ).step()  # fmt: skip
        return seen.trajectories.log_probs

    assert not torch.equal(acted("float32"), acted("bfloat16"))


def test_dropout_is_off_while_acting_and_learning():
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        policy = tiny_generator("lstm", dropout=0.5).train()
        seen = Fixed(lambda t: values_of(t, torch.ones(*t.mask.shape, 1)))
        make_algorithm(policy, seen, batch_size=20, **PLAIN).step()
        expected = policy.eval()
        found.append([p.grad.clone() for p in expected.parameters()])
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)
        assert one.abs().max() > 0.01


def test_the_reference_is_the_policy_at_the_start_and_not_at_the_building():
    policy = tiny_generator("lstm")
    algorithm = make_algorithm(policy, batch_size=8, learning_rate=0.1, kl_weight=0.5)
    with torch.no_grad():
        policy.head.bias.add_(torch.tensor([0.5, 0.0, -0.5]))  # as pre-training does
    algorithm.start()
    assert algorithm.step().metrics["policy/kl"] == pytest.approx(0.0, abs=1e-6)
    after_one_step = policy.head.bias.detach().clone()
    assert algorithm.step().metrics["policy/kl"] > 1e-4
    assert not torch.equal(algorithm.reference.head.bias, after_one_step)
    assert all(not p.requires_grad for p in algorithm.reference.parameters())


@pytest.mark.slow
def test_entropy_and_divergence_pull_as_they_say():
    def step_many(**settings):
        algorithm = make_algorithm(
            tiny_generator("lstm", scale=1.0), "rollouts", batch_size=64, learning_rate=0.02,
            reward=lambda batch: (batch.tokens == 1).float().sum(1), **settings,
        )  # fmt: skip
        algorithm.start()
        return [algorithm.step().metrics for _ in range(30)][-1]

    free, spread, near, far = (
        step_many(**settings)
        for settings in ({}, {"entropy_weight": 3.0}, {"kl_weight": 3.0}, {"kl_weight": 1e-6})
    )
    assert spread["policy/entropy"] > free["policy/entropy"] + 0.2
    assert 0 <= near["policy/kl"] < 0.2 * far["policy/kl"]


@pytest.mark.slow
def test_the_divergence_is_measured_now_and_then_even_without_weight():
    def steps(kl_weight):
        algorithm = make_algorithm(
            tiny_generator("lstm"), batch_size=32, learning_rate=0.05, kl_weight=kl_weight
        )
        algorithm.start()
        reads = []
        hidden = algorithm.reference.hidden
        algorithm.reference.hidden = lambda batch: reads.append(1) or hidden(batch)
        return [algorithm.step().metrics.get("policy/kl") for _ in range(2 * KL_INTERVAL + 1)], len(reads)

    found, reads = steps(0.0)
    assert [step for step, kl in enumerate(found) if kl is not None] == [0, KL_INTERVAL, 2 * KL_INTERVAL]
    assert reads == 3  # a forward pass of the reference for each, and for no other step
    weighted, reads = steps(1e-9)
    assert all(kl is not None for kl in weighted) and reads == 2 * KL_INTERVAL + 1
    torch.testing.assert_close(found[KL_INTERVAL], weighted[KL_INTERVAL], atol=1e-4, rtol=1e-2)
    assert found[KL_INTERVAL] > 1e-3


def test_entropy_and_divergence_are_means_over_tokens_where_the_loss_is_a_sum():
    def measure(reduction):
        policy = tiny_generator("lstm")
        none = Fixed(lambda t: values_of(t, torch.zeros(*t.mask.shape, 1)))
        settings = {**PLAIN, "reduction": reduction, "entropy_weight": 0.5, "kl_weight": 0.5}
        algorithm = make_algorithm(policy, none, eos_id=2, batch_size=20, **settings)
        algorithm.start()
        with torch.no_grad():
            policy.head.bias.add_(torch.tensor([0.5, 0.0, -0.5]))
        return algorithm.step().metrics, gradients(policy)

    (mean, of_mean), (total, of_sum) = measure("mean"), measure("sum")
    assert 0 < mean["policy/entropy"] < 1.1  # at most ln 3 in every token
    assert total["policy/entropy"] == mean["policy/entropy"]
    assert total["policy/kl"] == mean["policy/kl"] > 0
    torch.testing.assert_close(of_sum, of_mean)


def test_measuring_the_divergence_changes_no_step(monkeypatch):
    ends = []
    for interval in (1, 1000):
        monkeypatch.setattr(module, "KL_INTERVAL", interval)
        policy = tiny_generator("lstm")
        algorithm = make_algorithm(policy, "rollouts", batch_size=8, learning_rate=0.05)
        algorithm.start()
        for _ in range(3):
            algorithm.step()
        ends.append([p.detach() for p in policy.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*ends, strict=True))


@pytest.mark.parametrize("estimator", ["rollouts", "candidates", "returns"])
def test_state_is_complete(estimator):
    def build(policy, seed=0):
        random = rng(seed)
        options = {"rollouts": {"lag": 0.5, "baseline": "ewma"}, "candidates": {"num_candidates": 3}}
        options["returns"] = {"baseline": "ewma"}
        built = make_estimator(policy, estimator, random=random, **options[estimator])
        return Reinforce(
            ReinforceSettings(batch_size=8, learning_rate=0.05, kl_weight=0.1),
            policy=policy, estimator=built, sampling=SamplingSettings(), max_length=3, eos_id=None,
            rng=random,
        )  # fmt: skip

    one, two = tiny_generator("lstm"), tiny_generator("lstm", seed=5)
    first, second = build(one), build(two, seed=5)
    first.start()
    for _ in range(3):
        first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.estimator.load_state_dict(copy.deepcopy(first.estimator.state_dict()))
    two.load_state_dict(one.state_dict())
    second.rng.set_state(first.rng.get_state())
    reports = first.step(), second.step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert reports[0].metrics == reports[1].metrics
    assert second.num_steps == 4  # which says when a divergence without weight is measured


def test_the_log_tells_values_lengths_and_advantages():
    policy = tiny_generator("lstm")
    values = torch.randn(40, 3, 2, generator=rng(3))
    baseline = torch.randn(40, 3, 2, generator=rng(4))
    actions = torch.zeros(40, 3, 2, dtype=torch.long)
    estimator = Fixed(lambda t: dataclasses.replace(values_of(t, values, actions), baseline=baseline))
    report = make_algorithm(policy, estimator, eos_id=2, batch_size=40, whiten=False).step()
    mask = estimator.trajectories.mask
    assert 1 < mask.sum(1).float().mean() < 3
    lasts = [values[b, int(mask[b].sum()) - 1].mean() for b in range(40)]
    torch.testing.assert_close(report.metrics["reward/mean"], torch.stack(lasts).mean())
    torch.testing.assert_close(report.metrics["policy/length"], mask.sum(1).float().mean())
    torch.testing.assert_close(
        report.metrics["policy/advantage_std"], (values - baseline)[mask].std(correction=0)
    )
    assert torch.equal(report.histograms["policy/advantages"], (values - baseline)[mask].flatten())
    assert torch.equal(report.histograms["reward/action_values"], values[mask].flatten())
    assert not [name for name in report.metrics if "step_" in name]


def test_a_smaller_rate_makes_a_smaller_step():
    def moved(rate):
        policy = tiny_generator("lstm")
        before = policy.head.bias.detach().clone()
        make_algorithm(policy, batch_size=8, learning_rate=0.1).step(rate)
        return (policy.head.bias.detach() - before).abs().max()

    torch.testing.assert_close(moved(0.25), 0.25 * moved(1.0), atol=1e-5, rtol=1e-3)
    assert moved(0.0) == 0


def test_only_the_given_parameters_are_clipped_and_moved():
    policy = tiny_generator("lstm")
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}
    given = Reinforce(
        ReinforceSettings(batch_size=8, learning_rate=0.1, gradient_clip=1e-3, reduction="sum"),
        policy=policy,
        estimator=make_estimator(policy, "rollouts"),
        sampling=SamplingSettings(),
        max_length=3,
        eos_id=None,
        rng=rng(),
        parameters=[policy.head.bias],
    )
    report = given.step()
    moved = [name for name, p in policy.named_parameters() if not torch.equal(p, before[name])]
    assert moved == ["head.bias"]
    torch.testing.assert_close(policy.head.bias.grad.norm(), torch.tensor(1e-3), rtol=1e-2, atol=0)
    assert policy.head.weight.grad.norm() > 0.1  # neither clipped nor part of the norm
    assert report.metrics["policy/gradient_norm"] > 1e-2


def make_prompts(number=5):
    """Prompts of 1 to 3 tokens, with a column that says which is which."""
    mask = mask_from_lengths(torch.arange(number) % 3 + 1, 3)
    return TokenBatch(
        torch.arange(3 * number).view(number, 3) % 3, mask, columns={"row": list(range(number))}
    )


def prompted(algorithm=Reinforce, settings=ReinforceSettings, **options):
    policy, fixed = tiny_generator("lstm"), Fixed(lambda t: values_of(t, torch.ones(*t.tokens.shape, 1)))
    found = algorithm(
        settings(batch_size=12, group_size=4, **options),
        policy=policy,
        estimator=fixed,
        sampling=SamplingSettings(),
        eos_id=None,
        max_length=3,
        rng=rng(7),
        prompts=make_prompts(),
    )
    return found, fixed


def test_each_prompt_of_a_step_is_completed_by_a_group_and_others_come_in_other_steps():
    algorithm, fixed = prompted()
    seen = set()
    for _ in range(8):
        algorithm.step()
        batch = fixed.trajectories
        rows = batch.columns["row"]
        assert len(batch) == 12 and rows == [rows[n - n % 4] for n in range(12)]
        for row, source in enumerate(rows):
            assert torch.equal(batch.prompt.tokens[row], make_prompts().tokens[source])
        seen |= set(rows)
    assert seen == set(range(5))
    assert len({tuple(row) for row in batch.tokens[:4].tolist()}) > 1  # each completes it in its own way


def test_prompts_are_drawn_by_the_trainers_own_random_numbers():
    rows = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        algorithm, fixed = prompted()
        algorithm.step()
        rows.append(fixed.trajectories.columns["row"])
    assert rows[0] == rows[1]


@pytest.mark.parametrize("kind", ["reinforce", "ppo"])
def test_the_gradient_is_that_of_completions_behind_their_prompts(kind):
    """Against plain autograd over sequences read one by one."""
    classes = {"reinforce": (Reinforce, ReinforceSettings), "ppo": (PPO, PPOSettings)}
    options = {"learning_rate": 1e-9, "gradient_clip": 1e9, "whiten": False, "reduction": "sum"}
    algorithm, fixed = prompted(*classes[kind], **options | ({"epochs": 1} if kind == "ppo" else {}))
    values = torch.randn(12, 3, 1, generator=rng(3))
    fixed.answer = lambda trajectories: values_of(trajectories, values)
    algorithm.step()
    policy, batch = algorithm.policy, fixed.trajectories
    found = [parameter.grad.clone() for parameter in policy.parameters()]
    policy.zero_grad()
    for row in range(12):
        prompt = batch.prompt.tokens[row, batch.prompt.mask[row]]
        joined = torch.cat([prompt, batch.tokens[row]])[None]
        log_probs = policy.log_probs(TokenBatch(joined, torch.ones_like(joined).bool()))[0, len(prompt) :]
        (-(log_probs * values[row, :, 0]).sum()).backward()
    expected = [parameter.grad for parameter in policy.parameters()]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("sizes", "prompts", "message"),
    [
        ((10, 4), make_prompts(), "--algorithm.group-size: 4 does not divide --algorithm.batch-size 10"),
        ((12, 4), None, "--algorithm.group-size: 4 needs prompts, and the corpus has none; choose 1"),
    ],
)
def test_groups_that_cannot_be(sizes, prompts, message):
    with pytest.raises(ValueError) as error:
        Reinforce(
            ReinforceSettings(batch_size=sizes[0], group_size=sizes[1]),
            policy=tiny_generator("lstm"),
            estimator=Fixed(None),
            sampling=SamplingSettings(),
            eos_id=None,
            max_length=3,
            rng=rng(),
            prompts=prompts,
        )
    assert str(error.value) == message
