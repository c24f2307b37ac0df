#!/bin/sh
# Puts the cloud's processes on Debian: ingestors, watch, pages, the nightly backup. Run again, it
# upgrades, and goes back by itself when the new version doesn't stay up.
# sudo deploy/cloud/install.sh --help
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/deploy/setup/release.sh"
usage() {
    cat <<'TEXT'
sudo deploy/cloud/install.sh             install, or upgrade to this folder's version
sudo deploy/cloud/install.sh --wait 60   upgrade, and watch the processes for so many seconds (30)
sudo deploy/cloud/install.sh --uninstall remove the program; /etc/gampong and /var/lib/gampong stay

It makes /opt/gampong-cloud (a folder a version, `current` is the one that runs), a user gampong,
/etc/gampong, /var/lib/gampong, /var/backups/gampong and a service for each file that is there:
  ingest.toml, ingest-2.toml …   gampong-ingest@ingest, gampong-ingest@ingest-2 …
  ingest.toml                    gampong-watch, gampong-backup.timer
  page.toml                      gampong-page
  opendata.toml                  gampong-opendata, and gampong-push.timer where it has [ckan]
  payments.toml                  gampong-payments
mosquitto and InfluxDB 2 are their own packages' (docs/operator.md).
TEXT
}

home=/opt/gampong-cloud
settings=/etc/gampong
wait_s=30
uninstall=no
while [ $# -gt 0 ]; do
    case $1 in
    --wait) wait_s=${2:?--wait SECONDS}; shift ;;
    --uninstall) uninstall=yes ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done

need_root
systemd=no
[ -d /run/systemd/system ] && systemd=yes
units=/etc/systemd/system

if [ "$uninstall" = yes ]; then
    if [ $systemd = yes ]; then
        for each in $units/*.target.wants/gampong-*; do
            case $each in */gampong-edge.service) continue ;; esac
            [ -L "$each" ] && systemctl disable --now --quiet "$(basename "$each")"
        done
    fi
    rm -rf "$home"
    for each in "$here"/deploy/cloud/gampong-*; do rm -f "$units/$(basename "$each")"; done
    [ $systemd = yes ] && systemctl daemon-reload
    say "removed. /etc/gampong, /var/lib/gampong and /var/backups/gampong are still there"
    exit 0
fi

need_python
need_room 600

say "1/4: user gampong, /etc/gampong, /var/lib/gampong, /var/backups/gampong"
a_user
install -d -o root -g root -m 0700 /var/backups/gampong

say "2/4: the program, into $home/releases (some minutes)"
make_release cloud.txt operator.md

say "3/4: the services"
mkdir -p $units
for each in "$here"/deploy/cloud/gampong-*; do
    sed "s|@RUN@|$home/current|" "$each" >"$units/$(basename "$each")"
done
switch "$release"
ln -sfn "$home/current/bin/gampong" /usr/local/bin/gampong
[ $systemd = yes ] && systemctl daemon-reload

services=""
for each in "$settings"/ingest*.toml; do
    [ -f "$each" ] && services="$services gampong-ingest@$(basename "$each" .toml)"
done
[ -f $settings/ingest.toml ] && services="gampong-watch $services gampong-backup.timer"
[ -f $settings/page.toml ] && services="$services gampong-page"
[ -f $settings/opendata.toml ] && services="$services gampong-opendata"
[ -f $settings/payments.toml ] && services="$services gampong-payments"
grep -qs '^\[ckan\]' $settings/opendata.toml && services="$services gampong-push.timer"

say "4/4: start"
if [ -z "$services" ]; then
    say "done. Now write $settings/ingest.toml (docs/operator.md), run gampong ingest setup, and"
    say "      run this again"
    exit 0
fi
if [ $systemd = no ]; then
    say "done. systemd doesn't run here: enable$services with the next boot"
    exit 0
fi
# The watch first: ingestors wait for the registry it publishes.
# shellcheck disable=SC2086  # a list of words
start() {
    systemctl enable --quiet $services
    for each in $services; do systemctl restart "$each" || return 1; done
}
# Whether all are up after the time, and none was started again meanwhile.
stay_up() {
    sleep "$wait_s"
    for each in $services; do
        systemctl is-active --quiet "$each" || { say "$each doesn't stay up" >&2; return 1; }
        case $each in *.timer) continue ;; esac
        [ "$(systemctl show -P NRestarts "$each")" = 0 ] || { say "$each was started again" >&2; return 1; }
    done
}
if start && stay_up; then
    forget_older
    say "running:$services"
elif replaces; then
    switch "$previous"
    start || true
    rm -rf "$release"
    say "the new version doesn't stay up (journalctl -u 'gampong-*'): back to the one before" >&2
    exit 1
else
    stop "see journalctl -u 'gampong-*'"
fi
