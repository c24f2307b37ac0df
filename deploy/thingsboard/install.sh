#!/bin/sh
# The ThingsBoard gateway, a peer for `make bench`, in an environment of its own outside of the
# repository: ~/.cache/gampong/thingsboard. Made once; nothing of ours imports it.
set -eu
place="${XDG_CACHE_HOME:-$HOME/.cache}/gampong/thingsboard"
[ -x "$place/bin/thingsboard-gateway" ] && exit 0
mkdir -p "$(dirname "$place")"
python3 -m venv "$place"
"$place/bin/pip" install --quiet thingsboard-gateway==3.8.5
echo "the ThingsBoard gateway is in $place"
