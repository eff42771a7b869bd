#!/usr/bin/env bash
# The whole check: format, lint, types, layers, tests. Arguments go to pytest, which runs once with them.
set -euo pipefail
extra=test
. "$(dirname "$0")/setup.sh"
cd "$root"
ruff format --check .
ruff check .
mypy
lint-imports
run=(python -m pytest --numprocesses auto --dist loadfile)
if [ $# -gt 0 ]; then
    exec "${run[@]}" "$@"
fi
"${run[@]}" -m "not slow"          # with the shapes of all tensors checked at run time
exec "${run[@]}" -m slow --unchecked
