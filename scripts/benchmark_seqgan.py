"""SeqGAN beside plain.py."""

from collections.abc import Callable
from functools import partial

import numpy as np
import plain
import torch
from harness import (
    BATCH,
    CORPUS,
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
from torch import nn

from seqgan.advantages.rollouts import Rollouts, RolloutsSettings
from seqgan.algorithms.reinforce import Reinforce, ReinforceSettings
from seqgan.evaluation import bleu, ngrams
from seqgan.models.generator import Generator
from seqgan.models.kernels.fast_linear import Precision
from seqgan.models.lstm import LSTMGenerator, LSTMSettings
from seqgan.models.transformer import TransformerGenerator, TransformerSettings
from seqgan.sampling.sample import sample
from seqgan.sampling.settings import SamplingSettings
from seqgan.text.sequences import Sequences
from seqgan.text.token_batch import TokenBatch
from seqgan.training.discriminator import DiscriminatorTrainer, DiscriminatorTrainingSettings
from seqgan.training.mle import MLESettings, MLETrainer

SIZES = "E = H = 32"


def make_generator(kind: str, device: torch.device, num_steps: int = STEPS) -> Generator:
    """Build a generator of the paper's size on the device."""
    rng = torch.Generator().manual_seed(0)
    if kind == "lstm":
        return LSTMGenerator(LSTMSettings(), vocabulary_size=VOCABULARY, bos_id=0, rng=rng).to(device)
    config = TransformerSettings(max_length=num_steps)
    return TransformerGenerator(config, vocabulary_size=VOCABULARY, bos_id=0, rng=rng).to(device)


def our_policy_update(
    kind: str, device: torch.device, precision: Precision = "float32", num_steps: int = STEPS
) -> Operation:
    """Sample B sequences, value their actions by N rollouts and the discriminator, one REINFORCE step."""
    policy, rng = make_generator(kind, device, num_steps), torch.Generator(device).manual_seed(2)
    sampling = SamplingSettings(precision=precision)
    estimator = Rollouts(
        RolloutsSettings(num_rollouts=ROLLOUTS, baseline="none"),
        policy=policy,
        reward=make_reward(make_discriminator(device, precision)),
        sampling=sampling,
        eos_id=None,
        pad_id=0,
        rng=rng,
    )
    algorithm = Reinforce(
        ReinforceSettings(batch_size=BATCH, whiten=False, reduction="sum"),
        policy=policy,
        estimator=estimator,
        sampling=sampling,
        max_length=num_steps,
        eos_id=None,
        rng=rng,
    )
    return algorithm.step


def plain_policy_update(kind: str, device: torch.device) -> Operation:
    """Do the same one rollout and one prefix at a time, each prefix read anew."""
    model: nn.Module
    reader: plain.Reader
    if kind == "lstm":
        model = reader = plain.PlainLSTM(VOCABULARY, 32).to(device)
        logits_of: Callable[[torch.Tensor], torch.Tensor] = model
    else:
        model = generator = make_generator(kind, device)
        reader = plain.Uncached(generator)

        def logits_of(inputs: torch.Tensor) -> torch.Tensor:
            return generator.head.logits(generator.encode(inputs))

    optimizer = torch.optim.Adam(model.parameters())
    discriminator = make_plain_discriminator(device)
    return lambda: plain.policy_update(
        reader,
        logits_of,
        optimizer,
        discriminator,
        num_sequences=BATCH,
        num_steps=STEPS,
        num_rollouts=ROLLOUTS,
        device=device,
    )


def bench_sampling(bench: Bench) -> None:
    """Measure sampling from the LSTM."""
    device, rng = bench.device, torch.Generator(bench.device).manual_seed(0)
    theirs, ours = plain.PlainLSTM(VOCABULARY, 32).to(device), make_generator("lstm", device)
    for batch in (BATCH, 512):
        bos = torch.zeros(batch, 1, dtype=torch.long, device=device)
        bench.row(
            f"sampling, B {batch}",
            partial(plain.complete, theirs, bos, STEPS),
            partial(sample, ours, batch, STEPS, eos_id=None, rng=rng),
        )


def bench_mle(bench: Bench) -> None:
    """Measure a step of maximum likelihood on B sequences."""
    tokens = make_tokens()
    theirs = plain.PlainLSTM(VOCABULARY, 32).to(bench.device)
    optimizer = torch.optim.Adam(theirs.parameters())
    batch = tokens[:BATCH].to(bench.device)
    trainer = MLETrainer(
        MLESettings(batch_size=BATCH),
        policy=make_generator("lstm", bench.device),
        corpus=make_corpus(tokens),
        pad_id=0,
        device=bench.device,
        seed=0,
    )
    bench.row("MLE step", lambda: plain.mle_step(theirs, optimizer, batch), trainer.step)


def bench_discriminator(bench: Bench) -> None:
    """Measure a step of the discriminator on B sequences, half of them real."""
    tokens = make_tokens().to(bench.device)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    theirs = make_plain_discriminator(bench.device)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-4)
    labels = (torch.arange(BATCH, device=bench.device) < BATCH // 2).long()
    real = TokenBatch(tokens, mask)
    trainer = DiscriminatorTrainer(
        DiscriminatorTrainingSettings(batch_size=BATCH),
        discriminator=make_discriminator(bench.device),
        policy=make_generator("lstm", bench.device),
        train=real,
        validation=real.select(slice(BATCH)),
        sampling=SamplingSettings(),
        eos_id=None,
        pad_id=0,
        max_length=STEPS,
        rng=torch.Generator(bench.device).manual_seed(0),
        seed=0,
    )
    trainer.refresh()  # the negatives of all steps that are timed
    bench.row(
        "discriminator step",
        lambda: plain.discriminator_step(theirs, optimizer, tokens[:BATCH], labels),
        trainer.step,
    )


def bench_policy(bench: Bench) -> None:
    """Measure the policy update of the LSTM."""
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    ours = {f"policy update, {each}": our_policy_update("lstm", bench.device, each) for each in precisions}
    bench.rows(plain_policy_update("lstm", bench.device), ours, slow=True)


def bench_transformer(bench: Bench) -> None:
    """Measure the policy update of the transformer."""
    theirs, ours = (make("transformer", bench.device) for make in (plain_policy_update, our_policy_update))
    bench.row("policy update, transformer (plain: no cache)", theirs, ours, slow=True)


def bench_bleu(bench: Bench, num_timed: int = 2) -> None:
    """Measure BLEU-2..5 and self-BLEU-2..5; nltk on a few sentences, scaled to all."""
    rng = np.random.default_rng(0)
    lists = [
        [(rng.zipf(1.3, size=length) % VOCABULARY).tolist() for length in rng.integers(8, STEPS, CORPUS)]
        for _ in range(2)
    ]
    words = [[[str(token) for token in sentence] for sentence in corpus] for corpus in lists]
    references, hypotheses = (Sequences.from_lists(corpus) for corpus in lists)
    scale, note = CORPUS / num_timed, f"(nltk: {num_timed} sentences, scaled)"
    bench.row(
        f"BLEU-2..5, {CORPUS:,} against {CORPUS:,} {note}",
        lambda: plain.bleu(words[0], words[1][:num_timed]),
        lambda: bleu.References(references).sentence_bleu(ngrams.count_ngrams(hypotheses, 5)),
        scale=scale,
        slow=True,
    )
    bench.row(
        f"self-BLEU-2..5 of {CORPUS:,} {note}",
        lambda: [plain.bleu(words[1][:i] + words[1][i + 1 :], [words[1][i]]) for i in range(num_timed)],
        lambda: bleu.sentence_self_bleu(ngrams.count_ngrams(hypotheses, 5)),
        scale=scale,
        slow=True,
    )


def bench_growth(bench: Bench) -> None:
    """Measure how the policy update grows with the length."""
    bench.growth(lambda num_steps: our_policy_update("lstm", bench.device, num_steps=num_steps))


def bench_memory(bench: Bench) -> None:
    """Measure the peak memory of the policy updates."""
    for name in UPDATES:
        bench.memory(name)


UPDATES = {
    "lstm": partial(our_policy_update, "lstm"),
    "transformer": partial(our_policy_update, "transformer"),
}
ROWS = {
    "sampling": bench_sampling,
    "mle": bench_mle,
    "discriminator": bench_discriminator,
    "policy": bench_policy,
    "transformer": bench_transformer,
    "bleu": bench_bleu,
    "growth": bench_growth,
    "memory": bench_memory,
}
