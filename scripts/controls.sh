#!/usr/bin/env bash
# Train an algorithm beside its controls over several seeds; print its gain over the best of them.
# Flags: scripts/controls.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m seqgan.studies.controls "$package" "$@"
