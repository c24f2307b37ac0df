#!/bin/sh
# need.sh TOOL…: each tool is on PATH afterwards, or the exit code is 1 and the remedy printed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/setup/apt.sh
. "$here/apt.sh"

# Debian keeps daemons in sbin, which is not on every user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

present() {
    case $1 in
    chromium) command -v chromium || command -v chromium-browser ;;
    *) command -v "$1" ;;
    esac >/dev/null
}

# Debian's package starts a broker on port 1883 at boot. Ours are started by whoever uses them.
disable_service() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --now "$1" >/dev/null 2>&1 || true
    fi
}

# The package that a tool comes in.
packages() {
    case $1 in
    cc) echo gcc libc6-dev ;;
    ip) echo iproute2 ;;
    go) echo golang-go ;;
    *) echo "$1" ;;
    esac
}

install_tool() {
    for package in $(packages "$1"); do
        apt_install "$package" || return 1
    done
}

missing=
for tool in "$@"; do
    present "$tool" && continue
    if install_tool "$tool" && present "$tool"; then
        if [ "$tool" = mosquitto ]; then
            disable_service mosquitto
        fi
    else
        missing="$missing $(packages "$tool")"
    fi
done

if [ -n "$missing" ]; then
    echo "setup: not found on PATH and not installed:$missing" >&2
    echo "setup: as root: apt-get update && apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
