#!/usr/bin/env bash
# Draw quality against diversity over temperatures, for runs and baselines. Flags: scripts/sweep.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m "$package" sweep "$@"
