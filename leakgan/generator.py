"""The hierarchical generator of LeakGAN (Guo et al. 2018, arXiv 1709.08624, section 3)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from leakgan.features import LeakedFeatures
from leakgan.manager import Manager, ManagerState
from seqgan.config.ranges import Range
from seqgan.models.discriminator import Discriminator
from seqgan.models.generator import Generator, State
from seqgan.models.heads import Head
from seqgan.models.inference import inference
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from seqgan.models.prefix_features import BLOCK_ROWS, FeatureState
from seqgan.models.transformer import TransformerGenerator, TransformerSettings
from seqgan.runtime import devices
from seqgan.runtime.tracking import Projection
from seqgan.text.token_batch import TokenBatch


@dataclass(frozen=True, kw_only=True)
class HierarchySettings:
    """Settings of the manager and of its goals, whatever the worker is."""

    manager_size: Annotated[int, Range(minimum=1)] = 32
    """Units of the manager's LSTM."""
    goal_size: Annotated[int, Range(minimum=1)] = 16
    """Numbers of a goal embedding (K); the worker's output layer has as many weights per unit and word."""
    horizon: Annotated[int, Range(minimum=1)] = 4
    """Steps that a goal is for, and goals that a step sums up (C)."""


@dataclass(frozen=True, kw_only=True)
class LeakGANSettings(HierarchySettings, LSTMSettings):
    """Settings of a manager over an LSTM worker; the sizes are the paper's."""

    kind: str = "leakgan"


@dataclass(frozen=True, kw_only=True)
class LeakGANTransformerSettings(HierarchySettings, TransformerSettings):
    """Settings of a manager over a transformer worker."""

    kind: str = "leakgan-transformer"


@dataclass(frozen=True)
class LeakGANState(State):
    """The memory of a prefix: that of the worker, the manager and the features, and the last C goals."""

    worker: State
    manager: ManagerState
    goals: Float[Tensor, "B C K"]
    """Embedded, the latest last."""
    features: FeatureState


@dataclass(frozen=True)
class Plan:
    """Features and goals along whole sequences."""

    features: Float[Tensor, "B T1 F"]
    """f_0..f_T, without gradient."""
    goals: Float[Tensor, "B T F"]
    """g_0..g_{T-1} of length 1, with the manager's gradient."""
    norms: Float[Tensor, "B T"]
    """Lengths of the goals before they were made 1."""


class LeakGANGenerator(Generator):
    """A manager that sets goals from leaked features, and a worker that words them.

    With h_t the worker's hidden vector and w_t = W_psi · (g_t + g_{t-1} + ... + g_{t-C+1}), K numbers, the
    published logits O_t · w_t of the (V, K) matrix O_t = W_o h_t + b_o are one linear layer on the outer
    product of (h_t, 1) and w_t. That is the vector that the contract calls hidden; the layer's (V,) bias,
    which the paper does not have, gives the worker the words' frequencies.

    Before the first goal stands a learned one, g_init in R^F. Goals reach the worker without
    gradient: the manager learns from its own loss alone, and the worker's losses train W_psi and g_init.

    The published code sums the goals since the last multiple of C, reads its features off by one step,
    and has an initial goal for each row of its batch; here it is as in the paper.
    """

    def __init__(
        self,
        settings: LeakGANSettings | LeakGANTransformerSettings,
        *,
        vocabulary_size: int,
        bos_id: int,
        discriminator: Discriminator,
        forbidden: Sequence[int] = (),
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__(vocabulary_size=vocabulary_size, bos_id=bos_id)
        self.settings = settings
        self.features = LeakedFeatures(discriminator)
        worker = LSTMGenerator if isinstance(settings, LSTMSettings) else TransformerGenerator
        size = settings.hidden_size if isinstance(settings, LSTMSettings) else settings.model_size
        self.worker: Generator = worker(
            settings,  # type: ignore[arg-type]
            vocabulary_size=vocabulary_size,
            bos_id=bos_id,
            forbidden=forbidden,
            rng=rng,
            head_inputs=(size + 1) * settings.goal_size,
        )
        num_features = self.features.size
        self.manager = Manager(num_features, settings.manager_size, rng)
        self.initial_goal = nn.Parameter(torch.empty(num_features))
        self.goal_embedding = nn.Parameter(torch.empty(settings.goal_size, num_features))
        with torch.no_grad():
            self.initial_goal.normal_(generator=rng).div_(self.initial_goal.norm())
            self.goal_embedding.normal_(generator=rng)

    @property
    def head(self) -> Head:  # type: ignore[override]
        """The worker's head, whose weight is (V, (H + 1)·K)."""
        return self.worker.head

    def companions(self) -> dict[str, nn.Module]:
        """Return the discriminator: the generator is nothing without the features that it learned to read."""
        return {"discriminator": self.features.discriminator}

    def projections(self, batch: TokenBatch, words: Sequence[str]) -> dict[str, Projection]:
        """Return the goals along ``batch``, on the 16 directions in which they differ most."""
        with inference(self):
            goals = self.plan(batch).goals[batch.mask]  # (N, F), of the N real tokens
        centred = goals - goals.mean(0)
        directions = torch.linalg.svd(centred, full_matrices=False).Vh[:16]
        sentence, step = (column.tolist() for column in batch.mask.nonzero(as_tuple=True))
        columns = {
            "next token": [words[token] for token in batch.tokens[batch.mask].tolist()],
            "sentence": [f"s{number:02d}" for number in sentence],  # a name, so that its colours are no scale
            "step": step,
        }
        return {"goals": Projection((centred @ directions.T).cpu(), columns)}

    def manager_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the manager's loss trains."""
        return list(self.manager.parameters())

    def worker_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the worker's losses train: also initial goal and goal embedding."""
        return [*self.worker.parameters(), self.initial_goal, self.goal_embedding]

    @contextmanager
    def prepared(self, precision: str) -> Iterator[None]:
        """Lay out the weights of the feature extractor once, the largest there are."""
        with self.features.prepared(precision):
            yield

    # Step by step.

    def initial_state(self, batch_size: int) -> LeakGANState:
        """Return a state whose past goals are all the initial one."""
        goals = self._embed(self.initial_goal).expand(batch_size, self.settings.horizon, -1)
        return LeakGANState(
            self.worker.initial_state(batch_size),
            self.manager.initial_state(batch_size),
            goals,
            self.features.initial_state(batch_size),
        )

    def advance(self, tokens: Int[Tensor, "B"], state: State) -> tuple[Float[Tensor, "B J"], LeakGANState]:
        """Read one token per row; the outer product of hidden vector and goals predicts the next."""
        assert isinstance(state, LeakGANState)
        # blocks of rows, so that a CPU's cache holds the (rows, 2F) behind the features of one block
        size = BLOCK_ROWS if not devices.static_shapes(tokens) else max(1, len(tokens))
        rows = [slice(start, start + size) for start in range(0, max(1, len(tokens)), size)]
        hidden, states = zip(*(self._advance(tokens[r], state.select(r)) for r in rows), strict=True)
        return torch.cat(hidden), LeakGANState.concatenate(states)

    def _advance(
        self, tokens: Int[Tensor, "B"], state: LeakGANState
    ) -> tuple[Float[Tensor, "B J"], LeakGANState]:
        features, feature_state = self.features.advance(tokens, state.features)  # f_t (B, F)
        raw_goals, manager_state = self.manager.advance(features, state.manager)  # g_t before it has length 1
        goal = self._embed(_normalise(raw_goals))  # (B, K)
        goals = torch.cat([state.goals[:, 1:], goal[:, None]], 1)  # g_{t-C+1}..g_t, the oldest dropped
        hidden, worker_state = self.worker.advance(tokens, state.worker)
        return _outer(hidden, goals.sum(1)), LeakGANState(worker_state, manager_state, goals, feature_state)

    # All steps at once.

    def plan(self, batch: TokenBatch) -> Plan:
        """Return features and goals along sequences.

        Raises:
            ValueError: They have prompts, whose features are not leaked.
        """
        if batch.prompt is not None:
            raise ValueError(
                "prompt: LeakGAN plans whole sequences; it cannot be trained to complete prompts"
            )
        features = self.features.of_prefixes(batch.tokens)  # f_0..f_T (B, T + 1, F)
        raw_goals = self.manager(features[:, :-1])  # nothing follows f_T, so it sets no goal
        return Plan(features, _normalise(raw_goals), raw_goals.norm(dim=-1))

    def encode(self, inputs: Int[Tensor, "B T"]) -> Float[Tensor, "B T J"]:
        """Read whole sequences, BOS and then tokens, at once."""
        # T inputs with BOS are T − 1 tokens, whose T prefixes f_0..f_{T-1} set the T goals
        return self.follow(inputs, _normalise(self.manager(self.features.of_prefixes(inputs[:, 1:]))))

    def follow(self, inputs: Int[Tensor, "B T"], goals: Float[Tensor, "B T F"]) -> Float[Tensor, "B T J"]:
        """Return the worker's part of :meth:`encode`, under given goals; their gradient ends here."""
        embedded = self._embed(goals.detach())  # (B, T, K)
        before = self._embed(self.initial_goal).expand(len(goals), self.settings.horizon - 1, -1)
        # C − 1 initial goals before the first make T windows of C goals (B, T, K, C), and each is summed
        last = torch.cat([before, embedded], 1).unfold(1, self.settings.horizon, 1).sum(-1)
        return _outer(self.worker.encode(inputs), last)

    def _embed(self, goals: Float[Tensor, "*N F"]) -> Float[Tensor, "*N K"]:
        return nn.functional.linear(goals, self.goal_embedding)


def _normalise(goals: Float[Tensor, "*N F"]) -> Float[Tensor, "*N F"]:
    return nn.functional.normalize(goals, dim=-1)


def _outer(hidden: Float[Tensor, "*N H"], goals: Float[Tensor, "*N K"]) -> Float[Tensor, "*N J"]:
    """Return (h, 1) times each goal number, flattened: J = (H + 1)·K."""
    with_one = nn.functional.pad(hidden, (0, 1), value=1.0)
    return (with_one[..., :, None] * goals[..., None, :]).flatten(-2)  # (..., H + 1, K) to (..., J)


def build_leakgan(
    settings: LeakGANSettings,
    *,
    vocabulary_size: int,
    bos_id: int,
    discriminator: Discriminator,
    forbidden: Sequence[int] = (),
    rng: torch.Generator | None = None,
) -> LeakGANGenerator:
    """Build a manager over an LSTM worker."""
    return LeakGANGenerator(
        settings,
        vocabulary_size=vocabulary_size,
        bos_id=bos_id,
        discriminator=discriminator,
        forbidden=forbidden,
        rng=rng,
    )


def build_leakgan_transformer(
    settings: LeakGANTransformerSettings,
    *,
    vocabulary_size: int,
    bos_id: int,
    discriminator: Discriminator,
    forbidden: Sequence[int] = (),
    rng: torch.Generator | None = None,
) -> LeakGANGenerator:
    """Build a manager over a transformer worker."""
    return LeakGANGenerator(
        settings,
        vocabulary_size=vocabulary_size,
        bos_id=bos_id,
        discriminator=discriminator,
        forbidden=forbidden,
        rng=rng,
    )
