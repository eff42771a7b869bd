#!/usr/bin/env bash
# Measure a run, or files against each other. Flags: scripts/evaluate.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m "$package" evaluate "$@"
