#!/usr/bin/env bash
# Install open_lm, so that recipes can say `backend: open_lm`: open_lm.sh [VENV]. OPEN_LM names a
# checkout (or archive) to install from instead of its public repository. See envs/open_lm.txt.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${1:-$root/.venv}

if ! [ -x "$venv/bin/python" ]; then
    echo "there is no virtual environment in $venv; make one with: make setup" >&2
    exit 2
fi
if [ -n "${OPEN_LM:-}" ] && ! [ -e "$OPEN_LM/setup.py" ] && ! [ -f "$OPEN_LM" ]; then
    echo "OPEN_LM is $OPEN_LM, expected a checkout of open_lm with its setup.py" >&2
    exit 2
fi

wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT
if [ -n "${OPEN_LM:-}" ]; then
    grep -v '^open_lm @' "$root/envs/open_lm.txt" >"$wanted"
    (cd "$OPEN_LM" 2>/dev/null && pwd || realpath "$OPEN_LM") >>"$wanted"
else
    cp "$root/envs/open_lm.txt" "$wanted"
fi
"$venv/bin/python" -m pip --disable-pip-version-check --no-input install -qq \
    --no-deps --no-build-isolation -r "$wanted"
# On a machine without its CUDA libraries xformers says so when it is imported; torch does its work.
"$venv/bin/python" -c 'import open_lm.main' 2>/dev/null || {
    echo "open_lm is installed in $venv but cannot be imported:" >&2
    "$venv/bin/python" -c 'import open_lm.main' 2>&1 | tail -n 1 >&2
    exit 1
}
