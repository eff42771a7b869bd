#!/usr/bin/env bash
# Sample sentences from a run. Flags: scripts/generate.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m "$package" generate "$@"
