"""A second package beside the first, as somebody else would write one: a kind and presets."""

from dataclasses import dataclass
from importlib import resources
from typing import Annotated

from torch import Tensor, nn

from seqgan.config.ranges import Range
from seqgan.experiment.catalogue import SEQGAN, Catalogue
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import State
from seqgan.models.lstm import LSTMGenerator, LSTMSettings, LSTMState


@dataclass(frozen=True, kw_only=True)
class ListenerSettings(LSTMSettings):
    loudness: Annotated[float, Range(minimum=0)] = 1.0
    """How much of the discriminator is heard; at least 0."""


class Listener(LSTMGenerator):
    """An LSTM whose hidden vectors move with the discriminator's parameters, which are no part of it."""

    def __init__(
        self,
        settings: ListenerSettings,
        *,
        discriminator: Discriminator,
        vocabulary_size: int,
        bos_id: int,
        forbidden,
        rng,
    ) -> None:
        super().__init__(
            settings, vocabulary_size=vocabulary_size, bos_id=bos_id, forbidden=forbidden, rng=rng
        )
        self.heard = lambda: settings.loudness * discriminator.embedding.detach().mean(0)[0]
        self.companion = lambda: discriminator

    def companions(self) -> dict[str, nn.Module]:
        return {"discriminator": self.companion()}

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, LSTMState]:
        hidden, state = super().advance(tokens, state)
        return hidden + self.heard(), state

    def encode(self, inputs: Tensor) -> Tensor:
        return super().encode(inputs) + self.heard()


CATALOGUE = Catalogue(
    name="tests.haiku",
    base=SEQGAN,
    kinds={**SEQGAN.kinds, "generator": {"listener": "tests.haiku.catalogue:Listener"}},
    presets=resources.files("tests.haiku") / "presets",
    defaults={**SEQGAN.defaults, "generator": "listener"},
    default_preset="tiny",
)
