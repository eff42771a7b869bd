#!/usr/bin/env bash
# Train a SeqGAN from beginning to end, or go on where it stopped, and compare it with its MLE model.
# Flags: scripts/train.sh --help
set -euo pipefail
. "$(dirname "$0")/setup.sh"
exec python -m "$package" train "$@"
