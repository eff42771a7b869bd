"""Candidates: where they are drawn from, what they are worth, what they are compared with."""

import dataclasses

import pytest
import torch

from seqgan.advantages.candidates import Candidates, CandidatesSettings, candidate_values
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.token_batch import TokenBatch
from tests.tiny_models import KINDS, rng, tiny_generator


def length_and_last(batch):
    return batch.tokens[:, -1] + 10.0 * batch.tokens.shape[1]


def make_candidates(number, reward=length_and_last, **sampling):
    return Candidates(
        CandidatesSettings(num_candidates=number),
        reward=reward,
        sampling=SamplingSettings(**sampling),
        rng=rng(3),
    )


def test_each_is_judged_as_the_last_token_of_its_prefix():
    tokens = torch.tensor([[1, 2, 0], [2, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    candidates = torch.tensor([[[0, 1], [2, 1], [1, 2]], [[2, 0], [1, 1], [0, 0]]])
    seen = []

    def ends(batch):
        assert not torch.is_grad_enabled()
        seen.append(batch.tokens[batch.mask.all(1)].tolist())
        return length_and_last(batch)

    values = candidate_values(TokenBatch(tokens, mask), candidates, ends)
    assert seen == [[[0], [1], [2], [0]], [[1, 2], [1, 1]], [[1, 2, 1], [1, 2, 2]]]
    assert values.tolist() == [[[10, 11], [22, 21], [31, 32]], [[12, 10], [0, 0], [0, 0]]]


def test_static_shapes_give_the_same_values(monkeypatch):
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 10, 6, eos_id=5, rng=rng(2))
    candidates = torch.randint(0, 8, (10, 6, 3), generator=rng(4))

    def ends(batch):
        return torch.where(batch.mask, batch.tokens, 0).sum(1).float()

    compact = candidate_values(given, candidates, ends)
    monkeypatch.setattr("seqgan.runtime.devices.static_shapes", lambda tensor: True)
    assert torch.equal(candidate_values(given, candidates, ends), compact)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_drawn_from_the_policy_at_the_temperature_at_which_it_acts(kind, temperature):
    """Frequencies of 20,000 draws after every prefix against the policy's own probabilities."""
    policy, number = tiny_generator(kind, 4).eval(), 20_000
    tokens = torch.tensor([[0, 1, 2], [3, 3, 1]])
    batch = TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))
    drawn = make_candidates(number, temperature=temperature).draw(policy, batch)
    found = torch.stack([(drawn == token).float().mean(-1) for token in range(4)], -1)
    logits = policy(batch).detach()
    expected = (logits / temperature).softmax(-1)
    bound = 5 * (expected * (1 - expected) / number).sqrt() + 1e-6
    assert ((found - expected).abs() < bound).all()
    for other in {0.5, 1.0, 2.0} - {temperature}:  # narrow enough to tell the temperatures apart
        assert ((found - (logits / other).softmax(-1)).abs() > bound).any()


def test_the_precision_of_sampling_reaches_the_draw():
    policy, batch = (
        tiny_generator("lstm", 200),
        sample(tiny_generator("lstm", 200), 20, 6, eos_id=None, rng=rng()),
    )
    exact, rounded = (make_candidates(50, precision=p).draw(policy, batch) for p in ("float32", "bfloat16"))
    assert 0 < (exact != rounded).float().mean() < 0.2


def test_values_and_baseline_belong_to_the_candidates():
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 10, 6, eos_id=5, rng=rng(2))
    found = make_candidates(4)(policy, given)
    assert found.actions.shape == (10, 6, 4)
    expected = found.actions + 10.0 * torch.arange(1, 7)[:, None]
    assert torch.equal(found.values[given.mask], expected[given.mask])
    assert (found.values[~given.mask] == 0).all()
    for k in range(4):
        others = [j for j in range(4) if j != k]
        torch.testing.assert_close(found.baseline[..., k], found.values[..., others].mean(-1))


def test_a_reward_of_tokens_is_refused():
    policy = tiny_generator("lstm", 8)
    given = sample(policy, 4, 5, eos_id=None, rng=rng())
    with pytest.raises(ValueError, match="choose --estimator.kind returns"):
        make_candidates(2, lambda batch: batch.mask.float())(policy, given)


def test_columns_belong_to_the_sequence_of_the_candidate():
    tokens = torch.tensor([[1, 2, 0], [2, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    seen = []
    candidate_values(
        TokenBatch(tokens, mask, columns={"name": ["one", "two"]}),
        torch.zeros(2, 3, 2, dtype=torch.long),
        lambda batch: seen.append(batch.columns["name"]) or torch.zeros(len(batch)),
    )
    assert seen == [["one", "one", "two", "two"], ["one", "one"], ["one", "one"]]


def test_every_setting_acts():
    """What belongs to rollouts and their baselines is no setting of candidates."""
    assert {field.name for field in dataclasses.fields(CandidatesSettings)} == {
        "kind",
        "control",
        "num_candidates",
    }
