"""A second framework, as somebody else would write one: its generator listens to the discriminator."""

from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Any

from seqgan.training.phase import Phase
from torch import Tensor, nn

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.config.schema import Component
from seqgan.experiment.experiment import Experiment
from seqgan.experiment.settings import SEQGAN, ExperimentSettings, Framework
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator, State
from seqgan.models.lstm import LSTMGenerator, LSTMSettings, LSTMState


@dataclass(frozen=True, kw_only=True)
class ListenerSettings(LSTMSettings):
    kind: str = "listener"


class Listener(LSTMGenerator):
    """Its hidden vectors move with the discriminator's parameters, which are no part of it."""

    def __init__(
        self, config: ListenerSettings, *, discriminator: Any, loudness: float, **options: Any
    ) -> None:
        super().__init__(config, **options)
        self.heard = lambda: loudness * discriminator.embedding.detach().mean(0)[0]

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, LSTMState]:
        hidden, state = super().advance(tokens, state)
        return hidden + self.heard(), state

    def encode(self, inputs: Tensor) -> Tensor:
        return super().encode(inputs) + self.heard()


@dataclass(frozen=True, kw_only=True)
class EarSettings:
    loudness: Annotated[float, Range(minimum=0)] = 1.0
    """How much of the discriminator is heard; at least 0."""


@dataclass(frozen=True, kw_only=True)
class HaikuSettings(ExperimentSettings):
    generator: KindSettings = field(default_factory=ListenerSettings)
    ear: EarSettings = field(default_factory=EarSettings)


HAIKU = Framework(
    name="tests.haiku",
    tables={**SEQGAN.tables, "generator": {"listener": Component(ListenerSettings, Listener)}},
    presets=resources.files("tests.haiku") / "presets",
    settings=HaikuSettings,
    base=SEQGAN,
    default_preset="tiny",
)


class HaikuExperiment(Experiment):
    framework = HAIKU
    settings: HaikuSettings

    def build_generator(self, discriminator: Discriminator, /, **options: Any) -> Generator:
        options |= {"discriminator": discriminator, "loudness": self.settings.ear.loudness}
        return super().build_generator(discriminator, **options)

    def keep(self, generator: Generator, discriminator: Discriminator) -> nn.Module:
        return nn.ModuleDict({"generator": generator, "discriminator": discriminator})

    def phases(self) -> list[Phase]:
        mle, discriminator, adversarial = super().phases()
        return [discriminator, mle, adversarial]


EXPERIMENT = HaikuExperiment
