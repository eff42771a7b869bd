# Sourced by the other scripts: makes .venv once, installs the package into it, and activates it.
# With it goes what draws pictures; a script that needs more sets extra=test before. The working directory stays,
# so that relative paths are those of whoever calls.
# A sourced file works on the arguments of the script that sources it: a first one that names a package
# is taken away and becomes $package.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
venv=$root/.venv
extra=${extra:-}
package=seqgan
case ${1:-} in
    seqgan | leakgan)
        package=$1
        shift
        ;;
esac
SEQGAN_SCRIPTS=$(dirname "$0") # how the commands are called in what they print
export SEQGAN_SCRIPTS

if [ ! -e "$venv/bin/activate" ]; then # the last file of an environment: one half made is made again
    case " $* " in
        *" --help "* | *" -h "*)
            sed -n '2,/^set /{/^# /s/^# //p}' "$0"
            echo "The flags are listed once the package is installed, which the first run of any script does (minutes)."
            exit 0
            ;;
    esac
    python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "scripts/setup.sh: $python is no Python 3.11 or newer; set PYTHON to one" >&2
        exit 2
    fi
    "$python" -m venv "$venv" || exit 2
fi
. "$venv/bin/activate"

# The stamp says what was installed: nothing is done twice, and a changed requirement is noticed.
stamp=$venv/installed${extra:+-$extra}
wanted=$(cd "$root" && cat setup.cfg pyproject.toml constraints.txt | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing into .venv (once) ..." >&2
    python -m pip install --quiet --disable-pip-version-check \
        --constraint "$root/constraints.txt" --editable "$root[plots${extra:+,$extra}]" || exit 2
    echo "$wanted" > "$stamp"
fi
