#!/usr/bin/env bash
# Set up the virtual environment: setup.sh PYTHON VENV base|dev|docs. Called by make.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 venv=$2 part=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    found=$("$python" --version 2>&1) || found="not installed"
    echo "scalebed needs Python 3.11 or newer, but $python is $found;" \
        "name another one, for example: make PYTHON=python3.12 …" >&2
    exit 2
fi

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@"
}

# Nothing but what a file names, with the checksums it names. Packages that come as source are built
# with the locked setuptools. Bytecode is compiled afterwards, on all cores.
install_locked() {
    pip install -qq --no-compile --no-deps --no-build-isolation --require-hashes -r "$1"
}

# A study starts a process for every job; where Python may not write bytecode by itself, each would
# compile torch anew, which takes seconds. Some packages ship templates that are no valid Python, and
# many their tests, a quarter of all there is, which nobody imports; of transformers, no job imports
# the models, a sixth of the rest.
compile_bytecode() {
    "$venv/bin/python" -m compileall -q -j 0 -x 'site-packages/(.*/tests/|transformers/models/(?!auto/))' \
        "$venv" src >/dev/null 2>&1 || true
}

# The corpora are read, never imported, so what they claim to need does not count. Nor does what
# open_lm claims (see requirements/open_lm.txt).
check() {
    local corpora broken
    corpora=$(sed -n 's/^\([A-Za-z0-9._-]*\)\(==\| @ \).*/\1/p' \
        requirements/corpora.txt requirements/open_lm.txt |
        sed 's/[-_.]/[-_.]/g' | paste -sd '|' -)
    broken=$(pip check | grep -v -i -E "^(($corpora) |No broken)" || true)
    if [ -n "$broken" ]; then
        echo "the environment in $venv does not fit together: $broken" >&2
        exit 1
    fi
}

case $part in
base)
    echo "setting up $venv (a minute or two the first time)"
    "$python" -m venv "$venv"
    install_locked requirements/lock-build.txt
    install_locked requirements/lock.txt
    # Its dependencies are locked and here already, except the CUDA libraries of a GPU build.
    pip install -qq --no-compile -r requirements/torch.txt
    install_locked requirements/corpora.txt
    pip install -qq --no-compile --no-deps --no-build-isolation -e .
    compile_bytecode
    ;;
dev)
    echo "setting up the tools for tests and linting"
    install_locked requirements/lock-dev.txt
    ;;
docs)
    echo "setting up what the site of the documentation needs"
    install_locked requirements/lock-docs.txt
    ;;
esac
check
