#!/bin/sh
# Install a lock file into a virtual environment, with uv, or with pip where uv cannot reach what pip is configured for.
# usage: install-lock.sh UV DIRECTORY LOCK [--with-package]
set -eu
uv=$1
python=$2/bin/python
lock=$3

install() {
    "$uv" pip install --quiet --python "$python" "$@" && return
    echo "uv could not; trying pip, which takes minutes" >&2
    "$python" -m pip install --quiet --disable-pip-version-check "$@"
}

echo "installing $lock into $2"
# A lock names everything; what overrides.in leaves out, a package may still ask for.
install --require-hashes --no-deps -r "$lock"
if [ "${4:-}" = --with-package ]; then
    install --no-deps --no-build-isolation --editable .
fi
