"""One table: our operations beside a plain implementation (plain.py), measured in turn in one run.

Times are medians over the repeats, ratios those of the medians. The sizes are the paper's: V 5000,
T 20, E = H = 32, B 64, N 16 rollouts, F 1720 filters.
"""

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plain
import torch
from torch import nn

from seqgan.algorithms.reinforce import Reinforce, ReinforceConfig
from seqgan.evaluation import bleu, ngrams
from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorConfig
from seqgan.models.fast_linear import Precision
from seqgan.models.generator import Generator
from seqgan.models.lstm import LSTMConfig, LSTMGenerator
from seqgan.models.transformer import TransformerConfig, TransformerGenerator
from seqgan.rewards.reward import DiscriminatorReward, DiscriminatorRewardConfig
from seqgan.rewards.rollout import action_values
from seqgan.sampling import Trajectories, sample
from seqgan.text.batching import Batch, Batches
from seqgan.text.sequences import Sequences
from seqgan.training.discriminator import DiscriminatorTrainer, DiscriminatorTrainingConfig
from seqgan.training.mle import MLEConfig, MLETrainer

VOCABULARY, STEPS, BATCH, ROLLOUTS, CORPUS = 5000, 20, 64, 16, 10_000
ROWS = ("sampling", "mle", "discriminator", "policy", "transformer", "bleu", "growth", "memory")
Operation = Callable[[], object]


@dataclass(frozen=True)
class Bench:
    """How to measure, and where."""

    device: torch.device
    repeats: int

    def seconds(self, operation: Operation) -> float:
        """The time of one call, the device's work included."""
        self._wait()
        start = time.perf_counter()
        operation()
        self._wait()
        return time.perf_counter() - start

    def row(
        self, name: str, theirs: Operation, ours: Operation, *, scale: float = 1.0, slow: bool = False
    ) -> None:
        """Measure both in turn and print a line; ``scale`` makes a whole of their share of the work.

        An operation so slow that it warms itself up is called once less, and at most three times.
        """
        operations = (theirs, ours)
        if not slow:
            for operation in operations:
                operation()
        ours()
        times = [[self.seconds(operation) for operation in operations] for _ in range(self._repeats(slow))]
        plain_time, our_time = (statistics.median(column) for column in zip(*times, strict=True))
        plain_time *= scale
        ratio = plain_time / our_time
        print(f"| {name} | {duration(plain_time)} | {duration(our_time)} | {ratio:,.1f} × |", flush=True)

    def _repeats(self, slow: bool) -> int:
        return min(self.repeats, 3) if slow else 3 * self.repeats

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def make_generator(kind: str, device: torch.device, num_steps: int = STEPS) -> Generator:
    """A generator of the paper's size on the device."""
    rng = torch.Generator().manual_seed(0)
    if kind == "lstm":
        return LSTMGenerator(LSTMConfig(), vocabulary_size=VOCABULARY, bos_id=0, rng=rng).to(device)
    config = TransformerConfig(max_length=num_steps)
    return TransformerGenerator(config, vocabulary_size=VOCABULARY, bos_id=0, rng=rng).to(device)


def make_discriminator(device: torch.device, precision: Precision = "float32") -> CNNDiscriminator:
    """The paper's discriminator on the device."""
    config = CNNDiscriminatorConfig(scoring_precision=precision)
    rng = torch.Generator().manual_seed(0)
    return CNNDiscriminator(config, vocabulary_size=VOCABULARY, rng=rng).to(device)


def make_plain_discriminator(device: torch.device) -> plain.PlainDiscriminator:
    """The same by plain means."""
    config = CNNDiscriminatorConfig()
    sizes = config.embedding_size, config.widths, config.num_filters
    return plain.PlainDiscriminator(VOCABULARY, *sizes).to(device)


def make_corpus(num_steps: int = STEPS) -> torch.Tensor:
    """Random sequences."""
    return torch.randint(0, VOCABULARY, (CORPUS, num_steps), generator=torch.Generator().manual_seed(1))


def our_policy_update(
    kind: str, device: torch.device, precision: Precision = "float32", num_steps: int = STEPS
) -> Operation:
    """Sample B sequences, value their actions by N rollouts and the discriminator, one REINFORCE step."""
    policy, discriminator = make_generator(kind, device, num_steps), make_discriminator(device, precision)
    reward = DiscriminatorReward(DiscriminatorRewardConfig(), discriminator.score)
    rng = torch.Generator(device).manual_seed(2)

    def values(rollout_policy: Generator, trajectories: Trajectories) -> torch.Tensor:
        return action_values(
            rollout_policy,
            trajectories.tokens,
            trajectories.mask,
            reward,
            num_rollouts=ROLLOUTS,
            precision=precision,
            eos_id=None,
            rng=rng,
        )

    config = ReinforceConfig(batch_size=BATCH, baseline="none", whiten=False, reduction="sum")
    algorithm = Reinforce(
        config, policy=policy, action_values=values, max_length=num_steps, eos_id=None, rng=rng
    )
    return algorithm.policy_step


def plain_policy_update(kind: str, device: torch.device) -> Operation:
    """The same one rollout and one prefix at a time, each prefix read anew."""
    model: nn.Module
    reader: plain.Reader
    if kind == "lstm":
        model = reader = plain.PlainLSTM(VOCABULARY, 32).to(device)
        logits_of: Callable[[torch.Tensor], torch.Tensor] = model
    else:
        model = generator = make_generator(kind, device)
        reader = plain.Uncached(generator)

        def logits_of(inputs: torch.Tensor) -> torch.Tensor:
            return generator.logits(generator.encode(inputs))

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
    """Sampling from the LSTM."""
    device, rng = bench.device, torch.Generator(bench.device).manual_seed(0)
    theirs, ours = plain.PlainLSTM(VOCABULARY, 32).to(device), make_generator("lstm", device)
    for batch in (BATCH, 512):
        bos = torch.zeros(batch, 1, dtype=torch.long, device=device)
        bench.row(
            f"sampling, B {batch}",
            lambda bos=bos: plain.complete(theirs, bos, STEPS),
            lambda batch=batch: sample(ours, batch, STEPS, eos_id=None, rng=rng),
        )


def bench_mle(bench: Bench) -> None:
    """One step of maximum likelihood on B sequences."""
    corpus = make_corpus()
    theirs = plain.PlainLSTM(VOCABULARY, 32).to(bench.device)
    optimizer = torch.optim.Adam(theirs.parameters())
    batch = corpus[:BATCH].to(bench.device)
    batches = Batches(Sequences.from_array(corpus.numpy()), batch_size=BATCH, pad_id=0, seed=0)
    config = MLEConfig(batch_size=BATCH)
    trainer = MLETrainer(make_generator("lstm", bench.device), batches, config, corpus.numel())
    bench.row(
        "MLE step", lambda: plain.mle_step(theirs, optimizer, batch), lambda: trainer.train_step(0, 1.0)
    )


def bench_discriminator(bench: Bench) -> None:
    """One step of the discriminator on B sequences, half of them real."""
    tokens = make_corpus().to(bench.device)
    mask = torch.ones_like(tokens, dtype=torch.bool)
    theirs = make_plain_discriminator(bench.device)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-4)
    labels = (torch.arange(BATCH, device=bench.device) < BATCH // 2).long()
    trainer = DiscriminatorTrainer(
        make_discriminator(bench.device),
        DiscriminatorTrainingConfig(batch_size=BATCH),
        real=Batch(tokens, mask),
        held_out=Batch(tokens[:BATCH], mask[:BATCH]),
        sample_negatives=lambda number: Trajectories(
            tokens[:number], torch.zeros(number, STEPS, device=bench.device), mask[:number]
        ),
        seed=0,
    )
    bench.row(
        "discriminator step",
        lambda: plain.discriminator_step(theirs, optimizer, tokens[:BATCH], labels),
        trainer.train_step,
    )


def bench_policy(bench: Bench) -> None:
    """The policy update of the LSTM."""
    theirs = plain_policy_update("lstm", bench.device)
    for precision in ("float32", "bfloat16"):
        ours = our_policy_update("lstm", bench.device, precision)
        bench.row(f"policy update, {precision}", theirs, ours, slow=True)


def bench_transformer(bench: Bench) -> None:
    """The policy update of the transformer."""
    theirs, ours = (make("transformer", bench.device) for make in (plain_policy_update, our_policy_update))
    bench.row("policy update, transformer (plain: no cache)", theirs, ours, slow=True)


def bench_bleu(bench: Bench, num_timed: int = 2) -> None:
    """BLEU-2..5 and self-BLEU-2..5; nltk on a few sentences, scaled to all."""
    rng = np.random.default_rng(0)
    lists = [
        [(rng.zipf(1.3, size=length) % VOCABULARY).tolist() for length in rng.integers(8, STEPS, CORPUS)]
        for _ in range(2)
    ]
    words = [[[str(token) for token in sentence] for sentence in corpus] for corpus in lists]
    references, hypotheses = (ngrams.Sequences.from_lists(corpus) for corpus in lists)
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
    """How the policy update grows with the length."""
    times = {}
    for num_steps in (20, 40, 80):
        update = our_policy_update("lstm", bench.device, num_steps=num_steps)
        update()
        times[num_steps] = statistics.median(bench.seconds(update) for _ in range(bench.repeats))
    for num_steps, seconds in times.items():
        growth = f"{seconds / times[20]:.1f} × that of T 20"
        print(f"| policy update, T {num_steps} | – | {duration(seconds)} | {growth} |", flush=True)


def bench_memory(bench: Bench) -> None:
    """Peak memory of the policy update, in a process of its own."""
    for kind in ("lstm", "transformer"):
        command = [sys.executable, __file__, "--measure-memory", kind, "--device", str(bench.device)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(f"| peak memory of the policy update, {kind} | – | {output.strip()} | |", flush=True)


def measure_memory(kind: str, device: torch.device) -> str:
    """The memory that two policy updates needed at most: of the whole process, or of the GPU."""
    update = our_policy_update(kind, device)
    for _ in range(2):
        update()
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB on the GPU"
    status = Path(
        "/proc/self/status"
    )  # getrusage would count what the parent process held as it started this
    if status.exists():
        kib = next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line)
    else:
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)
    return f"{kib / 1024:.0f} MiB (whole process)"


def main() -> None:
    """Read the flags and print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="repeats of slow rows; others thrice that (default 3)"
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, help="which rows (default all)")
    parser.add_argument("--measure-memory", choices=("lstm", "transformer"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    if arguments.measure_memory:
        print(measure_memory(arguments.measure_memory, device))
        return
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    print(
        f"{machine}, {arguments.threads} thread(s), torch {torch.__version__}; V {VOCABULARY}, T {STEPS}, "
        f"E = H = 32, B {BATCH}, N {ROLLOUTS}\n"
    )
    print("| operation | plain | here | ratio |\n|---|---:|---:|---:|")
    bench = Bench(device, arguments.repeats)
    benches = (
        bench_sampling, bench_mle, bench_discriminator, bench_policy,
        bench_transformer, bench_bleu, bench_growth, bench_memory,
    )  # fmt: skip
    for name, function in zip(ROWS, benches, strict=True):
        if name in arguments.rows:
            function(bench)


if __name__ == "__main__":
    main()
