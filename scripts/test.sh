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
unset PYTHONDONTWRITEBYTECODE # many tests start processes, each of which would compile everything anew
export OMP_NUM_THREADS=1       # as many test processes as cores
run=(python -m pytest --numprocesses auto --dist loadfile)
if [ $# -gt 0 ]; then
    exec "${run[@]}" "$@"
fi
"${run[@]}" -m "not slow"          # with the shapes of all tensors checked at run time
exec "${run[@]}" -m slow --unchecked
