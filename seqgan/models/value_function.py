"""A value function: the return that is expected behind each prefix."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqgan.models.generator import Generator
from seqgan.text.token_batch import TokenBatch


class ValueFunction(nn.Module):
    """The generator's own body, copied, under a linear layer that starts at 0.

    So it reads prefixes as the generator does, whatever that is made of, and its first values are 0.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.body = copy.deepcopy(generator)
        with torch.no_grad():
            one_token = torch.zeros(1, 1, dtype=torch.long, device=generator.device)
            num_features = self.body.encode(one_token).shape[-1]
        self.body.head.requires_grad_(False)  # nothing is predicted by it
        self.output = nn.Linear(num_features, 1, device=generator.device)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def start_from(self, generator: Generator) -> None:
        """Take over the generator's weights as they are now."""
        self.body.load_state_dict(generator.state_dict())

    def forward(self, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return V(y_1..y_{t-1}), the value of what stands before each token; no meaning behind the mask."""
        values: Tensor = self.output(self.body.hidden(batch))
        return values.squeeze(-1)
