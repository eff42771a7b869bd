"""What the benchmarks share: how operations are measured beside each other, and the sizes, the paper's."""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import plain
import torch

from seqgan.models.cnn import CNNDiscriminator, CNNDiscriminatorSettings
from seqgan.models.kernels.fast_linear import Precision
from seqgan.rewards.discriminator import DiscriminatorReward, DiscriminatorRewardSettings
from seqgan.text.prepared import PreparedCorpus
from seqgan.text.vocabulary import Vocabulary

VOCABULARY, STEPS, BATCH, ROLLOUTS, CORPUS = 5000, 20, 64, 16, 10_000
Operation = Callable[[], object]


@dataclass(frozen=True)
class Bench:
    """How to measure, and where."""

    device: torch.device
    repeats: int

    def seconds(self, operation: Operation) -> float:
        """Return the time of one call, the device's work included."""
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
        self.rows(theirs, {name: ours}, scale=scale, slow=slow)

    def rows(
        self, theirs: Operation, ours: dict[str, Operation], *, scale: float = 1.0, slow: bool = False
    ) -> None:
        """Do the same for several of ours beside one of theirs, a line for each."""
        operations = (theirs, *ours.values())
        for operation in operations[slow:]:
            operation()
        times = [[self.seconds(operation) for operation in operations] for _ in range(self._repeats(slow))]
        plain_time, *our_times = (statistics.median(column) for column in zip(*times, strict=True))
        plain_time *= scale
        for name, our_time in zip(ours, our_times, strict=True):
            ratio = plain_time / our_time
            print(f"| {name} | {duration(plain_time)} | {duration(our_time)} | {ratio:,.1f} × |", flush=True)

    def growth(self, make_update: Callable[[int], Operation]) -> None:
        """Print how a policy update grows with the length, a line for each."""
        times = {}
        for num_steps in (20, 40, 80):
            update = make_update(num_steps)
            update()
            times[num_steps] = statistics.median(self.seconds(update) for _ in range(self.repeats))
        for num_steps, seconds in times.items():
            growth = f"{seconds / times[20]:.1f} × that of T 20"
            print(f"| policy update, T {num_steps} | – | {duration(seconds)} | {growth} |", flush=True)

    def memory(self, name: str) -> None:
        """Print the peak memory of a policy update (a name in ``UPDATES``), in a process of its own."""
        command = [sys.executable, sys.argv[0], "--measure-memory", name, "--device", str(self.device)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        print(f"| peak memory of the policy update, {name} | – | {output.strip()} | |", flush=True)

    def _repeats(self, slow: bool) -> int:
        return min(self.repeats, 3) if slow else 3 * self.repeats

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def duration(seconds: float) -> str:
    """Write seconds in the unit that reads best."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def make_discriminator(device: torch.device, precision: Precision = "float32") -> CNNDiscriminator:
    """Build the paper's discriminator on the device."""
    config = CNNDiscriminatorSettings(scoring_precision=precision)
    rng = torch.Generator().manual_seed(0)
    return CNNDiscriminator(config, vocabulary_size=VOCABULARY, rng=rng).to(device)


def make_plain_discriminator(device: torch.device) -> plain.PlainDiscriminator:
    """Build the same by plain means."""
    config = CNNDiscriminatorSettings()
    sizes = config.embedding_size, config.widths, config.num_filters
    return plain.PlainDiscriminator(VOCABULARY, *sizes).to(device)


def make_tokens(num_steps: int = STEPS) -> torch.Tensor:
    """Return random sequences (CORPUS, num_steps)."""
    return torch.randint(0, VOCABULARY, (CORPUS, num_steps), generator=torch.Generator().manual_seed(1))


def make_corpus(tokens: torch.Tensor) -> PreparedCorpus:
    """Return a corpus whose training part these are."""
    few = tokens[:BATCH].numpy()
    return PreparedCorpus.from_ids(tokens.numpy(), few, few, Vocabulary.integers(VOCABULARY))


def make_reward(discriminator: CNNDiscriminator) -> DiscriminatorReward:
    """Return the probability that a sequence is real."""
    return DiscriminatorReward(DiscriminatorRewardSettings(), discriminator=discriminator)


def measure_memory(update: Operation, device: torch.device) -> str:
    """Return what two policy updates needed at most: of the whole process, or of the GPU."""
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
