#!/bin/sh
# Whether each requirement of the gateway has a wheel for a 64-bit Raspberry Pi, for each Python that
# its systems bring: nothing is compiled on a ladder. Needs the package index, writes nothing.
set -eu
cd "$(dirname "$0")/../.."

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT INT TERM
for version in 3.11 3.13; do # Raspberry Pi OS bookworm, trixie
    echo "wheels: aarch64, Python $version"
    "${PYTHON:-python3}" -m pip --quiet --disable-pip-version-check --no-input download \
        --only-binary=:all: --no-deps --require-hashes --dest "$tool" \
        --implementation cp --python-version "$version" \
        --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_34_aarch64 \
        -r requirements/edge.txt || {
        echo "wheels: a requirement above has no aarch64 wheel for Python $version" >&2
        exit 1
    }
done
