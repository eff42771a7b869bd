"""``python -m leakgan``: the command line of seqgan, for LeakGAN."""

import sys
from collections.abc import Sequence

from leakgan.experiment import LeakGANExperiment
from seqgan import cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; gives the exit status."""
    return cli.main(argv, experiment=LeakGANExperiment)


if __name__ == "__main__":
    sys.exit(main())
