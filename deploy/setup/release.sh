# Sourced by deploy/edge/install.sh and deploy/cloud/install.sh: a program in a folder a version, and
# a link `current` to the one that runs. In: `home`, where the folders are, and `here`, this
# repository. Out: `release`, the new one, and `previous`, the one that ran, or nothing.
# shellcheck shell=sh

say() { echo "install: $*"; }
stop() { echo "install: $*" >&2; exit 2; }

# What has to be there: root, a Python, so many MB under /opt.
need_root() { [ "$(id -u)" = 0 ] || stop "not root. Run: sudo $0"; }
need_python() {
    command -v python3 >/dev/null ||
        stop "python3 isn't there. Run: apt-get install python3 python3-venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "$(python3 --version) is too old: 3.11 or later (Debian 12, Raspberry Pi OS bookworm)"
    python3 -c 'import ensurepip' 2>/dev/null || stop "no venv. Run: apt-get install python3-venv"
}
need_room() {
    free_kb=$(df -Pk /opt | awk 'NR == 2 { print $4 }')
    [ "$free_kb" -gt $(($1 * 1000)) ] || stop "less than $1 MB free under /opt. Nothing was changed"
}

# a_user [GROUP]: gampong, and the folders it has.
a_user() {
    getent passwd gampong >/dev/null ||
        useradd --system --user-group ${1:+--groups "$1"} --home-dir /var/lib/gampong \
            --shell /usr/sbin/nologin gampong
    install -d -o root -g gampong -m 0750 /etc/gampong
    install -d -o gampong -g gampong -m 0750 /var/lib/gampong
}

# make_release REQUIREMENTS PAGE: this repository's version, with that list and page of docs/.
make_release() {
    release=$home/releases/$(date -u +%Y%m%dT%H%M%SZ)
    previous=$(readlink "$home/current" 2>/dev/null || true)
    # What is half there never becomes `current`, and is gone after a failure.
    trap 'rm -rf "$release"' EXIT
    trap 'exit 130' INT TERM
    mkdir -p "$release"
    python3 -m venv "$release"
    _pip install --require-hashes -r "$here/requirements/$1"
    # Built in a copy: this folder may be someone else's, or read-only.
    copy=$(mktemp -d)
    tar -C "$here" --exclude=.git --exclude=.venv --exclude=.hypothesis --exclude='*_cache' -cf - . | tar -C "$copy" -xf -
    _pip install --no-deps --no-build-isolation "$copy"
    rm -rf "$copy"
    mkdir -p "$release/docs"
    cp "$here/docs/$2" "$release/docs/"
    "$release/bin/gampong" --version >/dev/null
    trap - EXIT INT TERM
}
_pip() { "$release/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }

# switch FOLDER: this one runs from the next start on.
switch() { ln -sfn "$1" "$home/current.new" && mv -T "$home/current.new" "$home/current"; }

# forget_older: all but the new one and the one before.
forget_older() {
    find "$home/releases" -mindepth 1 -maxdepth 1 ! -path "$release" ${previous:+! -path "$previous"} -exec rm -rf {} +
}

# replaces: whether there was another version before.
replaces() { [ -n "$previous" ] && [ "$previous" != "$release" ]; }
