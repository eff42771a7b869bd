"""The oracle's log-ratio, by enumeration (V = 3, T = 3)."""

import pytest
import torch

from seqgan.rewards.oracle import OracleReward, OracleRewardSettings
from seqgan.rewards.reward import RewardsAlternatives
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.alternatives import score_by_step
from seqgan.text.token_batch import TokenBatch
from tests.references.enumeration import all_sequences, sequence_probabilities
from tests.tiny_models import KINDS, rng, tiny_generator

EOS = 2


def make(policy, oracle, *, temperature=1.0, **settings):
    sampling = SamplingSettings(temperature=temperature)
    return OracleReward(OracleRewardSettings(**settings), oracle=oracle, policy=policy, sampling=sampling)


@pytest.mark.parametrize("rows", [3, 8192])
@pytest.mark.parametrize("eos_id", [None, EOS])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_it_is_the_log_ratio_of_the_probabilities(monkeypatch, rows, eos_id, temperature):
    monkeypatch.setattr("seqgan.rewards.oracle.ROWS_PER_CHUNK", {"cpu": rows})
    policy, oracle = tiny_generator("lstm", seed=1, dropout=0.5), tiny_generator("transformer", seed=2)
    tokens, mask = all_sequences(3, 3, eos_id)
    of_policy = sequence_probabilities(policy.eval(), tokens, mask, temperature)
    expected = (sequence_probabilities(oracle.eval(), tokens, mask) / of_policy).log().float()
    policy.train()
    batch = TokenBatch(tokens, mask)
    found = make(policy, oracle, temperature=temperature)(batch)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    each = make(policy, oracle, temperature=temperature, per_token=True)(batch)
    assert each.shape == tokens.shape and (each[~mask] == 0).all()
    torch.testing.assert_close(each.sum(1), expected, atol=1e-5, rtol=1e-5)
    short = TokenBatch(tokens[:, :2], mask[:, :2])  # a token's ratio depends on those before it alone
    torch.testing.assert_close(
        make(policy, oracle, temperature=temperature, per_token=True)(short), each[:, :2]
    )


@pytest.mark.parametrize("eos_id", [None, EOS])
def test_alternatives_are_scored_as_prefixes_written_out(eos_id):
    policy, oracle = tiny_generator("lstm", seed=1), tiny_generator("lstm", seed=2)
    batch = TokenBatch(*all_sequences(3, 3, eos_id))
    alternatives = torch.randint(3, (*batch.tokens.shape, 4), generator=rng(3))
    reward = make(policy, oracle, temperature=0.7)
    assert isinstance(reward, RewardsAlternatives)
    expected = score_by_step(batch, alternatives, reward)
    torch.testing.assert_close(reward.of_alternatives(batch, alternatives), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_its_policy_gradient_is_that_of_the_divergence(kind):
    policy, oracle = tiny_generator(kind, seed=1).eval(), tiny_generator("lstm", seed=2).eval()
    tokens, mask = all_sequences(3, 3, None)
    batch = TokenBatch(tokens, mask)
    target = sequence_probabilities(oracle, tokens, mask).log()

    def gradient(objective):
        policy.zero_grad()
        log_probs = policy.log_probs(batch).sum(1).double()
        objective(log_probs).backward()
        return [parameter.grad.clone() for parameter in policy.parameters()]

    rewards = make(policy, oracle)(batch).double()
    found = gradient(lambda log_probs: (log_probs.detach().exp() * rewards * log_probs).sum())
    expected = gradient(lambda log_probs: -(log_probs.exp() * (log_probs - target)).sum())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_it_follows_the_policy_as_that_learns():
    policy, oracle = tiny_generator("lstm", seed=1), tiny_generator("lstm", seed=2)
    reward, batch = make(policy, oracle), TokenBatch(*all_sequences(3, 3, None))
    assert float(reward(batch).abs().max()) > 0.1
    policy.load_state_dict(oracle.state_dict())
    torch.testing.assert_close(reward(batch), torch.zeros(len(batch)), atol=1e-6, rtol=0)


def test_text_has_no_oracle(cli):
    message = cli.fails("train", "--preset", "tiny", "--run", "run", "--reward.kind", "oracle")
    assert "--reward.kind: oracle needs --corpus.kind oracle" in message
