"""The command line of seqgan with the kinds and presets of LeakGAN: ``python -m leakgan``."""

import sys
from collections.abc import Sequence

from seqgan import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    return cli.main(argv, package="leakgan")


if __name__ == "__main__":
    sys.exit(main())
