"""Materials: everything that kinds may ask for by name, each built when it is first asked for."""

from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch

from seqgan.advantages.action_values import AdvantageEstimator
from seqgan.advantages.check import CheckedEstimator
from seqgan.config.kinds import Kind, KindSettings, find_kind
from seqgan.config.schema import Tables, flag_name
from seqgan.experiment.settings import ExperimentSettings
from seqgan.models.check import check_discriminator, check_generator
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator
from seqgan.oracle.corpus import OracleCorpusSettings, build_oracle
from seqgan.oracle.model import restore_oracle
from seqgan.rewards.mixed import MixedReward
from seqgan.rewards.reward import CheckedReward, FollowsSteps, Reward, RewardedTrainer
from seqgan.rewards.text import TextReward
from seqgan.runtime import checkpoint
from seqgan.runtime.files import as_value_error
from seqgan.runtime.seeding import make_rng
from seqgan.runtime.trainer import CheckedTrainer, Stateful, Trainer
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.batching import pad_part
from seqgan.text.language import Language
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.token_batch import TokenBatch
from seqgan.text.vocabulary import Vocabulary
from seqgan.training.discriminator import DiscriminatorTrainer


class Materials:
    """The materials of an experiment.

    What nobody asks for is never built. ``oracle_path`` is where the oracle that drew the corpus is kept, if
    one did.
    """

    def __init__(
        self,
        settings: ExperimentSettings,
        *,
        tables: Tables,
        corpus: PreparedCorpus,
        device: torch.device,
        oracle_path: Path | None = None,
    ) -> None:
        self.settings = settings
        self.tables = tables
        self.corpus: PreparedCorpus = corpus
        self.device: torch.device = device
        self.oracle_path = oracle_path
        self._building: list[str] = []

    def fresh(self) -> "Materials":
        """Return the same materials with models that have fresh weights."""
        return Materials(
            self.settings,
            tables=self.tables,
            corpus=self.corpus,
            device=self.device,
            oracle_path=self.oracle_path,
        )

    def get(self, name: str) -> Any:
        """Return the material of that name.

        Raises:
            KeyError: There is none; says which there are.
        """
        if name not in MATERIALS:
            raise KeyError(f"there are {', '.join(MATERIALS)}")
        return getattr(self, name)

    def is_built(self, name: str) -> bool:
        """Return whether anybody has asked for the material."""
        return name in self.__dict__

    # Text.

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the corpus."""
        return self.corpus.vocabulary

    @property
    def vocabulary_size(self) -> int:
        """The number of tokens, V."""
        return self.vocabulary.size

    @property
    def bos_id(self) -> int:
        """The token that every sequence starts from; never part of one."""
        return self.vocabulary.bos_id

    @property
    def eos_id(self) -> int | None:
        """The token that ends a sequence; None where all have the same length."""
        return self.vocabulary.eos_id

    @property
    def pad_id(self) -> int:
        """The token that stands behind the end of a sequence."""
        return self.vocabulary.pad_id

    @property
    def forbidden(self) -> tuple[int, ...]:
        """The tokens that no generator may produce: PAD and BOS."""
        return self.vocabulary.forbidden

    @property
    def max_length(self) -> int:
        """The most tokens in a sequence, EOS included."""
        return self.corpus.max_length

    @property
    def max_prompt_length(self) -> int:
        """The most tokens in a prompt; 0 where there are none."""
        return self.corpus.max_prompt_length

    @cached_property
    def language(self) -> Language:
        """Sentences to token ids (`encode`) and back (`decode`)."""
        return Language(self.corpus)

    @cached_property
    def train(self) -> TokenBatch:
        """The training part as one batch on the device."""
        return self.split("train")

    @cached_property
    def validation(self) -> TokenBatch:
        """The validation part as one batch on the device."""
        return self.split("validation")

    @property
    def prompts(self) -> TokenBatch | None:
        """The prompts of the training part with the corpus's columns; None where there are none."""
        return self.train.prompt if self.corpus.has_prompts else None

    def split(self, part: str) -> TokenBatch:
        """Return all sequences of ``train``, ``validation`` or ``test``, padded, on the device."""
        lengths = self.max_length, self.max_prompt_length
        return pad_part(self.corpus.part(part), self.pad_id, *lengths).to(self.device)

    # Settings and random numbers.

    @property
    def sampling(self) -> SamplingSettings:
        """How the policy is sampled in training: temperature and precision."""
        return self.settings.sampling

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.settings.seed

    @cached_property
    def rng(self) -> torch.Generator:
        """Random numbers on the device; a model gets its own ones for its initial weights, on the CPU."""
        return make_rng(self.device, self.seed, "training")

    # Components.

    @cached_property
    def policy(self) -> Generator:
        """The generator that is trained."""
        policy = cast(Generator, self._build("generator", Generator).to(self.device))
        name = self.settings.generator.kind
        if name not in self.tables["generator"]:
            check_generator(policy, name, self.max_length + self.max_prompt_length)
        return policy

    @cached_property
    def discriminator(self) -> Discriminator:
        """The discriminator that is trained against the policy."""
        discriminator = cast(Discriminator, self._build("discriminator", Discriminator).to(self.device))
        name = self.settings.discriminator.kind
        if name not in self.tables["discriminator"]:
            some = self.split("validation").select(slice(CHECKED))
            check_discriminator(discriminator, name, some.joined())
        return discriminator

    @cached_property
    def reward(self) -> Reward:
        """The reward of token batches."""
        settings = self.settings
        if not settings.rewards:
            return self._reward(settings.reward, "reward")
        return MixedReward(
            {name: (self._reward(part, f"rewards.{name}"), part) for name, part in settings.rewards.items()},
            combination=settings.reward_combination,
            num_steps=self.settings.adversarial.num_policy_steps,
            device=self.device,
        )

    def _reward(self, settings: KindSettings, section: str) -> Reward:
        kind = find_kind(settings.kind, self.tables["reward"], flag_name(f"{section}.kind"))
        if not kind.is_factory:  # a plain function, of a token batch or of text
            if "batch" in kind.parameters:
                return CheckedReward(kind.target, kind.name)
            return TextReward(
                kind.target,
                language=self.language,
                name=kind.name,
                max_steps=self.settings.adversarial.num_policy_steps,
                columns=self.corpus.columns,
            )
        reward = self._build_kind(kind, settings, section, Reward)
        is_built_in = kind.name in self.tables["reward"]
        return cast(Reward, reward if is_built_in else CheckedReward(reward, kind.name))

    @cached_property
    def estimator(self) -> AdvantageEstimator:
        """From trajectories to action values and baselines."""
        estimator = cast(AdvantageEstimator, self._build("estimator", AdvantageEstimator))
        name = self.settings.estimator.kind
        return estimator if name in self.tables["estimator"] else CheckedEstimator(estimator, name)

    @cached_property
    def algorithm(self) -> Trainer:
        """The trainer of the policy by reinforcement learning."""
        trainer = self._trainer("algorithm")
        if self.is_built("reward") and isinstance(self.reward, FollowsSteps):
            return RewardedTrainer(trainer, self.reward)
        return trainer

    @cached_property
    def mle(self) -> Trainer:
        """The trainer of the policy by maximum likelihood."""
        return self._trainer("mle")

    def _trainer(self, section: str) -> Trainer:
        trainer = cast(Trainer, self._build(section, Trainer))
        name = getattr(self.settings, section).kind
        return trainer if name in self.tables[section] else CheckedTrainer(trainer, f"{section} {name}")

    @cached_property
    def discriminator_trainer(self) -> DiscriminatorTrainer:
        """The trainer of the discriminator."""
        return DiscriminatorTrainer(
            self.settings.discriminator_training,
            discriminator=self.discriminator,
            policy=self.policy,
            train=self.train,
            validation=self.validation,
            sampling=self.sampling,
            eos_id=self.eos_id,
            pad_id=self.pad_id,
            max_length=self.max_length,
            rng=self.rng,
            seed=self.seed,
        )

    @cached_property
    def oracle(self) -> Generator | None:
        """The oracle that drew the corpus; None where it is text."""
        settings = self.settings.corpus
        if not isinstance(settings, OracleCorpusSettings):
            return None
        if self.oracle_path is None or not self.oracle_path.exists():
            return build_oracle(settings).to(self.device)
        payload = checkpoint.load(self.oracle_path)
        with as_value_error(f"{self.oracle_path}: holds no oracle"):
            return restore_oracle(payload["generator"]["generator"]).to(self.device)

    def _build(self, section: str, contract: type | None = None) -> Any:
        """Build the component of the kind that the settings of a section name.

        Raises:
            ValueError: Its kind cannot be imported, asks for what there is not or for itself in a circle, or
                does not meet the contract.
        """
        settings = getattr(self.settings, section)
        kind = find_kind(settings.kind, self.tables[section], flag_name(f"{section}.kind"))
        return self._build_kind(kind, settings, section, contract)

    def _build_kind(self, kind: Kind, settings: KindSettings, section: str, contract: type | None) -> Any:
        if section in self._building:
            raise ValueError(f"{' asks for '.join([*self._building, section])}: that is a circle")
        own_rng = make_rng("cpu", self.seed, section) if section in ("generator", "discriminator") else None
        self._building.append(section)
        try:
            found = kind.build(
                settings, lambda name: own_rng if name == "rng" and own_rng else self.get(name)
            )
        finally:
            self._building.pop()
        if contract is not None and not isinstance(found, contract):
            flag = flag_name(f"{section}.kind")
            raise ValueError(f"{flag}: {kind.name!r} builds a {type(found).__name__}, no {contract.__name__}")
        if isinstance(found, torch.nn.Module) and "_modules" not in vars(found):
            raise ValueError(f"{kind.name}: its constructor does not call super().__init__()")
        return found

    def components(self) -> dict[str, Stateful]:
        """Return what has been built and says itself how it is saved, by name."""
        built = {name: self.get(name) for name in MATERIALS if self.is_built(name)}
        return {
            name: value for name, value in built.items() if name in TRAINED and isinstance(value, Stateful)
        }


CHECKED = 8  # held-out sequences that a discriminator from elsewhere is tried on

TRAINED = (
    *("policy", "discriminator", "mle", "discriminator_trainer"),
    *("reward", "estimator", "algorithm"),
)
"""Materials that training changes, in the order in which they are restored."""

OF_LAST_PHASE = ("reward", "estimator", "algorithm")
"""Those of them that have done nothing before the last phase."""

MATERIALS: dict[str, str] = {
    "corpus": "The prepared corpus: its parts, its vocabulary and how it was tokenized.",
    "device": "The device that models and batches are on.",
    **{
        name: (member.fget if isinstance(member, property) else member.func).__doc__ or ""
        for name, member in vars(Materials).items()
        if isinstance(member, property | cached_property)
    },
}
"""What kinds may ask for, by name, with its meaning."""
