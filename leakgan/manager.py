"""The manager: an LSTM over leaked features, whose outputs are goals in feature space."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqgan.models.generator import State
from seqgan.models.kernels.fast_linear import fast_linear
from seqgan.models.lstm import lstm_cell


@dataclass(frozen=True)
class ManagerState(State):
    """Hidden and cell vectors."""

    hidden: Float[Tensor, "B M"]
    cell: Float[Tensor, "B M"]


class Manager(nn.Module):
    """Goals before they are made unit vectors: W_m · LSTM(f_t) + b (Guo et al. 2018, equations 3 and 4).

    Weights start from N(0, 1/inputs), biases from 0.
    """

    def __init__(self, num_features: int, size: int, rng: torch.Generator | None = None) -> None:
        super().__init__()
        self.lstm = nn.LSTM(num_features, size, batch_first=True)
        self.goal = nn.Linear(size, num_features)
        with torch.no_grad():
            for parameter in self.parameters():
                if parameter.dim() == 1:
                    parameter.zero_()
                else:
                    parameter.normal_(0.0, parameter.shape[1] ** -0.5, generator=rng)

    def initial_state(self, batch_size: int) -> ManagerState:
        """Return zeros."""
        zeros = self.goal.bias.new_zeros(batch_size, self.lstm.hidden_size)
        return ManagerState(zeros, zeros)

    def advance(
        self, features: Float[Tensor, "B F"], state: ManagerState
    ) -> tuple[Float[Tensor, "B F"], ManagerState]:
        """Read the features of one more prefix; return its goal."""
        hidden, cell = lstm_cell(features, state.hidden, state.cell, *self.lstm.all_weights[0])
        return fast_linear(hidden, self.goal.weight, self.goal.bias), ManagerState(hidden, cell)

    def forward(self, features: Float[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
        """Return the goals of all steps."""
        # cuDNN differentiates an LSTM in training mode only.
        with torch.backends.cudnn.flags(enabled=self.training or not torch.is_grad_enabled()):
            return fast_linear(self.lstm(features)[0], self.goal.weight, self.goal.bias)
