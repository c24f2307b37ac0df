#!/bin/sh
# Puts the cloud's processes on Debian: ingestors, watch, pages, the nightly backup. Run again, it
# upgrades, and goes back by itself when the new version doesn't stay up.
# sudo deploy/cloud/install.sh --help
set -eu

say() { echo "install: $*"; }
stop() { echo "install: $*" >&2; exit 2; }
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

[ "$(id -u)" = 0 ] || stop "not root. Run: sudo $0"
here=$(cd "$(dirname "$0")/../.." && pwd)
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

command -v python3 >/dev/null || stop "python3 isn't there. Run: apt-get install python3 python3-venv"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "$(python3 --version) is too old: 3.11 or later (Debian 12)"
python3 -c 'import ensurepip' 2>/dev/null || stop "no venv. Run: apt-get install python3-venv"
free_kb=$(df -Pk /opt | awk 'NR == 2 { print $4 }')
[ "$free_kb" -gt 600000 ] || stop "less than 600 MB free under /opt. Nothing was changed"

say "1/4: user gampong, /etc/gampong, /var/lib/gampong, /var/backups/gampong"
getent passwd gampong >/dev/null ||
    useradd --system --user-group --home-dir /var/lib/gampong --shell /usr/sbin/nologin gampong
install -d -o root -g gampong -m 0750 $settings
install -d -o gampong -g gampong -m 0750 /var/lib/gampong
install -d -o root -g root -m 0700 /var/backups/gampong

release=$home/releases/$(date -u +%Y%m%dT%H%M%SZ)
say "2/4: the program, $release (some minutes)"
# What is half there never becomes `current`, and is gone after a failure.
trap 'rm -rf "$release"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$release"
python3 -m venv "$release"
pip() { "$release/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }
pip install --require-hashes -r "$here/requirements/cloud.txt"
# Built in a copy: this folder may be someone else's, or read-only.
copy=$(mktemp -d)
tar -C "$here" --exclude=.git --exclude=.venv --exclude=.hypothesis --exclude='*_cache' -cf - . | tar -C "$copy" -xf -
pip install --no-deps --no-build-isolation "$copy"
rm -rf "$copy"
mkdir -p "$release/docs"
cp "$here/docs/operator.md" "$release/docs/"
"$release/bin/gampong" --version >/dev/null
trap - EXIT INT TERM

say "3/4: the services"
previous=$(readlink "$home/current" 2>/dev/null || true)
mkdir -p $units
for each in "$here"/deploy/cloud/gampong-*; do
    sed "s|@RUN@|$home/current|" "$each" >"$units/$(basename "$each")"
done
switch() { ln -sfn "$1" "$home/current.new" && mv -T "$home/current.new" "$home/current"; }
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
    find "$home/releases" -mindepth 1 -maxdepth 1 ! -path "$release" ${previous:+! -path "$previous"} -exec rm -rf {} +
    say "running:$services"
elif [ -n "$previous" ] && [ "$previous" != "$release" ]; then
    switch "$previous"
    start || true
    rm -rf "$release"
    say "the new version doesn't stay up (journalctl -u 'gampong-*'): back to the one before" >&2
    exit 1
else
    stop "see journalctl -u 'gampong-*'"
fi
