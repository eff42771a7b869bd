"""The published table of the Texygen benchmark (Zhu et al. 2018), beside what we compute of the same files.

BLEU-2..5 of the samples against the training and the test captions, self-BLEU-2..5 among the samples: all
sentences, Treebank tokens, case kept, smoothing method 1. Published are three decimals, some rounded and some
cut off: the largest deviation must be less than 0.0011, or the exit status is 1. The values are those of
docs/evaluation.md in the benchmark's repository at commit 2bf2502; the training captions' column
is from its previous version. data/README.md names the files and their source.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqgan.evaluation.ngrams import number_words
from seqgan.evaluation.protocols import score_by_protocol
from seqgan.evaluation.texts import ORDERS
from seqgan.studies import processes
from seqgan.text.lines import read_lines
from seqgan.text.tokenizers import build_tokenizer

TOKENIZER = "treebank"
TOLERANCE = 0.0011  # of figures cut after the third decimal, with what two ways of summing may differ by
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
    "SeqGAN": {
        "bleu_train": (0.917, 0.747, 0.530, 0.348),
        "bleu": (0.745, 0.498, 0.294, 0.180),
        "self_bleu": (0.950, 0.840, 0.670, 0.489),
    },
    "MaliGAN": {
        "bleu_train": (0.887, 0.697, 0.482, 0.312),
        "bleu": (0.673, 0.432, 0.257, 0.159),
        "self_bleu": (0.918, 0.781, 0.606, 0.437),
    },
    "RankGAN": {
        "bleu_train": (0.937, 0.799, 0.601, 0.414),
        "bleu": (0.743, 0.467, 0.264, 0.156),
        "self_bleu": (0.959, 0.882, 0.762, 0.618),
    },
    "LeakGAN": {
        "bleu_train": (0.926, 0.816, 0.660, 0.470),
        "bleu": (0.746, 0.528, 0.355, 0.230),
        "self_bleu": (0.966, 0.913, 0.848, 0.780),
    },
    "TextGAN": {
        "bleu_train": (0.650, 0.645, 0.596, 0.523),
        "bleu": (0.593, 0.463, 0.277, 0.207),
        "self_bleu": (0.942, 0.931, 0.804, 0.746),
    },
    "MLE": {
        "bleu_train": (0.921, 0.768, 0.570, 0.392),
        "bleu": (0.731, 0.497, 0.305, 0.189),
        "self_bleu": (0.916, 0.769, 0.583, 0.408),
    },
    TRAINING_SET: {"bleu": (0.740, 0.520, 0.337, 0.218), "self_bleu": (0.892, 0.747, 0.573, 0.415)},
}
TITLES = {"bleu_train": "BLEU on training captions", "bleu": "BLEU", "self_bleu": "self-BLEU"}


def read_words(path: Path) -> list[list[str]]:
    """Return the tokens of each line of a file."""
    tokenizer = build_tokenizer(TOKENIZER)
    return [tokenizer.tokenize(line) for line in read_lines(path).lines]


def measure(samples: Path, coco: Path) -> dict[str, float]:
    """Return BLEU-n of all samples against the test and the training captions, and self-BLEU-n."""
    test, train = (
        score_by_protocol(
            "all",
            *number_words(read_words(samples), read_words(coco / f"{part}.txt")),
            tokenizer=TOKENIZER,
            orders=ORDERS,
        ).values
        for part in ("test", "train")
    )
    return {**test, **{f"bleu_train_{n}": train[f"bleu_{n}"] for n in ORDERS}}


def compare(name: str, values: Mapping[str, float]) -> tuple[list[str], list[float]]:
    """Return the lines of one column of the published table, and how far each value is from it."""
    lines, deviations = [], []
    for metric, published in PUBLISHED[name].items():
        for order, theirs in zip(ORDERS, published, strict=True):
            ours = values[f"{metric}_{order}"]
            label = f"{name} | {TITLES[metric]}-{order}"
            lines.append(f"| {label} | {ours:.4f} | {theirs:.3f} | {ours - theirs:+.4f} |")
            deviations.append(abs(ours - theirs))
    return lines, deviations


def find_files(coco: Path, samples: Path | None) -> dict[str, Path]:
    """Return the training captions, and those sample files that are there.

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


def main(arguments: Sequence[str]) -> int:
    """Print the table as Markdown and return the exit status."""
    parser = processes.Parser(prog="texygen", description=__doc__)
    parser.add_argument("coco", type=Path, help="folder with train.txt and test.txt of Image COCO")
    parser.add_argument(
        "samples", type=Path, nargs="?", help=f"folder with any of {', '.join(FILES.values())}"
    )
    given = parser.parse_args(arguments)
    largest = 0.0
    files = find_files(given.coco, given.samples)
    print("| samples | metric | ours | published | difference |\n|---|---|---:|---:|---:|")
    for name, path in files.items():
        lines, deviations = compare(name, measure(path, given.coco))
        print("\n".join(lines), flush=True)
        largest = max([largest, *deviations])
    agrees = largest < TOLERANCE
    verdict = "less than" if agrees else "NOT less than"
    print(f"\nlargest deviation {largest:.4f}, {verdict} the {TOLERANCE} that published figures leave open")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(processes.main("texygen", main, sys.argv[1:]))
