#!/usr/bin/env bash
# Make the README's comparison of MLE, SeqGAN, LeakGAN and LeakGAN's controls.
# Usage: scripts/reproduce.sh oracle FILE.npz | coco FOLDER     (what they are: data/README.md)
set -euo pipefail
. "$(dirname "$0")/setup.sh"

case "${1-}" in
    oracle | coco) ;;
    *) echo "reproduce: choose oracle FILE.npz or coco FOLDER" >&2; exit 2 ;;
esac
[ $# -eq 2 ] || { echo "reproduce: $1 needs the path of its corpus, and nothing else" >&2; exit 2; }
runs=runs/reproduce-$1
settings=(--preset "$1" --corpus.path "$2" --quiet)

python -m seqgan train "${settings[@]}" --run "$runs/seqgan"
python -m leakgan train "${settings[@]}" --run "$runs/leakgan"
for control in constant shuffled; do
    transform=()
    [ $control = constant ] || transform=(--reward.transform logit) # as the presets' reward
    python -m leakgan train "${settings[@]}" --run "$runs/leakgan-$control" --pretrained "$runs/leakgan" \
        --reward.kind $control "${transform[@]}"
done
python scripts/table.py "$runs"/{seqgan,leakgan,leakgan-constant,leakgan-shuffled}
