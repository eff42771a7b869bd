#!/usr/bin/env bash
# Make a table of the README. Without arguments, the names of the tables and what each needs.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python "$root"/scripts/reproduce.py "$@"
