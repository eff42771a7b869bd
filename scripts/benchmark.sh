#!/usr/bin/env bash
# One table: our operations beside a plain implementation. Flags: scripts/benchmark.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python scripts/benchmark.py "$package" "$@"
