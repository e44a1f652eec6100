#!/bin/sh
# Makes a virtual environment and installs this project into it, editable: environment.sh FOLDER EXTRAS
# PYTHON names the interpreter to use, if the one found is not the one meant.
set -eu
folder=$1
extras=$2

fail() {
    echo "error: $*" >&2
    exit 1
}

recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

complete() { # Debian packs a part of it apart
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

find_python() {
    incomplete=
    for candidate in ${PYTHON:-python3.11 python3 python3.12 python3.13 python3.14}; do
        if recent "$candidate"; then
            if complete "$candidate"; then
                echo "$candidate"
                return
            fi
            incomplete=$candidate
        fi
    done
    [ -z "$incomplete" ] || fail "$incomplete cannot make virtual environments; on Debian: apt-get install python3-venv"
    [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is not Python 3.11 or newer"
    fail "no Python 3.11 or newer on PATH; on Debian 12: apt-get install python3 python3-venv"
}

if ! "$folder/bin/python" -c 'import pip' >/dev/null 2>&1; then # none yet, or its Python is gone
    python=$(find_python)
    echo "==> making a virtual environment in $folder with $("$python" --version)"
    rm -rf "$folder"
    "$python" -m venv "$folder"
fi

echo "==> installing algoprof and what it needs into $folder (the first time takes a minute)"
# "compat" puts this folder on the path, instead of a hook that a folder named algoprof above it would hide.
"$folder/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
    --config-settings editable_mode=compat --constraint constraints.txt --editable ".[$extras]" ||
    fail "pip could not install the packages, for the reason above; it needs a package index within reach"

case $("$folder/bin/python" -c 'from algoprof.recorder import backend; print(backend)') in
native) ;;
*) echo "==> the compiled writer could not be built, so sections are recorded in Python, at some twelve times the cost; on Debian: apt-get install gcc python3-dev, make clean, and again" ;;
esac
