#!/bin/sh
# Pins every requirement with its hashes, for Python 3.11 and later on every platform.
# The resolver lives in a throw-away environment, so that it is never part of the project's own.
set -eu
cd "$(dirname "$0")/../.."

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT INT TERM

echo "lock: the resolver, in a throw-away environment"
"${PYTHON:-python3}" -m venv "$tool"
"$tool/bin/python" -m pip install --quiet --disable-pip-version-check uv

# compile FILE ARGUMENTS: what is pinned already stays, unless LOCK_ARGS=--upgrade is given.
compile() {
    file=requirements/$1
    shift
    echo "lock: $file"
    # shellcheck disable=SC2086  # LOCK_ARGS is a list of words
    "$tool/bin/uv" pip compile pyproject.toml "$@" ${LOCK_ARGS:-} \
        --universal --python-version 3.11 --generate-hashes \
        --no-header \
        --quiet --output-file "$file" >/dev/null
}

# dev holds everything; the others take its versions, so that what is tested is what is deployed.
compile dev.txt --extra dev --group build
compile demo.txt --extra demo --group build --constraint requirements/dev.txt
compile edge.txt --extra edge --group build --constraint requirements/dev.txt
compile cloud.txt --extra ingest --extra dashboards --extra round --extra trust --extra opendata --extra edge --group build --constraint requirements/dev.txt

echo "lock: docs/dependencies.md"
"$tool/bin/python" deploy/supply/dependencies.py
