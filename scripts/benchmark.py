"""One table: our operations beside a plain implementation, measured in turn in one run.

Times are medians over the repeats, ratios those of the medians. The sizes are the papers': V 5000,
T 20, E = H = 32, B 64, N 16 rollouts, F 1720 filters; for LeakGAN K 16, C 4.
"""

import argparse
import platform

import benchmark_leakgan
import benchmark_seqgan
import torch
from harness import BATCH, ROLLOUTS, STEPS, VOCABULARY, Bench, measure_memory

MODELS = {"seqgan": benchmark_seqgan, "leakgan": benchmark_leakgan}
UPDATES = benchmark_seqgan.UPDATES | benchmark_leakgan.UPDATES


def main() -> None:
    """Read the flags and print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", choices=MODELS, default="seqgan", help="which (default seqgan)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="repeats of slow rows; others thrice that (default 3)"
    )
    rows = {name: ", ".join(module.ROWS) for name, module in MODELS.items()}
    choices = "; ".join(f"{name}: {names}" for name, names in rows.items())
    parser.add_argument("--rows", nargs="+", help=f"which rows (default all). {choices}")
    parser.add_argument("--measure-memory", choices=UPDATES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    module = MODELS[arguments.model]
    for row in arguments.rows or ():
        if row not in module.ROWS:
            parser.error(f"--rows: {arguments.model} has no {row}; choose from {rows[arguments.model]}")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    device = torch.device(arguments.device)
    if arguments.measure_memory:
        print(measure_memory(UPDATES[arguments.measure_memory](device), device))
        return
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    print(
        f"{machine}, {arguments.threads} thread(s), torch {torch.__version__}; V {VOCABULARY}, T {STEPS}, "
        f"{module.SIZES}, B {BATCH}, N {ROLLOUTS}\n"
    )
    print("| operation | plain | here | ratio |\n|---|---:|---:|---:|")
    bench = Bench(device, arguments.repeats)
    for row in arguments.rows or module.ROWS:
        module.ROWS[row](bench)


if __name__ == "__main__":
    main()
