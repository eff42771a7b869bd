"""LeakGAN as existing PyTorch code does it, for benchmark_leakgan.py to compare with.

Batched over the sequences, without gradient where none is needed, and with nothing done slowly on
purpose. But every step runs the discriminator's convolutions on the prefix, padded to the full length;
the worker's output is a (B, V, K) matrix; ``torch.multinomial`` draws; and the Monte-Carlo search takes
one rollout and one prefix at a time, reading the prefix anew, token by token.
"""

from dataclasses import dataclass

import torch
from plain import PlainDiscriminator
from torch import Tensor, nn
from torch.nn import functional

PAD, BOS = 0, 0
DELTA = 16.0  # of the bootstrapped rescaling


@dataclass
class PlainState:
    """What the generator remembers between two steps."""

    manager: tuple[Tensor, Tensor] | None = None
    worker: tuple[Tensor, Tensor] | None = None
    goals: tuple[Tensor, ...] = ()


class PlainLeakGAN(nn.Module):
    """Manager and worker, two LSTM cells."""

    def __init__(self, vocabulary_size: int, size: int, num_features: int, goal_size: int, horizon: int):
        super().__init__()
        self.goal_size, self.horizon = goal_size, horizon
        self.manager = nn.ModuleDict(
            {"cell": nn.LSTMCell(num_features, size), "goal": nn.Linear(size, num_features)}
        )
        self.worker = nn.ModuleDict(
            {
                "embedding": nn.Embedding(vocabulary_size, size),
                "cell": nn.LSTMCell(size, size),
                "output": nn.Linear(size, vocabulary_size * goal_size),
                "goal_embedding": nn.Linear(num_features, goal_size, bias=False),
            }
        )
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0.0, 0.1)

    def advance(self, tokens: Tensor, features: Tensor, state: PlainState) -> PlainState:
        """Read one token per row, and the features (B, F) of the prefix that it ends."""
        manager = self.manager["cell"](features, state.manager)
        goal = functional.normalize(self.manager["goal"](manager[0]), dim=-1)
        worker = self.worker["cell"](self.worker["embedding"](tokens), state.worker)
        return PlainState(manager, worker, (*state.goals, goal)[-self.horizon :])

    def logits(self, state: PlainState) -> Tensor:
        """Return the logits (B, V) of the next token; the worker's losses do not reach the manager."""
        assert state.worker is not None
        goals = self.worker["goal_embedding"](torch.stack(state.goals).sum(0).detach())
        matrix = self.worker["output"](state.worker[0]).view(len(goals), -1, self.goal_size)
        return torch.bmm(matrix, goals[:, :, None]).squeeze(2)

    def teacher_forced(
        self, discriminator: PlainDiscriminator, tokens: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (B, T, V), the features (B, T + 1, F) of all prefixes, and goals (B, T, F)."""
        state, last = PlainState(), torch.full_like(tokens[:, 0], BOS)
        features, goals, logits = [leak(discriminator, tokens, 0)], [], []
        for step in range(tokens.shape[1]):
            state = self.advance(last, features[-1], state)
            logits.append(self.logits(state))
            goals.append(state.goals[-1])
            features.append(leak(discriminator, tokens, step + 1))
            last = tokens[:, step]
        return torch.stack(logits, 1), torch.stack(features, 1), torch.stack(goals, 1)


@torch.no_grad()
def leak(discriminator: PlainDiscriminator, tokens: Tensor, length: int) -> Tensor:
    """Return the features (B, F) of the first ``length`` tokens, padded to the full length."""
    padded = torch.full_like(tokens, PAD)
    padded[:, :length] = tokens[:, :length]
    return discriminator.features(padded)


@torch.no_grad()
def complete(
    model: PlainLeakGAN, discriminator: PlainDiscriminator, prefix: Tensor, num_steps: int
) -> Tensor:
    """Read BOS and the prefix (B, P) step by step, then sample on to ``num_steps`` tokens."""
    num_sequences, num_given = prefix.shape
    tokens = functional.pad(prefix, (0, num_steps - num_given), value=PAD)
    state, last = PlainState(), prefix.new_full((num_sequences,), BOS)
    for step in range(num_steps):
        state = model.advance(last, leak(discriminator, tokens, step), state)
        # also where the token is given: the one step function of public code gives the distribution
        probabilities = torch.softmax(model.logits(state), -1)
        if step >= num_given:
            tokens[:, step] = torch.multinomial(probabilities, 1)[:, 0]
        last = tokens[:, step]
    return tokens


@torch.no_grad()
def search_rewards(
    model: PlainLeakGAN, discriminator: PlainDiscriminator, tokens: Tensor, num_rollouts: int
) -> Tensor:
    """Estimate rewards (B, T) by Monte-Carlo search at every C-th prefix, one rollout at a time."""
    discriminator.eval()
    num_steps, interval = tokens.shape[1], model.horizon
    rewards = torch.softmax(discriminator(tokens), -1)[:, 1:].repeat(1, num_steps)
    for length in range(interval, num_steps, interval):
        between = slice(length - interval, length)
        rewards[:, between] = 0.0
        for _ in range(num_rollouts):
            finished = complete(model, discriminator, tokens[:, :length], num_steps)
            rewards[:, between] += torch.softmax(discriminator(finished), -1)[:, 1:] / num_rollouts
    return rewards


def rescaled(rewards: Tensor) -> Tensor:
    """Compute sigmoid(delta · (0.5 − rank / B)), rank 1 being a step's highest reward."""
    rank = rewards.argsort(0, descending=True).argsort(0) + 1
    return torch.sigmoid(DELTA * (0.5 - rank / len(rewards)))


def manager_loss(features: Tensor, goals: Tensor, rewards: Tensor, horizon: int) -> Tensor:
    """Return −Q · cos(f_{t+C} − f_t, g_t); ``rewards`` belong to the prefixes that the transitions reach."""
    moved = features[:, horizon:] - features[:, :-horizon]
    cosines = functional.cosine_similarity(moved, goals[:, : moved.shape[1]], dim=-1)
    return -(rewards[:, horizon - 1 :] * cosines).mean()


@torch.no_grad()
def intrinsic_rewards(features: Tensor, goals: Tensor, horizon: int) -> Tensor:
    """Average cos(f_t − f_{t−i}, g_{t−i}) over i = 1..C, for t = 1..T."""
    num_steps = goals.shape[1]
    rewards = torch.zeros(goals.shape[:2], device=goals.device)
    for i in range(1, horizon + 1):
        moved = features[:, i:] - features[:, :-i]
        rewards[:, i - 1 :] += functional.cosine_similarity(moved, goals[:, : num_steps + 1 - i], dim=-1)
    return rewards / horizon


class PlainTrainer:
    """The two optimizers and what they minimise."""

    def __init__(self, model: PlainLeakGAN, discriminator: PlainDiscriminator) -> None:
        self.model, self.discriminator = model, discriminator.eval()
        self.optimizers = [torch.optim.Adam(part.parameters()) for part in (model.manager, model.worker)]

    def mle_step(self, tokens: Tensor) -> None:
        """Train the worker by maximum likelihood, the manager by real transitions."""
        logits, features, goals = self.model.teacher_forced(self.discriminator, tokens)
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        ones = torch.ones(tokens.shape, device=tokens.device)
        self._step(loss + manager_loss(features, goals, ones, self.model.horizon))

    def policy_update(self, num_sequences: int, num_steps: int, num_rollouts: int) -> None:
        """Sample, search, and one step of manager and worker."""
        model, device = self.model, next(self.model.parameters()).device
        nothing = torch.empty(num_sequences, 0, dtype=torch.long, device=device)
        tokens = complete(model, self.discriminator, nothing, num_steps)
        rewards = rescaled(search_rewards(model, self.discriminator, tokens, num_rollouts))
        logits, features, goals = model.teacher_forced(self.discriminator, tokens)
        log_probs = torch.log_softmax(logits, -1).gather(-1, tokens[..., None]).squeeze(-1)
        worker_loss = -(log_probs * intrinsic_rewards(features, goals, model.horizon)).mean()
        self._step(worker_loss + manager_loss(features, goals, rewards, model.horizon))

    def _step(self, loss: Tensor) -> None:
        """Step both; the losses share no parameter, so one backward pass serves both optimizers."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 5.0)
            optimizer.step()
