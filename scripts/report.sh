#!/usr/bin/env bash
# Write one page about runs: tables, curves, pictures, samples, settings. Flags: scripts/report.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m "$package" report "$@"
