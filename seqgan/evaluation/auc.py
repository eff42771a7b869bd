"""Area under the ROC curve: how well scores tell real sequences from generated ones."""

import torch
from jaxtyping import Float
from torch import Tensor


def area_under_curve(real_scores: Float[Tensor, "R"], fake_scores: Float[Tensor, "N"]) -> Float[Tensor, ""]:
    """Return the probability that a random real sequence scores above a generated one, ties counting half.

    The Mann–Whitney U statistic over R·N, exact in O((R + N) log N): for each real score the
    number of generated ones below it, and not above it. 0.5 is chance, 1 perfect separation; NaN
    where a score is NaN. Nothing leaves the device.

    Raises:
        ValueError: One side has no scores.
    """
    if not len(real_scores) or not len(fake_scores):
        raise ValueError(
            f"the area under the curve needs scores of both sides; there are {len(real_scores)} real "
            f"and {len(fake_scores)} generated ones"
        )
    ordered = fake_scores.sort().values
    below = torch.searchsorted(ordered, real_scores, right=False)
    not_above = torch.searchsorted(ordered, real_scores, right=True)
    area = (below + not_above).sum() / (2 * len(real_scores) * len(fake_scores))
    undefined = real_scores.isnan().any() | fake_scores.isnan().any()
    return torch.where(undefined, torch.nan, area)
