"""LeakGAN beside plain_leakgan.py, with rollouts of every C-th prefix."""

from typing import Any

import torch
from harness import (
    BATCH,
    ROLLOUTS,
    STEPS,
    VOCABULARY,
    Bench,
    Operation,
    make_corpus,
    make_discriminator,
    make_plain_discriminator,
    make_reward,
    make_tokens,
)
from plain_leakgan import PlainLeakGAN, PlainTrainer, complete, search_rewards

from leakgan.algorithm import LeakGANAlgorithm, LeakGANAlgorithmSettings
from leakgan.estimators import LeakGANRollouts, LeakGANRolloutsSettings
from leakgan.generator import LeakGANGenerator, LeakGANSettings
from leakgan.mle import HierarchicalMLESettings, HierarchicalMLETrainer
from seqgan.models.discriminator import Discriminator
from seqgan.models.kernels.fast_linear import Precision
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings

CONFIG = LeakGANSettings()
SIZES = f"E = H = 32, K {CONFIG.goal_size}, C {CONFIG.horizon}, F 1720"


def make_generator(discriminator: Discriminator, device: torch.device) -> LeakGANGenerator:
    """Build a generator of the paper's size on the device."""
    rng = torch.Generator().manual_seed(0)
    generator = LeakGANGenerator(
        CONFIG, vocabulary_size=VOCABULARY, bos_id=0, discriminator=discriminator, rng=rng
    )
    return generator.to(device)


def make_plain(device: torch.device) -> PlainTrainer:
    """Build the same by plain means, with its discriminator and its optimizers."""
    discriminator = make_plain_discriminator(device)
    num_features = discriminator.output.in_features
    sizes = VOCABULARY, CONFIG.hidden_size, num_features, CONFIG.goal_size, CONFIG.horizon
    return PlainTrainer(PlainLeakGAN(*sizes).to(device), discriminator)


def our_policy_update(
    device: torch.device, precision: Precision = "float32", num_steps: int = STEPS
) -> Operation:
    """Sample B sequences, value their actions by N rollouts, one step of manager and worker."""
    discriminator, rng = make_discriminator(device, precision), torch.Generator(device).manual_seed(2)
    policy, sampling = make_generator(discriminator, device), SamplingSettings(precision=precision)
    estimator: Any = LeakGANRollouts(
        LeakGANRolloutsSettings(num_rollouts=ROLLOUTS, interval=CONFIG.horizon),
        policy=policy,
        reward=make_reward(discriminator),
        sampling=sampling,
        eos_id=None,
        pad_id=0,
        rng=rng,
    )
    algorithm = LeakGANAlgorithm(
        LeakGANAlgorithmSettings(batch_size=BATCH),
        policy=policy,
        estimator=estimator,
        sampling=sampling,
        max_length=num_steps,
        eos_id=None,
        rng=rng,
    )
    return algorithm.step


def bench_sampling(bench: Bench) -> None:
    """Measure sampling."""
    device, rng = bench.device, torch.Generator(bench.device).manual_seed(0)
    theirs, ours = make_plain(device), make_generator(make_discriminator(device), device)
    nothing = torch.empty(BATCH, 0, dtype=torch.long, device=device)
    bench.row(
        f"sampling, B {BATCH}",
        lambda: complete(theirs.model, theirs.discriminator, nothing, STEPS),
        lambda: sample(ours, BATCH, STEPS, eos_id=None, rng=rng),
    )


def bench_mle(bench: Bench) -> None:
    """Measure a step of pre-training on B sequences, of manager and worker."""
    tokens, theirs = make_tokens(), make_plain(bench.device)
    batch = tokens[:BATCH].to(bench.device)
    trainer = HierarchicalMLETrainer(
        HierarchicalMLESettings(batch_size=BATCH),
        policy=make_generator(make_discriminator(bench.device), bench.device),
        corpus=make_corpus(tokens),
        pad_id=0,
        device=bench.device,
        seed=0,
    )
    bench.row("MLE step", lambda: theirs.mle_step(batch), trainer.step)


def bench_policy(bench: Bench) -> None:
    """Measure the policy update."""
    theirs = make_plain(bench.device)
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    ours = {f"policy update, {each}": our_policy_update(bench.device, each) for each in precisions}
    bench.rows(lambda: theirs.policy_update(BATCH, STEPS, ROLLOUTS), ours, slow=True)


def bench_long(bench: Bench, num_steps: int = 40) -> None:
    """Measure it on longer sequences; of the plain one the search alone, and one rollout of it."""
    theirs = make_plain(bench.device)
    tokens = make_tokens(num_steps)[:BATCH].to(bench.device)
    name = f"policy update, T {num_steps} (plain: 1 of {ROLLOUTS} rollouts, scaled, no learning)"
    bench.row(
        name,
        lambda: search_rewards(theirs.model, theirs.discriminator, tokens, 1),
        our_policy_update(bench.device, num_steps=num_steps),
        scale=ROLLOUTS,
        slow=True,
    )


def bench_growth(bench: Bench) -> None:
    """Measure how the policy update grows with the length."""
    bench.growth(lambda num_steps: our_policy_update(bench.device, num_steps=num_steps))


def bench_memory(bench: Bench) -> None:
    """Measure the peak memory of the policy update."""
    bench.memory("leakgan")


UPDATES = {"leakgan": our_policy_update}
ROWS = {
    "sampling": bench_sampling,
    "mle": bench_mle,
    "policy": bench_policy,
    "long": bench_long,
    "growth": bench_growth,
    "memory": bench_memory,
}
