#!/usr/bin/env bash
# Our operations beside a plain implementation, and how the metrics of text grow.
# Usage: scripts/benchmark.sh [seqgan | leakgan | metrics] [FLAGS]     Flags: ... --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
if [ "${1-}" = metrics ]; then
    shift
    exec python "$root"/scripts/benchmark_metrics.py "$@"
fi
exec python "$root"/scripts/benchmark.py "$package" "$@"
