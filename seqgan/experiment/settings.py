"""All settings of an experiment, and which of them may change when a run goes on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from seqgan.config.kinds import KindSettings
from seqgan.config.ranges import Range
from seqgan.config.schema import flag_name
from seqgan.config.toml import Settings, flatten
from seqgan.evaluation.evaluator import EvaluationSettings
from seqgan.rewards.mixed import Combination, RewardPart
from seqgan.runtime.tracking import TrackingSettings
from seqgan.sampling.settings import SamplingSettings
from seqgan.training.discriminator import DiscriminatorTrainingSettings
from seqgan.training.schedule import AdversarialSettings

CHANGEABLE = ("device", "tracking.")  # settings that may differ when a run is resumed
AFTER_PRETRAINING = (
    "reward.",
    "rewards.",
    "reward_combination",
    "estimator.",
    "algorithm.",
    "adversarial.",
    "evaluation.",
)


@dataclass(frozen=True, kw_only=True)
class ExperimentSettings:
    """All settings of an experiment. A section with a kind has the fields of that kind's settings."""

    seed: Annotated[int, Range(minimum=0, maximum=2**62)] = 0
    """Seed of everything random: models, order of the data, samples, rollouts."""
    device: str = "auto"
    """Where to work: cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    num_threads: Annotated[int, Range(minimum=0, maximum=1024)] = 1
    """CPU threads; small models gain little from more, and last digits depend on it. 0 takes all cores."""
    corpus: KindSettings = field(default_factory=KindSettings)
    generator: KindSettings = field(default_factory=KindSettings)
    mle: KindSettings = field(default_factory=KindSettings)
    discriminator: KindSettings = field(default_factory=KindSettings)
    discriminator_training: DiscriminatorTrainingSettings = field(
        default_factory=DiscriminatorTrainingSettings
    )
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    reward: KindSettings = field(default_factory=KindSettings)
    rewards: Mapping[str, RewardPart] = field(default_factory=dict)
    """Several rewards in the place of one, by name: --rewards.0.kind, --rewards.0.weight and so on."""
    reward_combination: Combination = "sum"
    """How several rewards become one: their weighted sum, or their weighted geometric mean."""
    estimator: KindSettings = field(default_factory=KindSettings)
    algorithm: KindSettings = field(default_factory=KindSettings)
    adversarial: AdversarialSettings = field(default_factory=AdversarialSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)

    @property
    def reward_kinds(self) -> tuple[str, ...]:
        """The kinds of all rewards that count."""
        return tuple(part.kind for part in self.rewards.values()) or (self.reward.kind,)


def refuse_other_settings(
    new: Settings, old: Settings, run: Path, changeable: tuple[str, ...] = CHANGEABLE
) -> None:
    """Refuse settings that differ from those of an existing run, apart from the ``changeable``.

    Raises:
        ValueError: Some do; names the first, both values, and what to do.
    """
    from_new, from_old = flatten(new), flatten(old)
    names = from_new.keys() | from_old.keys()
    for name in sorted(names, key=lambda name: (not name.endswith("kind"), name)):
        before, now = from_old.get(name), from_new.get(name)
        if before != now and not name.startswith(changeable):
            raise ValueError(
                f"{flag_name(name)}: {now} differs from {before}, with which {run} was made; "
                "leave it out to go on, or name another --run"
            )
