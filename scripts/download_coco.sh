#!/usr/bin/env bash
# Fetch the Image COCO captions of the Texygen benchmark into a folder, and check them by SHA-256.
# Usage: scripts/download_coco.sh [FOLDER]     (default data/downloads/coco)
# COCO_BASE_URL names another place that holds data/image_coco.txt and data/testdata/test_coco.txt.
set -euo pipefail

folder=${1:-$(dirname "$0")/../data/downloads/coco}
base=${COCO_BASE_URL:-https://raw.githubusercontent.com/geek-ai/Texygen/master}

fail() {
    echo "download_coco: $1" >&2
    exit 2
}

checksum() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1
}

fetch() { # path in the repository, name here, SHA-256
    local target=$folder/$2
    if [ -f "$target" ] && [ "$(checksum "$target")" = "$3" ]; then
        echo "$target is already there"
        return
    fi
    curl --fail --silent --show-error --location --retry 3 --output "$partial/$2" "$base/$1" \
        || fail "$base/$1 cannot be fetched"
    [ "$(checksum "$partial/$2")" = "$3" ] || fail "$base/$1 is not the expected file (SHA-256 differs); nothing is kept"
}

command -v curl >/dev/null || fail "needs curl"
mkdir -p "$folder" 2>/dev/null || fail "cannot make the folder $folder"
partial=$(mktemp -d "$folder/.partial-XXXXXX") || fail "cannot write into $folder"
trap 'rm -rf "$partial"' EXIT

fetch data/image_coco.txt train.txt 2c0fd1f0f43aac6a9dc3926a535516ccf395de535e15ac1fd17cd569420736f5
fetch data/testdata/test_coco.txt test.txt 72e25c9fb4d2cd43182ac602c92f6ffc377762147f9709572943b0b09174bcae

for file in "$partial"/*.txt; do # both are right: keep them
    [ -f "$file" ] || continue
    mv "$file" "$folder/"
    echo "$folder/$(basename "$file")"
done
