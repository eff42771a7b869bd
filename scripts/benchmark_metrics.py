"""The metrics of text: BLEU beside nltk, and how they grow with the number of sentences.

First BLEU and self-BLEU of 10,000 sentences against 10,000; nltk scores a sample of them, scaled to all.
Then N generated sentences against N real ones, every line in a process of its own, references counted anew.
Made-up sentences of 8 to 19 words, V 5000, Zipf-distributed and so without any common phrases, which is the
hard case. All on one thread.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import benchmark_seqgan
import numpy as np
import torch
from harness import Bench

from seqgan.evaluation import bleu, ngrams
from seqgan.evaluation.metrics import measure_texts
from seqgan.evaluation.texts import RealText, TextPair
from seqgan.text.sequences import Sequences

VOCABULARY, LENGTHS = 5000, (8, 20)


def make_text(number: int, seed: int) -> Sequences:
    """Draw random sentences."""
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *rng.integers(*LENGTHS, number)])
    return Sequences((rng.zipf(1.3, offsets[-1]) % VOCABULARY).astype(np.int32), offsets)


def bleu_and_self_bleu(hypotheses: Sequences, references: Sequences) -> None:
    """BLEU-2..5 and self-BLEU-2..5."""
    counts = ngrams.count_ngrams(hypotheses, 5)
    bleu.References(references).sentence_bleu(counts)
    bleu.sentence_self_bleu(counts)


def all_metrics(hypotheses: Sequences, references: Sequences) -> None:
    """Measure all that an evaluation does on text, copies from the training text included."""
    measure_texts(TextPair(hypotheses, RealText(references, training=references)))


PARTS: dict[str, Callable[[Sequences, Sequences], None]] = {
    "BLEU and self-BLEU": bleu_and_self_bleu,
    "all metrics": all_metrics,
}


def measure(part: str, number: int) -> str:
    """Print a line: processor seconds, and how much the process grew at most above the two texts."""
    hypotheses, references = make_text(number, 0), make_text(number, 1)
    before = status("VmRSS")
    start = time.process_time()
    PARTS[part](hypotheses, references)
    seconds = time.process_time() - start
    return (
        f"| {part} | {number:,} | {seconds:.3f} s | {1e6 * seconds / number:.1f} µs "
        f"| {status('VmHWM') - before:.0f} MiB |"
    )


def status(name: str) -> float:
    """Return a figure of this process's memory in MiB, as Linux has it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = [1_000, 10_000, 100_000, 1_000_000]
    parser.add_argument("--sizes", nargs="+", type=int, default=sizes, help="sentences on each side")
    parser.add_argument("--repeats", type=int, default=3, help="of the rows beside nltk (default 3)")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure(arguments.measure[0], int(arguments.measure[1])))
        return
    print("| operation | nltk | here | ratio |\n|---|---:|---:|---:|")
    benchmark_seqgan.bench_bleu(Bench(torch.device("cpu"), arguments.repeats))
    print(
        "\n| metrics | sentences | processor time | per sentence | peak memory |\n|---|---:|---:|---:|---:|"
    )
    for part in PARTS:
        for number in arguments.sizes:
            command = [sys.executable, __file__, "--measure", part, str(number)]
            print(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="", flush=True
            )


if __name__ == "__main__":
    main()
