#!/bin/sh
# Puts the agent on Debian or Raspberry Pi OS; run again, it upgrades, and goes back by itself when
# the new version confirms nothing. sudo deploy/edge/install.sh --help
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/deploy/setup/release.sh"
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

need_root
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

need_python
need_room 200

say "1/5: user gampong, /etc/gampong, /var/lib/gampong"
getent group dialout >/dev/null || groupadd --system dialout
a_user dialout

say "2/5: the program, into $home/releases (a minute or two)"
make_release edge.txt technician.md

say "3/5: does it like the configuration?"
settings=/etc/gampong/gateway.toml
if [ -f $settings ]; then
    if ! "$release/bin/gampong" edge check $settings >/dev/null; then
        rm -rf "$release"
        stop "the new version refuses $settings (above). The gateway runs as before"
    fi
fi

say "4/5: the service"
mkdir -p /etc/systemd/system /etc/systemd/journald.conf.d
sed "s|@RUN@|$home/current|" "$here/deploy/edge/gampong-edge.service" >/etc/systemd/system/gampong-edge.service
cp "$here/deploy/edge/journald.conf" /etc/systemd/journald.conf.d/gampong.conf
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
if replaces; then
    if "$release/bin/gampong" edge confirmed $settings --within "$wait_s"; then
        forget_older
        say "the new version runs; the one before is kept in $previous"
    else
        switch "$previous"
        systemctl restart gampong-edge
        "$previous/bin/gampong" edge log /var/lib/gampong --note "went back: the new version confirmed nothing" || true
        rm -rf "$release"
        say "the new version confirmed nothing in $wait_s s: back to the one before" >&2
        exit 1
    fi
else
    systemctl is-active --quiet gampong-edge || stop "it doesn't stay up: journalctl -u gampong-edge"
    say "done. gampong doctor $settings tells how it is"
fi
