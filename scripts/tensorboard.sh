#!/usr/bin/env bash
# Watch runs in TensorBoard; by default all of them. Flags: scripts/tensorboard.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec tensorboard --logdir runs "$@"
