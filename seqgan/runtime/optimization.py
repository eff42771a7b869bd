"""The one optimizer: Adam with clipping. Nothing else knows how parameters move."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Optimizer:
    """Adam whose gradient is scaled down to a largest norm."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, learning_rate: float, gradient_clip: float
    ) -> None:
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        self.gradient_clip = gradient_clip
        self._adam = torch.optim.Adam(self.parameters, lr=learning_rate, fused=True)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self._adam.zero_grad()

    def step(self, rate: float = 1.0) -> Float[Tensor, ""]:
        """Take a step at ``rate`` times the learning rate; return the gradient's norm before clipping."""
        for group in self._adam.param_groups:
            group["lr"] = self.learning_rate * rate
        norm = nn.utils.clip_grad_norm_(self.parameters, self.gradient_clip)
        self._adam.step()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Return Adam's moments."""
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._adam.load_state_dict(state)


def schedule_rate(step: int, total_steps: int, *, warmup_steps: int = 0, cosine_decay: bool = False) -> float:
    """Return the share of the learning rate at ``step``: a linear rise, then half a cosine if asked."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if not cosine_decay:
        return 1.0
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * progress))
