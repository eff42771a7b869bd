"""LeakGAN's rescaling of rewards by their ranks at a step, by comparing each with all."""

import math

import torch


def naive_rescale(values, mask, delta):
    """By counting who is better at a step, one sequence at a time."""
    scaled = torch.zeros_like(values)
    for t in range(values.shape[1]):
        rows = [b for b in range(len(values)) if mask[b, t]]
        for b in rows:
            better = sum(bool(values[other, t] > values[b, t]) for other in rows)
            equal = sum(bool(values[other, t] == values[b, t]) for other in rows)
            rank = better + (equal + 1) / 2
            scaled[b, t] = 1 / (1 + math.exp(-delta * (0.5 - rank / len(rows))))
    return scaled
