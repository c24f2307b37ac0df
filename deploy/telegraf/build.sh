#!/bin/bash
# Builds Telegraf 1.37.2 with what the benchmarks compare with: mqtt_consumer to influxdb_v2. Done
# once: a binary on PATH or in the cache ends the script. go.mod and go.sum beside it pin the
# module, which brings the sums of everything it needs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

version=1.37.2
tags=custom,inputs.mqtt_consumer,inputs.internal,outputs.influxdb_v2,outputs.file
tags=$tags,parsers.influx,parsers.json_v2
# A set but empty HOME is as good as none; Go needs a real one.
[ -n "${HOME:-}" ] || HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gampong

if found=$(command -v telegraf); then
    echo "telegraf: $found"
    exit 0
fi
if [ -x "$cache/telegraf" ]; then
    echo "telegraf: $cache/telegraf"
    exit 0
fi

if ! command -v go >/dev/null; then
    {
        echo "telegraf: not on PATH nor in $cache, and it can't be built here: missing go"
        echo "telegraf: install Go 1.25 or later, or put a telegraf 1.37 on PATH"
    } >&2
    exit 1
fi

mkdir -p "$cache"
build=$(mktemp -d "$cache/build.XXXXXX")
trap 'chmod -R u+w "$build"; rm -rf "$build"' EXIT
cp "$here/go.mod" "$here/go.sum" "$build"
cd "$build"

echo "telegraf 1/2: its sources"
go mod download github.com/influxdata/telegraf
sources=$(go list -m -f '{{.Dir}}' github.com/influxdata/telegraf)
cat "$sources/go.sum" >>go.sum

echo "telegraf 2/2: compiling v$version (about two minutes)"
CGO_ENABLED=0 go build -mod=mod -trimpath -tags "$tags" \
    -ldflags "-s -w -X github.com/influxdata/telegraf/internal.Version=$version" \
    -o telegraf github.com/influxdata/telegraf/cmd/telegraf >build.log 2>&1 || {
    tail -n 40 build.log >&2
    exit 1
}
mv telegraf "$cache/telegraf"
echo "telegraf: $cache/telegraf"
