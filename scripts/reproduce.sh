#!/usr/bin/env bash
# Make a documented table. Without arguments, the names of the tables and what each needs.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m seqgan.studies.reproduce "$@"
