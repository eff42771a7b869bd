"""The metrics that LeakGAN logs beside those of :mod:`seqgan.evaluation.metrics`.

While LeakGAN trains, ``reward/mean`` is of the worker's reward, the mixture of both rewards.
"""

from seqgan.evaluation import metrics

_OF_TRAINING = {
    "manager/loss": "mean of −Q · cosine between a goal and the transition that followed (lower)",
    "manager/gradient_norm": "norm of the manager's gradient before clipping",
    "manager/goal_cosine": "mean cosine between a goal and the transition over its horizon (higher)",
    "manager/goal_norm": "mean length of the goals before they are made 1",
    "manager/goal_spread": "1 − mean cosine between goals of different sequences; 0: the manager collapsed",
    "reward/discriminator": "mean reward of whole sequences by the discriminator",
    "reward/intrinsic": "mean intrinsic reward of a token",
}
METRICS = {**metrics.METRICS, **metrics.describe(_OF_TRAINING)}
