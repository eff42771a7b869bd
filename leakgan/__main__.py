"""``python -m leakgan``: the command line of seqgan, for LeakGAN."""

import sys

from leakgan.experiment import LeakGANExperiment
from seqgan import cli


def main() -> int:
    """Run a subcommand; gives the exit status."""
    return cli.main(experiment=LeakGANExperiment)


if __name__ == "__main__":
    sys.exit(main())
