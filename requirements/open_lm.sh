#!/usr/bin/env bash
# Install open_lm, so that recipes can say `backend: open_lm`: open_lm.sh [VENV]. OPEN_LM names a
# checkout (or archive) to install from instead of its public repository. See open_lm.txt.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${1:-$here/../.venv}
source=${OPEN_LM:-}

if ! [ -x "$venv/bin/python" ]; then
    echo "there is no virtual environment in $venv; make one with: make setup" >&2
    exit 2
fi
if [ -n "$source" ] && ! [ -e "$source/setup.py" ] && ! [ -f "$source" ]; then
    echo "OPEN_LM is $source, expected a checkout of open_lm with its setup.py" >&2
    exit 2
fi

# The build writes into its source, which may be read-only and is not ours.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
if [ -d "$source" ]; then
    cp -R "$source/." "$copy"
    chmod -R u+w "$copy"
    source=$copy
elif [ -z "$source" ]; then
    source=$(sed -n 's/^open_lm @ //p' "$here/open_lm.txt")
fi

# Bytecode is compiled when a module is first imported, which most are not: at the end of this script.
install() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install -qq --no-compile \
        --no-deps --no-build-isolation "$@"
}
install --require-hashes -r "$here/lock-open_lm.txt"
install "$source"
# On a machine without its CUDA libraries xformers says so when it is imported; torch does its work.
# Each process of a training would compile all that this imports where none of them may write it.
env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" -c 'import open_lm.main' 2>/dev/null || {
    echo "open_lm is installed in $venv but cannot be imported:" >&2
    "$venv/bin/python" -c 'import open_lm.main' 2>&1 | tail -n 1 >&2
    exit 1
}
