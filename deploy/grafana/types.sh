#!/bin/bash
# Puts Grafana's own published types (oldest and newest Grafana that the dashboards are for) and the
# TypeScript compiler into the cache, outside of this folder: the tests compile each dashboard
# against them. Done once.
set -euo pipefail

oldest=11.0.0
newest=13.2.3
typescript=5.9.3
# A set but empty HOME is as good as none; npm needs a real one.
[ -n "${HOME:-}" ] || HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME
folder=${XDG_CACHE_HOME:-$HOME/.cache}/gampong/grafana-schema

if [ "$(cat "$folder/done" 2>/dev/null)" = "$oldest $newest $typescript" ]; then
    echo "grafana-schema: $folder"
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "grafana-schema: not in $folder, and there is no npm to fetch it: install nodejs and npm" >&2
    exit 1
fi
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts \
    "oldest@npm:@grafana/schema@$oldest" "newest@npm:@grafana/schema@$newest" \
    "typescript@$typescript"
echo "$oldest $newest $typescript" >done
echo "grafana-schema: $folder"
