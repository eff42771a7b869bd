#!/usr/bin/env bash
# The whole check: format, lint, types, layers, tests. Arguments go to pytest.
set -euo pipefail
extra=test
. "$(dirname "$0")/setup.sh"
cd "$root"
ruff format --check .
ruff check .
mypy
lint-imports
exec python -m pytest --numprocesses auto --dist loadfile "$@"
