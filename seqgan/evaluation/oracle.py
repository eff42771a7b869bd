"""Divergences from a known data distribution: the oracle task (Yu et al. 2017, section 4).

With the data p an explicit oracle and the generator q explicit too, both directions are measured::

    KL(q‖p) = NLL-oracle − H(q)      over the generator's samples
    KL(p‖q) = NLL-test − H(p)        over held-out samples of the oracle
    Jeffreys = KL(q‖p) + KL(p‖q)
    JS       = ½ KL(p‖m) + ½ KL(q‖m)  over both, m = ½ (p + q) being their mixture

NLL-oracle alone rewards a generator for dropping what it is unsure of, and falls by cooling its
softmax; Jeffreys does not. These are in nats per token; Jensen–Shannon is that of whole sequences, in
nats, and nears its maximum ln 2 where a judge who knows p and q can tell them apart. Each divergence
is a mean of log-ratios on the same sequences, so that what both densities have in common adds
nothing to its standard error.
"""

import math

from jaxtyping import Float64
from torch import Tensor
from torch.nn import functional

from seqgan.evaluation.likelihood import per_token, sequence_nll
from seqgan.evaluation.signature import Estimate
from seqgan.models.generator import Generator
from seqgan.text.token_batch import TokenBatch


class OracleTask:
    """An oracle with held-out samples of it, scored once, against which generators are measured."""

    def __init__(self, oracle: Generator, test: TokenBatch, *, batch_size: int = 256) -> None:
        self.oracle = oracle
        self.test = test
        self.batch_size = batch_size
        self._oracle_test_nll = sequence_nll(oracle, test, batch_size=batch_size)

    def score(
        self,
        generator: Generator,
        samples: TokenBatch,
        *,
        temperature: float = 1.0,
    ) -> dict[str, Estimate]:
        """Measure ``generator`` by ``samples`` drawn from it at ``temperature``.

        Gives ``nll_oracle``, ``entropy`` (H(q)), ``nll_test``, ``kl_q_p``, ``kl_p_q``, ``jeffreys`` and
        ``jensen_shannon``.
        The generator's own densities are taken at the same temperature, on both sides.

        Raises:
            ValueError: There is no token among the samples, or none in the test set.
        """
        lengths, test_lengths = samples.lengths, self.test.lengths
        oracle_nll = sequence_nll(self.oracle, samples, batch_size=self.batch_size)
        own_nll, test_nll = (
            sequence_nll(generator, batch, batch_size=self.batch_size, temperature=temperature)
            for batch in (samples, self.test)
        )
        kl_q_p = per_token(oracle_nll - own_nll, lengths)
        kl_p_q = per_token(test_nll - self._oracle_test_nll, test_lengths)
        return {
            "nll_oracle": per_token(oracle_nll, lengths),
            "entropy": per_token(own_nll, lengths),
            "nll_test": per_token(test_nll, test_lengths),
            "kl_q_p": kl_q_p,
            "kl_p_q": kl_p_q,
            "jeffreys": _sum_of_independent(kl_q_p, kl_p_q),
            "jensen_shannon": _jensen_shannon(own_nll - oracle_nll, self._oracle_test_nll - test_nll),
        }

    def floor(self, samples: TokenBatch) -> dict[str, Estimate]:
        """Measure the oracle by its own ``samples``: the best that a generator can reach; its KLs are 0."""
        return self.score(self.oracle, samples)


def _jensen_shannon(samples: Float64[Tensor, "S"], test: Float64[Tensor, "N"]) -> Estimate:
    """Estimate it from log p/q on samples of q, and log q/p on samples of p."""
    # With m = (p + q) / 2 it is log q/m = ln 2 − softplus(log p/q), and log p/m likewise.
    halves = [(math.log(2) - functional.softplus(ratios)) / 2 for ratios in (samples, test)]
    return _sum_of_independent(*(Estimate.mean(half.numpy()) for half in halves))


def _sum_of_independent(first: Estimate, second: Estimate) -> Estimate:
    return Estimate(first.value + second.value, math.hypot(first.standard_error, second.standard_error))
