"""The published table of the Texygen benchmark (Zhu et al. 2018), beside what we compute of the same files.

BLEU-2..5 of the samples against the test captions and self-BLEU-2..5 among the samples: all sentences,
Treebank tokens, case kept, smoothing method 1. Published are three decimals, some rounded and some cut off:
the largest deviation may be one unit of the third, 0.001, or the exit status is 1. What the files are, and
where they come from, is told in data/README.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqgan.evaluation.metrics import ORDERS
from seqgan.evaluation.ngrams import number_words
from seqgan.evaluation.protocols import score_by_protocol
from seqgan.text.lines import read_lines
from seqgan.text.tokenizers import build_tokenizer

TOKENIZER, TOLERANCE = "treebank", 0.001
TRAINING_SET = "training set"
FILES = {
    "SeqGAN": "seq.txt",
    "MaliGAN": "maligan.txt",
    "RankGAN": "rank.txt",
    "LeakGAN": "leakgan.txt",
    "TextGAN": "textgan.txt",
    "MLE": "mle.txt",
}
PUBLISHED: dict[str, dict[str, tuple[float, ...]]] = {
    "SeqGAN": {"bleu": (0.745, 0.498, 0.294, 0.180), "self_bleu": (0.950, 0.840, 0.670, 0.489)},
    "MaliGAN": {"bleu": (0.673, 0.432, 0.257, 0.159), "self_bleu": (0.918, 0.781, 0.606, 0.437)},
    "RankGAN": {"bleu": (0.743, 0.467, 0.264, 0.156), "self_bleu": (0.959, 0.882, 0.762, 0.618)},
    "LeakGAN": {"bleu": (0.746, 0.528, 0.355, 0.230), "self_bleu": (0.966, 0.913, 0.848, 0.780)},
    "TextGAN": {"self_bleu": (0.942, 0.931, 0.804, 0.746)},
    TRAINING_SET: {"bleu": (0.740, 0.520, 0.337, 0.218), "self_bleu": (0.892, 0.747, 0.573, 0.415)},
}
TITLES = {"bleu": "BLEU", "self_bleu": "self-BLEU"}


def measure(samples: Path, test: Path) -> Mapping[str, float]:
    """BLEU-n of all samples against all test captions, and self-BLEU-n."""
    tokenizer = build_tokenizer(TOKENIZER)
    texts = ([tokenizer.tokenize(line) for line in read_lines(path).lines] for path in (samples, test))
    return score_by_protocol("all", *number_words(*texts), tokenizer=TOKENIZER, orders=ORDERS).values


def compare(name: str, values: Mapping[str, float]) -> tuple[list[str], list[float]]:
    """The table's lines of one column of the published table, and how far each value is from it."""
    lines, deviations = [], []
    for metric, title in TITLES.items():
        published = PUBLISHED.get(name, {}).get(metric, (None,) * len(ORDERS))
        for order, theirs in zip(ORDERS, published, strict=True):
            ours = values[f"{metric}_{order}"]
            cells = ["–", "–"] if theirs is None else [f"{theirs:.3f}", f"{ours - theirs:+.4f}"]
            lines.append(f"| {name} | {title}-{order} | {ours:.4f} | {' | '.join(cells)} |")
            deviations += [] if theirs is None else [abs(ours - theirs)]
    return lines, deviations


def find_files(coco: Path, samples: Path | None) -> dict[str, Path]:
    """The training captions, and those sample files that are there.

    Raises:
        ValueError: There is a folder of samples, but none in it.
    """
    found = {TRAINING_SET: coco / "train.txt"}
    if samples is not None:
        there = {name: samples / file for name, file in FILES.items() if (samples / file).exists()}
        if not there:
            raise ValueError(f"{samples}: holds none of {', '.join(FILES.values())}")
        found |= there
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table as Markdown; gives the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("coco", type=Path, help="folder with train.txt and test.txt of Image COCO")
    parser.add_argument(
        "samples", type=Path, nargs="?", help=f"folder with any of {', '.join(FILES.values())}"
    )
    given = parser.parse_args(arguments)
    largest = 0.0
    try:
        files = find_files(given.coco, given.samples)
        print("| samples | metric | ours | published | difference |\n|---|---|---:|---:|---:|")
        for name, path in files.items():
            lines, deviations = compare(name, measure(path, given.coco / "test.txt"))
            print("\n".join(lines), flush=True)
            largest = max([largest, *deviations])
    except ValueError as error:
        print(f"texygen: {error}", file=sys.stderr)
        return 2
    agrees = largest <= TOLERANCE
    verdict = "within" if agrees else "NOT within"
    print(f"\nlargest deviation {largest:.4f}, {verdict} {TOLERANCE} of the published table")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
