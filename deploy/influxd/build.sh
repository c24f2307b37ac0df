#!/bin/bash
# Builds InfluxDB 2.7.12 (influxd, without its web page) for tests and benchmarks. Done once:
# a binary on PATH or in the cache ends the script. go.mod and go.sum beside it pin what is built.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

version=v2.7.12
# A set but empty HOME is as good as none; Go and cargo need a real one.
[ -n "${HOME:-}" ] || HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gampong

if found=$(command -v influxd); then
    echo "influxd: $found"
    exit 0
fi
if [ -x "$cache/influxd" ]; then
    echo "influxd: $cache/influxd"
    exit 0
fi

missing=
for tool in go cargo gcc pkg-config; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
    {
        echo "influxd: not on PATH nor in $cache, and it can't be built here: missing$missing"
        echo "influxd: install Go 1.23 or later, Rust (rustup, toolchain stable), gcc and pkg-config;"
        echo "influxd: or put an influxd 2.7 on PATH"
    } >&2
    exit 1
fi

# rustup's cargo finds its toolchains under HOME; under another HOME, they stay where cargo is.
rustup=$(dirname "$(dirname "$(dirname "$(command -v cargo)")")")/.rustup
if [ -z "${RUSTUP_HOME:-}" ] && [ -d "$rustup" ]; then
    export RUSTUP_HOME=$rustup
fi
export RUSTUP_TOOLCHAIN=stable # flux pins an older Rust

mkdir -p "$cache"
build=$(mktemp -d "$cache/build.XXXXXX")
trap 'chmod -R u+w "$build"; rm -rf "$build"' EXIT
cp "$here/go.mod" "$here/go.sum" "$build"
cd "$build"

# flux's Rust was written before today's lints: they warn, they don't fail the build.
printf '#!/bin/sh\nexec "$@" --cap-lints=warn\n' >rustc-cap
chmod +x rustc-cap
export RUSTC_WRAPPER=$build/rustc-cap

echo "influxd 1/2: pkg-config wrapper that builds flux"
GOBIN=$build/bin go install github.com/influxdata/pkg-config
export PKG_CONFIG=$build/bin/pkg-config

echo "influxd 2/2: compiling $version (about five minutes, 3 GB of Go and cargo caches)"
go build -trimpath -tags 'sqlite_foreign_keys,sqlite_json' \
    -ldflags "-s -w -X main.version=$version" \
    -o influxd github.com/influxdata/influxdb/v2/cmd/influxd >build.log 2>&1 || {
    tail -n 40 build.log >&2
    exit 1
}
mv influxd "$cache/influxd"
echo "influxd: $cache/influxd"
