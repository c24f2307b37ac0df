# Sourced by the set-up scripts: one Debian package, quietly, or the reason why not.
# shellcheck shell=sh

# as_root COMMAND…: runs it, when this user may without being asked for a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# apt_install PACKAGE: 0 when it is installed now.
apt_install() {
    command -v apt-get >/dev/null || return 1
    as_root true || return 1
    log=$(mktemp)
    echo "setup: apt-get install $1"
    # Lists can be absent (a container) or older than the archive: update only when that shows.
    if apt_quiet install --no-install-recommends "$1" >"$log" 2>&1 ||
        { apt_quiet update >"$log" 2>&1 &&
            apt_quiet install --no-install-recommends "$1" >"$log" 2>&1; }; then
        rm -f "$log"
        return 0
    fi
    echo "setup: apt-get could not install $1:" >&2
    tail -n 5 "$log" >&2
    rm -f "$log"
    return 1
}

apt_quiet() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@" </dev/null
}
