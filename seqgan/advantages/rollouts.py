"""Action values by Monte-Carlo search, all prefixes in lockstep (Yu et al. 2017, section 2.2, equation 4).

A branch is one completion of one prefix. The state of every prefix is met while the sequence itself
is read once; there its branches start, and from then on all branches go forward together. So T steps
are enough, and nothing is ever encoded twice.

With an interval c only the prefixes of c, 2c, ... tokens are completed. An action in between takes the
value of the next of them, which is unbiased: the mean value of a longer prefix, given a shorter
one, is the value of the shorter one.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqgan.advantages.action_values import ActionValues
from seqgan.advantages.baselines import Baseline, BaselineSettings, RolloutBaselineKind
from seqgan.advantages.controls import apply_control
from seqgan.config.ranges import Range
from seqgan.models.generator import Generator
from seqgan.models.inference import inference
from seqgan.models.kernels.fast_linear import Precision
from seqgan.rewards.reward import Reward, sequence_rewards
from seqgan.runtime import devices
from seqgan.sampling.settings import SamplingSettings
from seqgan.sampling.token_sampler import TokenSampler
from seqgan.sampling.trajectories import Trajectories
from seqgan.text.masking import mask_from_tokens
from seqgan.text.token_batch import TokenBatch, replace_tokens

SCORED_ROWS = 2**16  # completions held and handed to the reward at once


@dataclass(frozen=True, kw_only=True)
class RolloutsSettings(BaselineSettings):
    """Settings of the Monte-Carlo search."""

    kind: str = "rollouts"
    num_rollouts: Annotated[int, Range(minimum=1)] = 16
    """Completions per prefix; at least 1, the paper's 16."""
    interval: Annotated[int, Range(minimum=1)] = 1
    """Steps between two prefixes that are completed; the actions between take the value of the next one."""
    temperature: Annotated[float | None, Range(minimum=0)] = None
    """Temperature of the completions; none takes that of sampling, 0 the likeliest token."""
    max_rows: Annotated[int, Range(minimum=1)] = 4096
    """Completions sampled together, which bounds the memory and changes no result; at least 1."""
    baseline: RolloutBaselineKind = "step_mean"  # type: ignore[assignment]  # one kind more
    """Subtracted from the action values: nothing, a running mean (ewma), the others' mean at that step, or
    the value of the prefix that the action continues, which costs nothing more."""
    lag: Annotated[float, Range(minimum=0, maximum=1)] = 0.0
    """Share of the old weights that the rollout policy keeps at each step; 0 rolls out the current policy."""


class Rollouts:
    """Monte-Carlo action values of the sampled tokens, by completions of the policy or of one that lags."""

    def __init__(
        self,
        settings: RolloutsSettings,
        *,
        policy: Generator,
        reward: Reward,
        sampling: SamplingSettings,
        eos_id: int | None,
        pad_id: int,
        rng: torch.Generator,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.rollout_policy = copy.deepcopy(policy).requires_grad_(False) if settings.lag else policy
        self.reward = reward
        self.sampling = sampling
        self.eos_id = eos_id
        self.pad_id = pad_id
        self.rng = rng
        self.baseline = Baseline(
            settings.baseline, settings.baseline_decay, policy.device, interval=settings.interval
        )

    def __call__(self, policy: Generator, trajectories: Trajectories) -> ActionValues:
        """Return the sampled tokens with their values and baselines."""
        values = self.estimate(policy, trajectories)
        found = ActionValues.of_tokens(trajectories, values, self.baseline(values, trajectories.mask))
        return apply_control(found, self.settings.control, self.rng)

    def estimate(self, policy: Generator, batch: TokenBatch) -> Float[Tensor, "B T"]:
        """Return the Monte-Carlo action value of every token."""
        settings, temperature = self.settings, self.settings.temperature
        return estimate_action_values(
            self.rollout_policy if settings.lag else policy,
            batch,
            self.reward,
            num_rollouts=settings.num_rollouts,
            interval=settings.interval,
            temperature=self.sampling.temperature if temperature is None else temperature,
            max_rows=settings.max_rows,
            precision=self.sampling.precision,
            eos_id=self.eos_id,
            pad_id=self.pad_id,
            rng=self.rng,
        )

    def start(self) -> None:
        """Take the policy as it is now for the rollouts."""
        if self.settings.lag:
            self.rollout_policy.load_state_dict(self.policy.state_dict())

    @torch.no_grad()
    def learn(self, trajectories: Trajectories, values: ActionValues) -> dict[str, Tensor]:
        """Move a lagging rollout policy towards the policy; return no metrics."""
        if self.settings.lag:
            pairs = zip(self.rollout_policy.parameters(), self.policy.parameters(), strict=True)
            for lagging, current in pairs:
                lagging.lerp_(current, 1 - self.settings.lag)
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the baseline and of a lagging rollout policy."""
        state: dict[str, Any] = {"baseline": self.baseline.state_dict()}
        return state | ({"rollout_policy": self.rollout_policy.state_dict()} if self.settings.lag else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.baseline.load_state_dict(state["baseline"])
        if self.settings.lag:
            self.rollout_policy.load_state_dict(state["rollout_policy"])


def estimate_action_values(
    policy: Generator,
    batch: TokenBatch,
    reward: Reward,
    *,
    num_rollouts: int = 16,
    interval: int = 1,
    temperature: float = 1.0,
    max_rows: int = 4096,
    precision: Precision = "float32",
    eos_id: int | None,
    pad_id: int = 0,
    rng: torch.Generator,
) -> Float[Tensor, "B T"]:
    """Return Q(y_1..y_{t-1}, y_t): the mean reward of ``num_rollouts`` completions of y_1..y_t by the policy.

    With an ``interval`` t is rounded up to a multiple of it. Where that reaches the last real token the
    value is the reward of the sequence itself; behind the mask it is 0. The policy is in evaluation mode
    and without gradient. The random numbers do not depend on ``max_rows``.

    Raises:
        ValueError: The reward gives one number per token.
    """
    num_sequences, num_steps = batch.tokens.shape
    num_prefixes = (num_steps - 1) // interval  # P, of one sequence
    branches = num_prefixes * num_rollouts  # P·N, of one sequence
    shape = (num_prefixes, num_rollouts, num_steps - 1)  # one uniform number per branch and step
    with inference(policy), policy.prepared(precision):
        sampler = TokenSampler(policy, temperature=temperature, precision=precision)
        tokens = torch.where(batch.mask, batch.tokens, pad_id)
        everyone = torch.arange(num_sequences, device=tokens.device)
        final = sequence_rewards(reward, replace_tokens(batch, everyone, tokens, batch.mask))  # (B,)
        values = final[:, None].repeat(1, num_steps)
        # Two levels of chunks: groups bound what the reward is handed, slices what the policy reads at once.
        for members, prompts in _prompts_of_one_length(batch) if branches else ():
            for group in _slices(len(members), max(SCORED_ROWS, max_rows) // branches):
                chosen, before = members[group], prompts[group]  # (G,), (G, prompt)
                read = tokens[chosen]  # (G, T)
                goes_on = batch.mask[
                    chosen, interval::interval
                ]  # (G, P): prefixes that are not yet the whole
                uniforms = torch.stack([torch.rand(shape, generator=rng, device=tokens.device) for _ in read])
                completions = tokens.new_empty(len(read), num_prefixes, num_rollouts, num_steps)
                for rows in _slices(len(read), max_rows // branches):
                    for some in _slices(num_rollouts, max_rows // num_prefixes):
                        numbers = uniforms[rows, :, some]
                        completions[rows, :, some] = _complete(
                            policy,
                            sampler,
                            before[rows],
                            read[rows],
                            goes_on[rows],
                            numbers,
                            interval,
                            eos_id,
                        )
                score = _Scorer(reward, batch, chosen, eos_id, pad_id)
                means = torch.where(goes_on, score.mean_rewards(completions, goes_on), final[chosen, None])
                # Prefix p has (p + 1)·c tokens; the actions at steps p·c..(p + 1)·c − 1 take its value.
                values[chosen, : num_prefixes * interval] = means.repeat_interleave(interval, 1)
    return torch.where(batch.mask, values, 0.0)


def _prompts_of_one_length(batch: TokenBatch) -> list[tuple[Int[Tensor, "R"], Int[Tensor, "R L"]]]:
    """Return rows whose prompts have one length, and those prompts, so that all states grow in step."""
    if batch.prompt is not None:
        return batch.prompt.by_length()
    rows = torch.arange(len(batch), device=batch.device)
    return [(rows, rows.new_empty(len(rows), 0))]


def _slices(total: int, size: int) -> Iterator[slice]:
    """Return ``total`` rows in slices of ``size``, at least one row each."""
    step = max(1, size)
    return (slice(start, start + step) for start in range(0, total, step))


def _complete(
    policy: Generator,
    sampler: TokenSampler,
    prompts: Int[Tensor, "B L"],
    tokens: Int[Tensor, "B T"],
    goes_on: Bool[Tensor, "B P"],
    uniforms: Float[Tensor, "B P N S"],
    interval: int,
    eos_id: int | None,
) -> Int[Tensor, "B P N T"]:
    """Return N completions of each of the P prefixes, by S = T - 1 numbers each; without meaning behind EOS.

    On a CPU branches of ended prefixes never start and ended branches leave the batch. Elsewhere
    all go on to the end, so that shapes do not depend on values.
    """
    (num_sequences, num_steps), num_rollouts = tokens.shape, uniforms.shape[2]
    compact = not devices.static_shapes(tokens)
    # Every completion begins as a copy of its whole sequence and is overwritten behind its prefix.
    completions = tokens[:, None, None].repeat(1, goes_on.shape[1], num_rollouts, 1)
    all_completions, all_uniforms = completions.view(-1, num_steps), uniforms.reshape(-1, num_steps - 1)
    numbers = torch.arange(len(all_completions), device=tokens.device).view(completions.shape[:3])
    sequences = torch.arange(num_sequences, device=tokens.device)

    # The policy's batch is all B sequences, then the A active branches. `branch` (A,) is the row of each in
    # `all_completions`, `last` (A,) the token that it drew last.
    branch, last = sequences[:0], tokens[:0, 0]
    _, state = policy.advance(*policy.start(prompts))
    for step in range(1, num_steps):
        hidden, state = policy.advance(torch.cat([tokens[:, step - 1], last]), state)  # (B + A, H)
        # The prefix of `step` tokens has just been read: where it is one of the P, its N branches start from
        # the sequence's own state.
        prefix = step // interval - 1
        opening = sequences[goes_on[:, prefix]] if compact else sequences
        if step % interval:
            opening = sequences[:0]
        opened, _ = sampler.draw(hidden[opening], uniforms[opening, prefix, :, step - 1])  # (O, N)
        drawn, _ = sampler.draw(hidden[num_sequences:], all_uniforms[branch, step - 1, None])  # (A, 1)
        # `rows` says which row of the batch each branch continues: itself, or the sequence that it leaves.
        rows = torch.arange(num_sequences, len(hidden), device=tokens.device)
        rows = torch.cat([rows, opening.repeat_interleave(num_rollouts)])
        branch = torch.cat([branch, numbers[opening, prefix].flatten()])
        last = torch.cat([drawn.flatten(), opened.flatten()])
        all_completions[branch, step] = last
        if compact and eos_id is not None:
            alive = last != eos_id
            branch, last, rows = branch[alive], last[alive], rows[alive]
        unchanged = not len(opening) and num_sequences + len(rows) == len(hidden)
        if step < num_steps - 1 and not unchanged:  # copying the state costs as much as a small step
            state = state.select(torch.cat([sequences, rows]))
    return completions


@dataclass(frozen=True)
class _Scorer:
    """The reward of completions of some rows of a batch."""

    reward: Reward
    batch: TokenBatch
    sequences: Int[Tensor, "B"]
    """The rows of the batch that are completed."""
    eos_id: int | None
    pad_id: int

    def mean_rewards(
        self, completions: Int[Tensor, "B P N T"], goes_on: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B P"]:
        """Return the mean reward of each prefix's completions; means nothing where the prefix had ended."""
        num_prefixes, num_rollouts = completions.shape[1:3]
        sources = self.sequences[:, None, None].expand(-1, num_prefixes, num_rollouts)  # (B, P, N)
        if devices.static_shapes(goes_on):
            rewards = self._rewards(completions.flatten(0, 2), sources.flatten())
            return rewards.view(completions.shape[:3]).mean(2)
        wanted = completions[goes_on]  # (W, N, T): only those that are asked for
        means = torch.zeros(goes_on.shape)
        rewards = self._rewards(wanted.flatten(0, 1), sources[goes_on].flatten())
        means[goes_on] = rewards.view(wanted.shape[:2]).mean(1)
        return means

    def _rewards(self, tokens: Int[Tensor, "R T"], sources: Int[Tensor, "R"]) -> Float[Tensor, "R"]:
        if not len(tokens):
            return torch.zeros(0, device=tokens.device)
        mask = mask_from_tokens(tokens, self.eos_id)
        completed = replace_tokens(self.batch, sources, torch.where(mask, tokens, self.pad_id), mask)
        return sequence_rewards(self.reward, completed)
