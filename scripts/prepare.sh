#!/usr/bin/env bash
# Prepare a corpus and report what is in it. Flags: scripts/prepare.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m "$package" prepare "$@"
