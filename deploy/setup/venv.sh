#!/bin/sh
# venv.sh dev|demo: makes .venv with requirements/<set>.txt and this project, editable.
# Run again, it does nothing until the requirements change.
set -eu
cd "$(dirname "$0")/../.."
. deploy/setup/apt.sh

set_name=$1
requirements=requirements/$set_name.txt
venv=.venv

# A stamp counts while the environment's interpreter runs and nothing it was made from is newer.
fresh() {
    [ -f "$venv/$1.stamp" ] && "$venv/bin/python" -c '' 2>/dev/null || return 1
    [ -z "$(find "requirements/$1.txt" pyproject.toml -newer "$venv/$1.stamp")" ]
}

# dev holds all that the demo needs, in the same versions.
if fresh "$set_name" || fresh dev; then
    exit 0
fi

find_python() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    echo "setup: Python 3.11 or later is needed; found: $(python3 --version 2>&1 || true)" >&2
    echo "setup: install it, or name it: make PYTHON=/path/to/python3.11 …" >&2
    return 1
}
python=$(find_python)

# Debian splits venv off; without it the module is there and fails half way.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    apt_install python3-venv || true
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        echo "setup: $python has no venv" >&2
        echo "setup: as root: apt-get install python3-venv   (or python$version-venv)" >&2
        exit 1
    fi
fi

# An environment whose interpreter is gone (a moved folder, an upgraded system) is made anew.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "setup 1/3: $venv, $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
else
    echo "setup 1/3: $venv is there"
fi

# pip_install ARGUMENTS: once more after a failure, since most are a network that hiccuped.
pip_install() {
    log=$(mktemp)
    for attempt in 1 2; do
        if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --no-input "$@" >"$log" 2>&1; then
            rm -f "$log"
            return 0
        fi
        if [ "$attempt" = 1 ]; then
            echo "setup: pip failed, once more in 5 s"
            sleep 5
        fi
    done
    tail -n 15 "$log" >&2
    rm -f "$log"
    echo "setup: pip could not install; is there a network? Run the same command again" >&2
    return 1
}

count=$(grep -c '^[a-z0-9].*==' "$requirements")
echo "setup 2/3: $count packages of $requirements (a minute or two the first time)"
pip_install --require-hashes -r "$requirements"

echo "setup 3/3: gampong itself, editable"
pip_install --no-deps --no-build-isolation -e .

touch "$venv/$set_name.stamp"
