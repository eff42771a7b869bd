"""One row for each generator of several runs, from the evaluations that `train` has left in them."""

import argparse
import json
from pathlib import Path

TITLES = {
    "nll_oracle": "NLL-oracle",
    "nll_test": "NLL-test",
    "jeffreys": "Jeffreys",
    "bleu_4": "BLEU-4",
    "self_bleu_4": "self-BLEU-4",
    "backward_bleu_4": "backward BLEU-4",
    "reverse_perplexity": "reverse perplexity",
    "unique": "unique",
}


def main() -> None:
    """Read the flags and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="run folders whose training is done"
    )
    rows, seen = {}, set()
    for run in parser.parse_args().runs:
        for path in sorted((run / "evaluation").glob("*.json"), reverse=True):
            content = json.loads(path.read_text(encoding="utf-8"))
            if path.stem == "oracle" or json.dumps(content) in seen:  # runs of one pre-training share it
                continue
            seen.add(json.dumps(content))
            rows[f"{run.name}, {path.stem}"] = content
    names = [name for name in TITLES if any(name in content for content in rows.values())]
    print("| generator |" + "".join(f" {TITLES[name]} |" for name in names))
    print("|---|" + "---:|" * len(names))
    for title, content in rows.items():
        print(f"| {title} |" + "".join(f" {content[name]:.3f} |" for name in names))
    for signature in sorted({content["signature"] for content in rows.values()}):
        print(f"\n`signature: {signature}`")


if __name__ == "__main__":
    main()
