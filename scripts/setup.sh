# Sourced by the other scripts: makes .venv once, installs the package into it, and activates it.
# With it goes what draws pictures; a script that needs more sets extra=test before. Relative paths in flags start
# from the project's folder.
# A sourced file works on the arguments of the script that sources it: a first one that names a package
# is taken away and becomes $package.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
extra=${extra:-}
package=seqgan
case ${1:-} in
    seqgan | leakgan)
        package=$1
        shift
        ;;
esac

if [ ! -e .venv/bin/activate ]; then # the last file of an environment: one half made is made again
    python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "scripts/setup.sh: $python is no Python 3.11 or newer; set PYTHON to one" >&2
        exit 2
    fi
    "$python" -m venv .venv || exit 2
fi
. .venv/bin/activate

# The stamp says what was installed: nothing is done twice, and a changed requirement is noticed.
stamp=.venv/installed${extra:+-$extra}
wanted=$(cat setup.cfg pyproject.toml constraints.txt | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing into .venv (once) ..." >&2
    python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --editable ".[plots${extra:+,$extra}]" || exit 2
    echo "$wanted" > "$stamp"
fi
