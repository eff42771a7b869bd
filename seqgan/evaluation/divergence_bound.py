"""A lower bound on the divergence of generated from real text, by any scores that tell them apart."""

import math

from jaxtyping import Float
from torch import Tensor

from seqgan.evaluation.signature import Estimate


def donsker_varadhan_bound(real_scores: Float[Tensor, "R"], fake_scores: Float[Tensor, "N"]) -> Estimate:
    """Return E_p[f] - ln E_q[e^f] in nats, which is at most KL(p‖q) (Donsker and Varadhan 1983).

    The scores f, such as a discriminator's logits, are of real sequences (p) and of generated ones (q). The
    bound is reached by f = ln p/q plus any constant. The function f must not have been learned from these
    sequences, and few generated ones make the figure too high on average: the logarithm of a sample mean is
    too low. The standard error is by the delta method.

    Raises:
        ValueError: One side has no scores.
    """
    if not len(real_scores) or not len(fake_scores):
        raise ValueError(
            f"the bound needs scores of both sides; there are {len(real_scores)} real and {len(fake_scores)} "
            "generated ones"
        )
    real, fake = real_scores.double().cpu(), fake_scores.double().cpu()
    log_mean = float(fake.logsumexp(0)) - math.log(len(fake))
    weights = (fake - log_mean).exp()  # (N,): e^f over its mean
    errors = Estimate.mean(real.numpy()).standard_error, Estimate.mean(weights.numpy()).standard_error
    return Estimate(float(real.mean()) - log_mean, math.hypot(*errors))
