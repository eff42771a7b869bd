#!/usr/bin/env bash
# Train a generator by maximum likelihood, then the discriminator against it. Flags: scripts/pretrain.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m "$package" pretrain "$@"
