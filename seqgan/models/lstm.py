"""The LSTM generator: embedding, LSTM, a linear layer to the vocabulary (Yu et al. 2017, section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator, State
from seqgan.models.heads import LinearHead
from seqgan.models.kernels.fast_linear import fast_linear


@dataclass(frozen=True, kw_only=True)
class LSTMSettings(KindSettings):
    """Settings of the LSTM generator; the sizes are the paper's."""

    kind: str = "lstm"
    embedding_size: Annotated[int, Range(minimum=1)] = 32
    """Numbers per token vector; at least 1."""
    hidden_size: Annotated[int, Range(minimum=1)] = 32
    """Units per LSTM layer; at least 1."""
    num_layers: Annotated[int, Range(minimum=1)] = 1
    """LSTM layers; at least 1."""
    dropout: Annotated[float, Range(minimum=0, maximum=0.95)] = 0.0
    """Share of units zeroed in training, on embeddings, between layers and on the output; 0 to 0.95."""
    initial_scale: Annotated[float, Range(minimum=0)] = 0.1
    """Standard deviation of the normal distribution that every weight starts from; the paper's is 0.1."""


@dataclass(frozen=True)
class LSTMState(State):
    """Hidden and cell vectors of every layer."""

    hidden: Float[Tensor, "B L H"]
    cell: Float[Tensor, "B L H"]


class LSTMGenerator(Generator):
    """Embedding, LSTM layers and a linear head; every weight and bias drawn from N(0, initial_scale).

    torch keeps two bias vectors per layer that only ever act as their sum; the second starts at 0.
    ``head_inputs`` is the size of the head's inputs where they are more than a hidden vector.
    """

    def __init__(
        self,
        settings: LSTMSettings,
        *,
        vocabulary_size: int,
        bos_id: int,
        forbidden: Sequence[int] = (),
        rng: torch.Generator | None = None,
        head_inputs: int | None = None,
    ) -> None:
        super().__init__(vocabulary_size=vocabulary_size, bos_id=bos_id)
        self.settings = settings
        # first, so that its weights are drawn and listed before the others
        self.head = LinearHead(head_inputs or settings.hidden_size, vocabulary_size, forbidden)
        self.embedding = nn.Embedding(vocabulary_size, settings.embedding_size)
        between_layers = settings.dropout if settings.num_layers > 1 else 0.0
        self.lstm = nn.LSTM(
            settings.embedding_size,
            settings.hidden_size,
            settings.num_layers,
            dropout=between_layers,
            batch_first=True,
        )
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if "bias_hh" in name:
                    parameter.zero_()
                else:
                    parameter.normal_(0.0, settings.initial_scale, generator=rng)

    def initial_state(self, batch_size: int) -> LSTMState:
        """Return zeros."""
        zeros = self.embedding.weight.new_zeros(
            batch_size, self.settings.num_layers, self.settings.hidden_size
        )
        return LSTMState(zeros, zeros)

    def advance(self, tokens: Int[Tensor, "B"], state: State) -> tuple[Float[Tensor, "B H"], LSTMState]:
        """Read one token per row; the top layer's hidden vector predicts the next."""
        assert isinstance(state, LSTMState)
        inputs = self.embedding(tokens)
        hiddens, cells = [], []
        for layer, parameters in enumerate(self.lstm.all_weights):
            previous = state.hidden[:, layer], state.cell[:, layer]
            inputs, cell = lstm_cell(self._drop(inputs), *previous, *parameters)
            hiddens.append(inputs)
            cells.append(cell)
        return self._drop(inputs), LSTMState(torch.stack(hiddens, 1), torch.stack(cells, 1))

    def encode(self, inputs: Int[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        """Read whole sequences at once, by torch's fused LSTM."""
        # cuDNN differentiates an LSTM in training mode only, and the policy gradient needs evaluation mode.
        with torch.backends.cudnn.flags(enabled=self.training or not torch.is_grad_enabled()):
            return self._drop(self.lstm(self._drop(self.embedding(inputs)))[0])

    def _drop(self, vectors: Tensor) -> Tensor:
        return functional.dropout(vectors, self.settings.dropout, self.training)


def lstm_cell(
    inputs: Float[Tensor, "B E"],
    hidden: Float[Tensor, "B H"],
    cell: Float[Tensor, "B H"],
    input_weight: Float[Tensor, "fourH E"],
    hidden_weight: Float[Tensor, "fourH H"],
    input_bias: Float[Tensor, "fourH"],
    hidden_bias: Float[Tensor, "fourH"],
) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """Compute :func:`torch.lstm_cell`, which takes twice as long on a CPU and one kernel on a GPU."""
    if inputs.device.type != "cpu":
        return torch.lstm_cell(inputs, (hidden, cell), input_weight, hidden_weight, input_bias, hidden_bias)
    joined, weight = torch.cat([inputs, hidden], 1), torch.cat([input_weight, hidden_weight], 1)
    # one product (B, E + H) x (E + H, 4H) gives all four gates
    enter, keep, new, leave = fast_linear(joined, weight, input_bias + hidden_bias).chunk(4, 1)
    cell = keep.sigmoid() * cell + enter.sigmoid() * _tanh(new)
    return leave.sigmoid() * _tanh(cell), cell


def _tanh(x: Tensor) -> Tensor:
    """Compute tanh(x) as 2 sigmoid(2x) - 1: torch's sigmoid is several times faster than its tanh."""
    return 2 * (2 * x).sigmoid() - 1
