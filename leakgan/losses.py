"""The arithmetic of LeakGAN (Guo et al. 2018, arXiv 1709.08624), as pure functions.

f_t is the feature of the prefix y_1..y_t, for t = 0..T. The goal g_t is given when that prefix is
known; the token y_t is drawn under the last C goals before it, g_{t-1}..g_{t-C}. In tensors,
``features[:, t]`` is f_t and ``goals[:, t]`` is g_t, while what belongs to the token y_t stands in
column t − 1, as everywhere. No loss sends a gradient into the features.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

SHORTEST = 1e-8  # product of lengths: features that have not moved have made no progress


def transition_cosines(
    features: Float[Tensor, "B T1 F"], goals: Float[Tensor, "B T F"], horizon: int
) -> Float[Tensor, "B T"]:
    """Return cos(f_{t+C} − f_t, g_t) for t = 0..T-1; 0 where t + C is beyond T.

    :func:`transition_mask` says where there is a transition. A feature that has not moved
    gives 0.
    """
    num_steps = goals.shape[1]
    reached = max(0, num_steps + 1 - horizon)
    moved = features[:, horizon:] - features[:, :reached]  # (B, reached, F): f_C − f_0, f_{C+1} − f_1, ...
    cosines = functional.cosine_similarity(moved.detach(), goals[:, :reached], dim=-1)
    return functional.pad(cosines, (0, num_steps - reached))


def transition_mask(mask: Bool[Tensor, "B T"], horizon: int) -> Bool[Tensor, "B T"]:
    """Return a mask that is True at t = 0..T-1 where the sequence has at least t + C tokens."""
    return functional.pad(mask[:, horizon - 1 :], (0, min(horizon - 1, mask.shape[1])))


def manager_loss(
    cosines: Float[Tensor, "B T"], values: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """Return the mean of −Q · cos(f_{t+C} − f_t, g_t) over ``mask``; 0 where that is empty.

    ``values`` holds in column t the value Q of the transition, that is of the prefix y_1..y_{t+C} that
    the goal g_t has led to (:func:`values_of_transitions`): the value of y_1..y_t, which the goal
    cannot have changed, would say nothing about it.
    """
    terms = torch.where(mask, values.detach() * cosines, 0.0)
    return -terms.sum() / mask.sum().clamp(min=1)


def values_of_transitions(action_values: Float[Tensor, "B T"], horizon: int) -> Float[Tensor, "B T"]:
    """Return for each goal g_t the action value of y_{t+C}, which is the value of the prefix y_1..y_{t+C}."""
    return functional.pad(action_values[:, horizon - 1 :], (0, min(horizon - 1, action_values.shape[1])))


def progress(
    reached: Float[Tensor, "B K F"],
    features: Float[Tensor, "B T1 F"],
    goals: Float[Tensor, "B T F"],
    step: int,
    horizon: int,
) -> Float[Tensor, "B K"]:
    """Return the worker's reward for K ways to take step t = 1..T, each of which has reached an f_t.

    The mean over i = 1..C of cos(f_t − f_{t−i}, g_{t−i}), in [−1, 1]. The first tokens have fewer goals
    behind them, and take the mean over those.
    """
    first = max(0, step - horizon)
    since, aims = features[:, first:step], goals[:, first:step]  # (B, C, F)
    moved = reached[:, None] - since[:, :, None]  # (B, C, K, F): from each of the last C prefixes to each end
    # cosines in two passes over that, several times faster than cosine_similarity, which makes copies of it
    along = (moved @ aims[..., None]).squeeze(-1)  # (B, C, K)
    lengths: Tensor = (
        torch.linalg.vector_norm(moved, dim=-1) * torch.linalg.vector_norm(aims, dim=-1)[..., None]
    )
    cosines = along / lengths.clamp(min=SHORTEST)
    return cosines.mean(1)


def intrinsic_rewards(
    features: Float[Tensor, "B T1 F"],
    goals: Float[Tensor, "B T F"],
    mask: Bool[Tensor, "B T"],
    horizon: int,
) -> Float[Tensor, "B T"]:
    """Return how far each token moved the features along its goals (:func:`progress`); 0 behind the mask."""
    steps = range(1, mask.shape[1] + 1)
    rewards = [progress(features[:, t, None], features, goals, t, horizon) for t in steps]
    return torch.where(mask, torch.cat(rewards, 1), 0.0)


def rescale(rewards: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"], delta: float) -> Float[Tensor, "B T"]:
    """Return the bootstrapped rescaled activation, sigmoid(delta · (0.5 − rank / B)) per step.

    Rank 1 is the highest reward among the B sequences that reach the step, and equal rewards share the mean
    of their ranks. The result depends on the order of the rewards alone, whatever their scale;
    it is 0 behind the mask.
    """
    # (B, B, T): whether the sequence of the second axis beats, or equals, that of the first.
    greater = (rewards[None] > rewards[:, None]) & mask[None]
    equal = (rewards[None] == rewards[:, None]) & mask[None]
    rank = greater.sum(1) + (equal.sum(1) + 1) / 2
    scaled = torch.sigmoid(delta * (0.5 - rank / mask.sum(0).clamp(min=1)))
    return torch.where(mask, scaled, 0.0)


def goal_spread(goals: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """Return 1 − the mean cosine of unit goals of different sequences at a step; 0 is a collapsed manager.

    From |Σ g|² = B + the sum of cosines of all ordered pairs; a step that one sequence reaches takes no part.
    """
    count = mask.sum(0).to(goals.dtype)
    square = torch.where(mask[..., None], goals, 0.0).sum(0).square().sum(-1)
    pairs = count * (count - 1)
    cosine = (square - count).sum() / pairs.sum().clamp(min=1)
    return torch.where(pairs.sum() > 0, 1 - cosine, 0.0)
