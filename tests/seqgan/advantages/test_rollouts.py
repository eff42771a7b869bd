import copy
import dataclasses
from contextlib import contextmanager

import pytest
import torch

from seqgan.advantages.rollouts import Rollouts, RolloutsSettings, estimate_action_values
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.masking import mask_from_lengths, mask_from_tokens
from seqgan.text.token_batch import TokenBatch
from tests.references.enumeration import all_sequences, exact_action_values, sequence_probabilities
from tests.tiny_models import EVERY_KIND, HIERARCHICAL_KINDS, KINDS, rng, tiny_generator, whole


def arbitrary_reward(batch):
    """Different for every sequence, and blind behind the mask."""
    tokens, mask = batch.tokens, batch.mask
    places = 1 + torch.arange(tokens.shape[1])
    return torch.where(mask, (tokens + 1) * places.square() % 7 + 0.1 * tokens, 0).sum(1) / 10


@pytest.mark.slow
@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_action_values_are_those_of_enumeration(kind, eos_id):
    policy = tiny_generator(kind, 3).eval()
    tokens, mask = all_sequences(3, 3, eos_id)
    exact = exact_action_values(policy, tokens, mask, arbitrary_reward, eos_id)
    num_rollouts = 4000
    estimate = estimate_action_values(
        policy,
        TokenBatch(tokens, mask),
        arbitrary_reward,
        num_rollouts=num_rollouts,
        eos_id=eos_id,
        rng=rng(),
    )
    bound = 5 * 0.8 / num_rollouts**0.5  # five standard errors of rewards that spread by 0.8 at most
    torch.testing.assert_close(estimate, exact, atol=bound, rtol=0)
    assert (estimate[~mask] == 0).all()
    last = mask.sum(1, keepdim=True) - 1
    torch.testing.assert_close(estimate.gather(1, last)[:, 0], arbitrary_reward(TokenBatch(tokens, mask)))
    assert (
        exact[:, 0] - arbitrary_reward(TokenBatch(tokens, mask))
    ).abs().max() > 5 * bound  # the bound is narrow enough


@pytest.mark.slow
@pytest.mark.parametrize("interval", [2, 3])
@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("num_steps", [3, 4])
def test_action_values_at_an_interval_are_unbiased(num_steps, eos_id, interval):
    """Averaged over all sequences that begin alike, they are the value of that beginning."""
    policy = tiny_generator("lstm", 3).eval()
    tokens, mask = all_sequences(3, num_steps, eos_id)
    weights = sequence_probabilities(policy, tokens, mask)
    exact = exact_action_values(policy, tokens, mask, arbitrary_reward, eos_id)
    estimate = estimate_action_values(
        policy,
        TokenBatch(tokens, mask),
        arbitrary_reward,
        num_rollouts=2500,
        interval=interval,
        eos_id=eos_id,
        rng=rng(),
    )
    means = torch.zeros_like(exact)
    for b, t in mask.nonzero().tolist():
        same = (tokens[:, : t + 1] == tokens[b, : t + 1]).all(1) & mask[:, t]
        means[b, t] = (weights * estimate[:, t])[same].sum() / weights[same].sum()
    bound = 5 * 0.8 / 2500**0.5
    torch.testing.assert_close(means, exact, atol=bound, rtol=0)
    assert (estimate - exact).abs().max() > 2 * bound  # one by one they are not
    assert (estimate[~mask] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("interval", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("eos_id", [None, 2])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_deterministic_policy_has_exact_action_values(kind, eos_id, interval):
    policy = tiny_generator(kind, 6).eval()
    given = sample(policy, 12, 7, eos_id=eos_id, rng=rng(3))
    values = estimate_action_values(
        policy,
        given,
        arbitrary_reward,
        num_rollouts=2,
        interval=interval,
        temperature=0.0,
        eos_id=eos_id,
        rng=rng(),
    )
    naive = torch.zeros(12, 7)
    for b in range(12):
        for t in range(int(given.mask[b].sum())):
            completed = given.tokens[b : b + 1].clone()
            visited = next(n for n in range(t + 1, 99) if n % interval == 0)
            if visited < given.mask[b].sum():
                for step in range(visited, 7):
                    completed[:, step] = policy(whole(completed))[:, step].argmax(-1)
            mask = mask_from_tokens(completed, eos_id)
            naive[b, t] = arbitrary_reward(TokenBatch(completed, mask))
    torch.testing.assert_close(values, naive)
    assert len(naive[given.mask].unique()) > 5


def test_an_interval_beyond_the_end_needs_no_rollouts():
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 10, 6, eos_id=5, rng=rng(2))
    final = torch.where(given.mask, arbitrary_reward(given)[:, None], 0.0)
    for interval in (6, 7, 100):
        reward = PrefixReward(arbitrary_reward)
        values = estimate_action_values(policy, given, reward, interval=interval, eos_id=5, rng=rng())
        assert torch.equal(values, final)
        assert len(reward.calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_action_values_agree_with_one_prefix_at_a_time(kind):
    policy = tiny_generator(kind, 8, forbidden=(0,)).eval()
    given = sample(policy, 3, 5, eos_id=1, rng=rng(5))
    num_rollouts = 2000
    values = estimate_action_values(
        policy, given, arbitrary_reward, num_rollouts=num_rollouts, eos_id=1, rng=rng()
    )
    for b in range(3):
        for t in range(int(given.mask[b].sum())):
            tokens = given.tokens[b : b + 1, : t + 1].expand(num_rollouts, -1)
            if t < 4:
                rest = sample(policy, num_rollouts, 4 - t, eos_id=1, rng=rng(b), prompt=whole(tokens))
                tokens = torch.cat([tokens, rest.tokens], 1)
            rewards = arbitrary_reward(TokenBatch(tokens, mask_from_tokens(tokens, 1)))
            bound = 5 * (2 / num_rollouts) ** 0.5 * rewards.std() + 1e-5
            assert abs(values[b, t] - rewards.mean()) < bound


class PrefixReward:
    """Keeps all that it is given; rewards a sequence by its first token, which names its row of the batch."""

    def __init__(self, reward=lambda batch: batch.tokens[:, 0].float()):
        self.reward = reward
        self.calls = []

    def __call__(self, batch):
        assert not torch.is_grad_enabled()
        self.calls.append((batch.tokens, batch.mask))
        return self.reward(batch)


@pytest.mark.slow
@pytest.mark.parametrize("interval", [1, 2, 3])
@pytest.mark.parametrize("max_rows", [1, 10, 10_000])
@pytest.mark.parametrize("eos_id", [None, 7])
@pytest.mark.parametrize("kind", [*KINDS, "leakgan"])
def test_every_completion_keeps_its_prefix_exactly(kind, eos_id, max_rows, interval):
    policy = tiny_generator(kind, 8)
    tokens = torch.randint(1, 7, (5, 6), generator=rng())
    tokens[:, 0] = torch.arange(1, 6)
    tokens[1, 2] = tokens[3, 5] = 7
    mask = mask_from_tokens(tokens, eos_id)
    reward = PrefixReward()
    values = estimate_action_values(
        policy, TokenBatch(tokens, mask), reward, num_rollouts=3, interval=interval, eos_id=eos_id, pad_id=6,
        max_rows=max_rows, rng=rng(),
    )  # fmt: skip
    expected = torch.where(
        mask, tokens[:, :1].float(), 0.0
    )  # each row its own, at every step: nothing is scrambled
    assert torch.equal(values, expected)
    (whole, whole_mask), (completions, completion_masks) = reward.calls
    assert torch.equal(whole, torch.where(mask, tokens, 6))
    assert torch.equal(whole_mask, mask)
    lengths = range(interval, 6, interval)
    prefixes = [tokens[b, :length] for b in range(5) for length in lengths if mask[b, length]]
    assert len(completions) == 3 * len(prefixes)
    for number, (completion, completion_mask) in enumerate(zip(completions, completion_masks, strict=True)):
        prefix = prefixes[number // 3]
        assert torch.equal(completion[: len(prefix)], prefix)
        assert completion_mask[: len(prefix) + 1].all()
    assert torch.equal(completion_masks, mask_from_tokens(completions, eos_id))
    assert (completions[~completion_masks] == 6).all()
    shortest = torch.tensor([len(p) for p in prefixes]).repeat_interleave(3) == interval
    drawn = completions[shortest, interval:]
    assert len(drawn.unique(dim=0)) > 3  # and all go on in their own way


@pytest.mark.slow
@pytest.mark.parametrize("interval", [1, 2, 4])
@pytest.mark.parametrize("eos_id", [None, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_the_chunk_setting_changes_nothing(kind, eos_id, interval, monkeypatch):
    policy = tiny_generator(kind, 20)
    given = sample(policy, 9, 6, eos_id=eos_id, rng=rng(5))
    arguments = {"num_rollouts": 4, "interval": interval, "eos_id": eos_id}
    whole = estimate_action_values(policy, given, arbitrary_reward, rng=rng(), **arguments)
    for max_rows in (1, 7, 50):
        monkeypatch.setattr("seqgan.advantages.rollouts.SCORED_ROWS", max_rows)
        parts = estimate_action_values(
            policy, given, arbitrary_reward, rng=rng(), max_rows=max_rows, **arguments
        )
        torch.testing.assert_close(parts, whole)


@pytest.mark.slow
@pytest.mark.parametrize("kind", HIERARCHICAL_KINDS)
def test_the_chunk_setting_changes_nothing_for_a_hierarchy(kind):
    policy = tiny_generator(kind, 20)
    given = sample(policy, 5, 6, eos_id=1, rng=rng(5))
    whole, parts = (
        estimate_action_values(
            policy, given, arbitrary_reward, num_rollouts=4, interval=2, max_rows=max_rows,
            eos_id=1, rng=rng(),
        )
        for max_rows in (4096, 7)
    )  # fmt: skip
    torch.testing.assert_close(parts, whole)


@pytest.mark.slow
@pytest.mark.parametrize("max_rows", [1, 10, 50, 100])
def test_the_chunk_setting_bounds_the_rows(max_rows, monkeypatch):
    policy = tiny_generator("lstm", 20)
    tokens = torch.randint(0, 20, (9, 6), generator=rng())
    rows = []
    advance = policy.advance
    monkeypatch.setattr(policy, "advance", lambda t, state: rows.append(len(t)) or advance(t, state))
    estimate_action_values(
        policy, whole(tokens), arbitrary_reward, num_rollouts=4, eos_id=None, max_rows=max_rows, rng=rng()
    )
    sequences = max(1, max_rows // 20)
    assert max(rows) <= max(max_rows, 5) + sequences


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_what_lies_behind_the_mask_does_not_matter(kind):
    policy = tiny_generator(kind, 8)
    given = sample(policy, 10, 6, eos_id=5, rng=rng(2))
    assert 0 < given.mask[:, -1].sum() < 10
    other = torch.where(given.mask, given.tokens, 3)
    first, second = (
        estimate_action_values(
            policy, TokenBatch(t, given.mask), arbitrary_reward, num_rollouts=3, eos_id=5, rng=rng()
        )
        for t in (given.tokens, other)
    )
    assert torch.equal(first, second)


def test_rollouts_are_without_dropout_and_gradient_and_restore_the_mode():
    policy = tiny_generator("transformer", 9, dropout=0.5).train()
    tokens = torch.randint(0, 9, (3, 5), generator=rng())
    mask = torch.ones_like(tokens).bool()
    first = estimate_action_values(
        policy, TokenBatch(tokens, mask), arbitrary_reward, num_rollouts=3, eos_id=None, rng=rng()
    )
    assert policy.training
    assert all(module.training for module in policy.modules())
    assert not first.requires_grad
    policy.eval()
    second = estimate_action_values(
        policy, TokenBatch(tokens, mask), arbitrary_reward, num_rollouts=3, eos_id=None, rng=rng()
    )
    assert torch.equal(first, second)


def test_sequences_of_one_token_need_no_rollouts():
    policy = tiny_generator("lstm", 9)
    tokens = torch.tensor([[3], [4]])
    values = estimate_action_values(
        policy, TokenBatch(tokens, torch.ones_like(tokens).bool()), PrefixReward(), eos_id=None, rng=rng()
    )
    assert values.tolist() == [[3.0], [4.0]]


def test_ended_branches_are_not_read_on(monkeypatch):
    policy = tiny_generator("lstm", 9)
    policy.head.bias.data[4] = 100.0  # EOS at once
    rows = []
    advance = policy.advance
    monkeypatch.setattr(policy, "advance", lambda t, state: rows.append(len(t)) or advance(t, state))
    tokens = torch.randint(0, 4, (3, 5), generator=rng())
    mask = torch.ones_like(tokens).bool()
    estimate_action_values(
        policy, TokenBatch(tokens, mask), arbitrary_reward, num_rollouts=3, eos_id=4, rng=rng()
    )
    assert rows == [3] * 5


def test_branches_of_ended_prefixes_never_start(monkeypatch):
    policy = tiny_generator("lstm", 9, forbidden=(4,))
    tokens = torch.tensor([[1, 4, 0, 0, 0], [1, 2, 3, 4, 0], [4, 0, 0, 0, 0]])
    rows = []
    advance = policy.advance
    monkeypatch.setattr(policy, "advance", lambda t, state: rows.append(len(t)) or advance(t, state))
    estimate_action_values(
        policy,
        TokenBatch(tokens, tokens.cumsum(1) > -1),
        arbitrary_reward,
        num_rollouts=2,
        eos_id=4,
        rng=rng(),
    )
    assert rows == [3, 3, 9, 15, 21]  # a mask without an end: all start
    rows.clear()
    mask = mask_from_tokens(tokens, 4)
    estimate_action_values(
        policy, TokenBatch(tokens, mask), arbitrary_reward, num_rollouts=2, eos_id=4, rng=rng()
    )
    assert rows == [3, 3, 7, 9, 11]
    rows.clear()
    estimate_action_values(
        policy, TokenBatch(tokens, mask), arbitrary_reward, num_rollouts=2, interval=2, eos_id=4, rng=rng()
    )
    assert rows == [3, 3, 3, 5, 5]  # the prefix of two tokens of the second alone


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_static_shapes_give_the_same_values(kind, monkeypatch):
    """As on a GPU: nothing leaves the batch, and every branch starts."""
    policy = tiny_generator(kind, 8)
    given = sample(policy, 10, 6, eos_id=5, rng=rng(2))
    compact = estimate_action_values(policy, given, arbitrary_reward, num_rollouts=3, eos_id=5, rng=rng())
    monkeypatch.setattr("seqgan.runtime.devices.static_shapes", lambda tensor: True)
    rows = []
    advance = policy.advance
    monkeypatch.setattr(policy, "advance", lambda t, state: rows.append(len(t)) or advance(t, state))
    again = sample(policy, 10, 6, eos_id=5, rng=rng(2))
    assert torch.equal(again.tokens, given.tokens)
    assert rows == [10] * 6
    rows.clear()
    static = estimate_action_values(policy, given, arbitrary_reward, num_rollouts=3, eos_id=5, rng=rng())
    assert rows == [10, *range(10, 160, 30)]
    torch.testing.assert_close(static, compact)


def test_the_generator_is_prepared_for_as_long_as_it_is_read(monkeypatch):
    policy = tiny_generator("lstm", 8)
    prepared, read = [], []

    @contextmanager
    def prepare(precision):
        assert not torch.is_grad_enabled()
        prepared.append(precision)
        yield
        prepared.append("over")

    advance = policy.advance
    monkeypatch.setattr(policy, "prepared", prepare)
    monkeypatch.setattr(policy, "advance", lambda *given: read.append(tuple(prepared)) or advance(*given))
    given = sample(policy, 5, 4, eos_id=None, batch_size=2, precision="bfloat16", rng=rng())
    assert set(read) == {("bfloat16",)}
    assert prepared == ["bfloat16", "over"]
    prepared.clear()
    read.clear()
    options = {"num_rollouts": 2, "max_rows": 4, "eos_id": None, "precision": "bfloat16"}
    estimate_action_values(policy, given, arbitrary_reward, **options, rng=rng())
    assert set(read) == {("bfloat16",)}
    assert prepared == ["bfloat16", "over"]


def test_bfloat16_changes_the_values_little():
    policy = tiny_generator("lstm", 30).eval()
    given = sample(policy, 4, 5, eos_id=None, rng=rng(5))
    exact, rounded = (
        estimate_action_values(
            policy,
            given,
            arbitrary_reward,
            num_rollouts=500,
            eos_id=None,
            rng=rng(),
            precision=p,
        )
        for p in ("float32", "bfloat16")
    )
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, atol=0.15, rtol=0)


def test_completions_keep_prompt_and_columns_of_their_sequence():
    policy = tiny_generator("lstm", 8)
    tokens = torch.randint(0, 8, (4, 5), generator=rng())
    tokens[:, 0] = torch.arange(4)  # the first token names the row
    mask = mask_from_tokens(tokens, 7)
    columns = {"name": ["zero", "one", "two", "three"]}
    prompt = TokenBatch(torch.arange(4)[:, None] + 4, torch.ones(4, 1, dtype=torch.bool))
    sizes = []

    def names(batch):
        rows = batch.tokens[:, 0].tolist()
        assert batch.columns["name"] == [columns["name"][row] for row in rows]
        assert (batch.prompt.tokens[:, 0] - 4).tolist() == rows
        sizes.append(len(batch))
        return torch.zeros(len(batch))

    given = TokenBatch(tokens, mask, prompt=prompt, columns=columns)
    estimate_action_values(policy, given, names, num_rollouts=3, eos_id=7, rng=rng())
    assert sizes == [4, 3 * int(mask[:, 1:].sum())]


@pytest.mark.slow
@pytest.mark.parametrize("interval", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_completions_go_on_from_their_prompt(kind, interval):
    """A deterministic policy behind prompts of unequal length, against one sequence at a time."""
    policy = tiny_generator(kind, 6).eval()
    prompt = TokenBatch(
        torch.tensor([[1, 2, 3], [4, 0, 0], [5, 5, 0], [3, 1, 0]]),
        mask_from_lengths(torch.tensor([3, 1, 2, 2]), 3),
    )
    given = sample(policy, 4, 5, eos_id=None, rng=rng(3), prompt=prompt)
    values = estimate_action_values(
        policy,
        given,
        arbitrary_reward,
        num_rollouts=2,
        interval=interval,
        temperature=0.0,
        eos_id=None,
        rng=rng(),
    )
    for row in range(4):
        alone = TokenBatch(
            given.tokens[row : row + 1], given.mask[row : row + 1], prompt=prompt.select(slice(row, row + 1))
        )
        for t in range(5):
            completed = alone.tokens.clone()
            begin = next(n for n in range(t + 1, 99) if n % interval == 0)
            for step in range(begin, 5):
                completed[:, step] = policy(dataclasses.replace(alone, tokens=completed))[:, step].argmax(-1)
            expected = arbitrary_reward(TokenBatch(completed, alone.mask))
            torch.testing.assert_close(values[row, t : t + 1], expected)


def test_a_reward_of_tokens_is_refused():
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 4, 5, eos_id=None, rng=rng())
    with pytest.raises(ValueError, match="choose --estimator.kind returns"):
        estimate_action_values(policy, given, lambda batch: batch.mask.float(), eos_id=None, rng=rng())


def make_rollouts(policy, sampling=None, **settings):
    return Rollouts(
        RolloutsSettings(**{"num_rollouts": 2} | settings),
        policy=policy,
        reward=arbitrary_reward,
        sampling=SamplingSettings(**sampling or {}),
        eos_id=5,
        pad_id=0,
        rng=rng(7),
    )


@pytest.mark.parametrize(
    ("sampling", "settings", "expected"),
    [
        ({"temperature": 0.4}, {}, {"temperature": 0.4}),  # completions are as hot as the policy acts
        ({"temperature": 0.4}, {"temperature": 0.0}, {"temperature": 0.0}),
        ({"precision": "bfloat16"}, {}, {"precision": "bfloat16"}),
        ({}, {"num_rollouts": 5}, {"num_rollouts": 5}),
        ({}, {"interval": 2}, {"interval": 2}),
    ],
)
def test_every_setting_reaches_the_search(sampling, settings, expected):
    policy = tiny_generator("lstm", 30)
    given = sample(policy, 20, 6, eos_id=5, rng=rng(2))
    found = make_rollouts(policy, sampling, **settings)(policy, given)
    options = {"num_rollouts": 2, "eos_id": 5, "pad_id": 0}
    wanted, plain = (
        estimate_action_values(policy, given, arbitrary_reward, **options | changes, rng=rng(7))
        for changes in (expected, {})
    )
    assert torch.equal(found.values[..., 0], wanted)
    assert not torch.equal(wanted, plain)
    assert torch.equal(found.actions[..., 0], given.tokens)
    assert torch.equal(found.mask, given.mask)


def test_the_baseline_is_the_one_asked_for():
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 6, 6, eos_id=5, rng=rng(2))
    others = make_rollouts(policy)(policy, given)
    sums = others.values.sum(0) - others.values  # the mean over the other sequences that reach the step
    counts = (given.mask.sum(0) - given.mask.int())[..., None]
    inside = given.mask[..., None] & (counts > 0)
    torch.testing.assert_close(others.baseline[inside], (sums / counts)[inside])
    assert (make_rollouts(policy, baseline="none")(policy, given).baseline == 0).all()
    running = make_rollouts(policy, baseline="ewma", baseline_decay=0.5)
    assert (running(policy, given).baseline == 0).all()
    expected = others.values[given.mask].mean()
    torch.testing.assert_close(running(policy, given).baseline, expected.expand(6, 6, 1))
    prefix = make_rollouts(policy, baseline="prefix", interval=2)(policy, given)
    pairs = prefix.values[:, :4:2]  # of the prefixes of 2 and 4 tokens, which the two actions behind continue
    torch.testing.assert_close(prefix.baseline[:, 2:], pairs.repeat_interleave(2, 1))


def test_the_rollout_policy_lags_behind_and_starts_as_the_policy():
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 6, 6, eos_id=5, rng=rng(2))
    rollouts = make_rollouts(policy, lag=0.75)
    parameters = list(policy.parameters())
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(0.1)  # as pre-training does
    rollouts.start()
    old = copy.deepcopy(policy)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(1.0)  # as a policy step does
    estimated = rollouts.estimate(policy, given)
    assert torch.equal(estimated, make_rollouts(old).estimate(old, given))  # not those of the policy now
    assert not torch.equal(estimated, make_rollouts(policy).estimate(policy, given))
    assert rollouts.learn(given, rollouts(policy, given)) == {}
    for ours, before, now in zip(
        rollouts.rollout_policy.parameters(), old.parameters(), parameters, strict=True
    ):
        torch.testing.assert_close(ours, 0.75 * before + 0.25 * now)
    assert make_rollouts(policy).rollout_policy is policy


def test_the_state_of_rollouts_is_complete():
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 6, 6, eos_id=5, rng=rng(2))
    settings = {"lag": 0.5, "baseline": "ewma"}
    first, second = (
        make_rollouts(policy, **settings),
        make_rollouts(tiny_generator("lstm", 8, seed=3), **settings),
    )
    with torch.no_grad():
        policy.head.bias[:4].add_(3.0)
    first.learn(given, first(policy, given))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    first.rng.manual_seed(1)
    second.rng.manual_seed(1)
    ours, theirs = first(policy, given), second(policy, given)
    assert torch.equal(ours.values, theirs.values)
    assert not torch.equal(ours.values, make_rollouts(policy).estimate(policy, given)[..., None])
    assert torch.equal(ours.baseline, theirs.baseline)
    assert (ours.baseline != 0).any()
