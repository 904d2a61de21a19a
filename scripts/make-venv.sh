#!/bin/sh
# Make an empty virtual environment, or say what the machine lacks.
# usage: make-venv.sh PYTHON DIRECTORY
set -eu
python=$1
directory=$2

# --clear would empty the directory that the link points to, perhaps the environment of another work tree.
if [ -L "${directory%/}" ]; then
    echo "'$directory' is a symbolic link: making an environment there would delete the one it points to." \
        "Remove the link first: rm '${directory%/}'" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))'; then
    echo "Python 3.10 to 3.13 is needed, and '$python' is not. Name one: make PYTHON=python3.12 ..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv'; then
    echo "'$python' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi
echo "making $directory with $("$python" --version)"
"$python" -m venv --clear "$directory"
