"""The end of every training step."""

import torch
from torch import Tensor, nn


def clipped_step(optimizer: torch.optim.Optimizer, *, learning_rate: float, gradient_clip: float) -> Tensor:
    """Scale the gradient of all the optimizer's parameters down to the norm ``gradient_clip``, and step.

    Gives the norm before that.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, gradient_clip)
    optimizer.step()
    return norm
