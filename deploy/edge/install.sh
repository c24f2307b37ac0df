#!/bin/sh
# Puts the agent on Debian or Raspberry Pi OS; run again, it upgrades, and goes back by itself when
# the new version confirms nothing. sudo deploy/edge/install.sh --help
set -eu

say() { echo "install: $*"; }
stop() { echo "install: $*" >&2; exit 2; }
usage() {
    cat <<'TEXT'
sudo deploy/edge/install.sh            install, or upgrade to this folder's version
sudo deploy/edge/install.sh --wait 60  upgrade, and wait so many seconds for a confirmed batch (300)
sudo deploy/edge/install.sh --page     the same, and the page for the technician's phone: PIN, name, [page]
sudo deploy/edge/install.sh --uninstall   remove the program; /etc/gampong and /var/lib/gampong stay

It makes /opt/gampong (a folder a version, `current` is the one that runs), a user gampong in the
group dialout, /etc/gampong, /var/lib/gampong and the service gampong-edge.
TEXT
}

home=/opt/gampong
wait_s=300
uninstall=no
page=no
while [ $# -gt 0 ]; do
    case $1 in
    --wait) wait_s=${2:?--wait SECONDS}; shift ;;
    --uninstall) uninstall=yes ;;
    --page) page=yes ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done

[ "$(id -u)" = 0 ] || stop "not root. Run: sudo $0"
here=$(cd "$(dirname "$0")/../.." && pwd)
systemd=no
[ -d /run/systemd/system ] && systemd=yes

if [ "$uninstall" = yes ]; then
    if [ $systemd = yes ]; then
        systemctl disable --now --quiet gampong-edge 2>/dev/null || true
    fi
    [ ! -f /etc/avahi/avahi-daemon.conf ] || sed -i '/^host-name=gampong$/d' /etc/avahi/avahi-daemon.conf
    rm -rf "$home" /etc/systemd/system/gampong-edge.service /etc/systemd/journald.conf.d/gampong.conf
    [ $systemd = yes ] && systemctl daemon-reload
    say "removed. /etc/gampong and /var/lib/gampong, with what was never confirmed, are still there"
    exit 0
fi

command -v python3 >/dev/null || stop "python3 isn't there. Run: apt-get install python3 python3-venv"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "$(python3 --version) is too old: 3.11 or later (Debian 12, Raspberry Pi OS bookworm)"
python3 -c 'import ensurepip' 2>/dev/null || stop "no venv. Run: apt-get install python3-venv"
free_kb=$(df -Pk /opt | awk 'NR == 2 { print $4 }')
[ "$free_kb" -gt 200000 ] || stop "less than 200 MB free under /opt. Nothing was changed"

say "1/5: user gampong, /etc/gampong, /var/lib/gampong"
getent group dialout >/dev/null || groupadd --system dialout
getent passwd gampong >/dev/null ||
    useradd --system --user-group --groups dialout --home-dir /var/lib/gampong --shell /usr/sbin/nologin gampong
install -d -o root -g gampong -m 0750 /etc/gampong
install -d -o gampong -g gampong -m 0750 /var/lib/gampong

stamp=$(date -u +%Y%m%dT%H%M%SZ)
release=$home/releases/$stamp
say "2/5: the program, $release (a minute or two)"
# What is half there never becomes `current`, and is gone after a failure.
trap 'rm -rf "$release"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$release"
python3 -m venv "$release"
pip() { "$release/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }
pip install --require-hashes -r "$here/requirements/edge.txt"
# Built in a copy: this folder may be someone else's, or read-only.
copy=$(mktemp -d)
tar -C "$here" --exclude=.git --exclude=.venv --exclude=.hypothesis --exclude='*_cache' -cf - . | tar -C "$copy" -xf -
pip install --no-deps --no-build-isolation "$copy"
rm -rf "$copy"
mkdir -p "$release/docs"
cp "$here/docs/technician.md" "$release/docs/"
"$release/bin/gampong" --version >/dev/null
trap - EXIT INT TERM

say "3/5: does it like the configuration?"
settings=/etc/gampong/gateway.toml
if [ -f $settings ]; then
    if ! "$release/bin/gampong" edge check $settings >/dev/null; then
        rm -rf "$release"
        stop "the new version refuses $settings (above). The gateway runs as before"
    fi
fi

say "4/5: the service"
previous=$(readlink "$home/current" 2>/dev/null || true)
mkdir -p /etc/systemd/system /etc/systemd/journald.conf.d
sed "s|@RUN@|$home/current|" "$here/deploy/edge/gampong-edge.service" >/etc/systemd/system/gampong-edge.service
cp "$here/deploy/edge/journald.conf" /etc/systemd/journald.conf.d/gampong.conf
switch() { ln -sfn "$1" "$home/current.new" && mv -T "$home/current.new" "$home/current"; }
switch "$release"
ln -sfn "$home/current/bin/gampong" /usr/local/bin/gampong
[ $systemd = yes ] && systemctl daemon-reload
"$release/bin/gampong" edge log /var/lib/gampong --note "installed $("$release/bin/gampong" --version)" || true

if [ $page = yes ]; then
    pin=/etc/gampong/page.pin
    [ -f $pin ] || say "the page's PIN, shown this once: $("$release/bin/gampong" edge pin $pin 2>/dev/null)"
    avahi=/etc/avahi/avahi-daemon.conf
    if [ -f $avahi ] && grep '^host-name=' $avahi | grep -qv '^host-name=gampong$'; then
        say "$avahi has a $(grep '^host-name=' $avahi) already: [page] name has to be that, with .local"
    elif [ -f $avahi ]; then
        grep -q '^host-name=' $avahi || sed -i 's/^\[server\]$/[server]\nhost-name=gampong/' $avahi
        [ $systemd = no ] || systemctl restart avahi-daemon
    else
        say "no avahi: the page has no name, only its address. Run: apt-get install avahi-daemon"
    fi
    if [ -f $settings ] && ! grep -q '^ *\[page\]' $settings; then
        printf '\n[page]\nhost = "0.0.0.0"\n' >>$settings
    elif [ ! -f $settings ]; then
        say "once there is $settings: add [page] with host = \"0.0.0.0\", or run this again"
    fi
fi

say "5/5: start"
if [ ! -f $settings ]; then
    say "done. Now: gampong edge enrol BUNDLE, links and devices in $settings, then"
    say "      systemctl enable --now gampong-edge"
    exit 0
fi
if [ $systemd = no ]; then
    say "done. systemd doesn't run here: the service starts with the next boot"
    exit 0
fi
chgrp gampong /etc/gampong/* && chmod g+r /etc/gampong/*
systemctl enable --quiet gampong-edge
systemctl restart gampong-edge || true
if [ -n "$previous" ] && [ "$previous" != "$release" ]; then
    if "$release/bin/gampong" edge confirmed $settings --within "$wait_s"; then
        find "$home/releases" -mindepth 1 -maxdepth 1 ! -path "$release" ! -path "$previous" -exec rm -rf {} +
        say "the new version runs; the one before is kept in $previous"
    else
        switch "$previous"
        systemctl restart gampong-edge
        rm -rf "$release"
        say "the new version confirmed nothing in $wait_s s: back to the one before" >&2
        exit 1
    fi
else
    systemctl is-active --quiet gampong-edge || stop "it doesn't stay up: journalctl -u gampong-edge"
    say "done. gampong doctor $settings tells how it is"
fi
