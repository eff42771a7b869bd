"""The oracle task's metrics against exact enumeration of every sequence of a tiny vocabulary."""

import itertools
import math

import pytest
import torch

from seqgan.evaluation.oracle import OracleTask
from seqgan.oracle.model import load_oracle
from seqgan.sampling.sample import sample
from seqgan.text.masking import mask_from_tokens
from seqgan.text.token_batch import TokenBatch
from tests.seqgan.evaluation.test_likelihood import Bigram
from tests.shared_data import shared_data
from tests.tiny_models import whole

pytestmark = pytest.mark.slow

# Every probability is a multiple of 1/8, every sequence's of 1/512: 512 sequences are the exact distribution.
P = torch.tensor([[5, 2, 1], [1, 3, 4], [2, 5, 1], [1, 2, 5]]) / 8
Q = torch.tensor([[3, 4, 1], [2, 1, 5], [4, 2, 2], [3, 4, 1]]) / 8
EOS = 2


def probability(table, sequence):
    return math.prod(table[last, t].item() for last, t in zip([3, *sequence], sequence, strict=False))


def all_sequences(eos_id):
    """Every sequence of up to three tokens, each once, cut behind its first EOS."""
    triples = itertools.product(range(3), repeat=3)
    if eos_id is None:
        return list(triples)
    return sorted({t[: t.index(eos_id) + 1] if eos_id in t else t for t in triples})


def exact_set(table, eos_id):
    """The 512 sequences that hold each one as often as its probability says, as one batch."""
    rows = [s for s in all_sequences(eos_id) for _ in range(round(512 * probability(table, s)))]
    assert len(rows) == 512
    tokens = torch.tensor([[*row, 3, 3][:3] for row in rows])
    return TokenBatch(tokens, mask_from_tokens(tokens, eos_id))


def expectation(table, function, eos_id):
    return sum(probability(table, s) * function(s) for s in all_sequences(eos_id))


@pytest.mark.parametrize("eos_id", [None, EOS])
def test_all_metrics_equal_enumeration(eos_id):
    samples, test = exact_set(Q, eos_id), exact_set(P, eos_id)
    task = OracleTask(Bigram(P), test, batch_size=10)
    metrics = {name: e.value for name, e in task.score(Bigram(Q), samples).items()}

    def per_token(table, function):
        return expectation(table, function, eos_id) / expectation(table, len, eos_id)

    kl_q_p = per_token(Q, lambda s: math.log(probability(Q, s) / probability(P, s)))
    kl_p_q = per_token(P, lambda s: math.log(probability(P, s) / probability(Q, s)))
    assert kl_q_p != pytest.approx(kl_p_q, rel=0.01)

    def to_mixture(table):
        mixture = [(probability(P, s) + probability(Q, s)) / 2 for s in sequences]
        own = [probability(table, s) for s in sequences]
        return sum(a * math.log(a / m) for a, m in zip(own, mixture, strict=True))

    sequences = all_sequences(eos_id)
    assert metrics == pytest.approx(
        {
            "nll_oracle": per_token(Q, lambda s: -math.log(probability(P, s))),
            "entropy": per_token(Q, lambda s: -math.log(probability(Q, s))),
            "nll_test": per_token(P, lambda s: -math.log(probability(Q, s))),
            "kl_q_p": kl_q_p,
            "kl_p_q": kl_p_q,
            "jeffreys": kl_q_p + kl_p_q,
            "jensen_shannon": (to_mixture(P) + to_mixture(Q)) / 2,
        },
        rel=1e-6,
    )


@pytest.mark.parametrize("eos_id", [None, EOS])
def test_the_floor_of_the_divergences_is_zero(eos_id):
    own = exact_set(P, eos_id)
    floor = OracleTask(Bigram(P), own).floor(own)
    for name in ("kl_q_p", "kl_p_q", "jeffreys", "jensen_shannon"):
        assert floor[name].value == floor[name].standard_error == 0
    assert floor["nll_oracle"] == floor["entropy"] == floor["nll_test"]


def test_jensen_shannon_ends_at_ln_2_however_far_apart_the_densities_are():
    never = torch.tensor([[1.0, 1e-30, 1e-30]] * 4)
    always = never.flip(1)
    sets = [whole(torch.full((4, 3), token)) for token in (0, 2)]
    value = OracleTask(Bigram(never), sets[0]).score(Bigram(always), sets[1])["jensen_shannon"]
    assert value.value == pytest.approx(math.log(2), rel=1e-12)
    assert value.standard_error == 0


def test_cooling_lowers_the_oracle_nll_but_not_jeffreys():
    test = exact_set(P, None)
    task = OracleTask(Bigram(P), test)
    cooled = P.pow(3) / P.pow(3).sum(1, keepdim=True)
    draws = sample(Bigram(P), 2000, 3, eos_id=None, rng=torch.Generator().manual_seed(0), temperature=1 / 3)
    metrics = task.score(Bigram(P), draws, temperature=1 / 3)
    floor = task.floor(test)
    assert metrics["nll_oracle"].value < floor["nll_oracle"].value - 0.1
    assert metrics["jeffreys"].value > 0.1
    same = task.score(Bigram(cooled), draws)  # one generator, said in two ways
    for name, estimate in metrics.items():
        assert estimate.value == pytest.approx(same[name].value, abs=1e-5)


def test_estimates_from_samples_keep_to_their_standard_errors():
    oracle, generator = Bigram(P), Bigram(Q)
    exact = OracleTask(oracle, exact_set(P, EOS)).score(generator, exact_set(Q, EOS))
    rng = torch.Generator().manual_seed(1)
    drawn = []
    for _ in range(100):
        test, samples = (sample(g, 200, 3, eos_id=EOS, rng=rng) for g in (oracle, generator))
        drawn.append(OracleTask(oracle, test).score(generator, samples))
    for name, estimate in exact.items():
        errors = torch.tensor([(d[name].value - estimate.value) / d[name].standard_error for d in drawn])
        assert abs(errors.mean()) < 0.45 and 0.75 < errors.std() < 1.3, name


def test_the_official_oracle_scores_its_own_samples():
    """5.7547 ± 0.0054 nats per token (20,000 sequences elsewhere); here two thousand, seeded."""
    oracle = load_oracle(shared_data("seqgan_oracle.npz"))
    own, test = (sample(oracle, 2000, 20, eos_id=None, rng=torch.Generator().manual_seed(s)) for s in (1, 2))
    floor = OracleTask(oracle, test).floor(own)
    assert floor["nll_oracle"].value == pytest.approx(5.7547, abs=4 * floor["nll_oracle"].standard_error)
    assert floor["nll_test"].value == pytest.approx(5.7547, abs=4 * floor["nll_test"].standard_error)
    assert 0.005 < floor["nll_oracle"].standard_error < 0.02
    assert floor["jeffreys"].value == 0
