"""``python -m seqgan``."""

import sys

from seqgan.cli import main

sys.exit(main())
