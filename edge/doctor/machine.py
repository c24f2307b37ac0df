"""The machine under the agent: ports, clock, disk, card, memory, power.

In: the configuration and the root of a file tree (`/`; a test gives another with the same files).
Out: findings. Where a machine doesn't tell (a plain SD card's wear, a PC's power) that is said and
passes: only a Raspberry Pi has the second, only eMMC the first.

Thresholds: MEMORY_WARN_MB 100 and MEMORY_FAIL_MB 30: the agent takes 40. DISK_WARN_SHARE: less free
than the outbox may still grow is a promise that can't be kept. LIFE_WARN 0.7: the card's own
estimate (JEDEC eMMC 5.1, EXT_CSD 268 and 269) in tenths; order a new one then.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from edge.card import card_life_used
from edge.configuration import EdgeConfiguration
from edge.doctor import Finding, fails, passes, warns
from edge.timekeeping import ntp_synchronised
from wire.sentence import told

MEMORY_WARN_MB, MEMORY_FAIL_MB = 100, 30
LIFE_WARN, LIFE_FAIL = 0.7, 1.0
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_UNDERVOLTAGE_NOW, _THROTTLED_NOW, _UNDERVOLTAGE_SINCE_BOOT = 1 << 0, 1 << 2, 1 << 16
"""https://www.raspberrypi.com/documentation/computers/os.html#get_throttled"""

_CLOCK, _DISK, _CARD = told("clock"), told("disk"), told("card")
_MEMORY, _POWER = told("memory"), told("power")
_SILENT = told("this machine doesn't tell")


def look_at_machine(
    configuration: EdgeConfiguration,
    root: Path = Path("/"),
    synchronised: Callable[[], bool] = ntp_synchronised,
) -> Iterator[Finding]:
    """Findings on everything but the network and the outbox's content."""
    yield from ports(configuration, root)
    yield clock(configuration, synchronised)
    yield from disk(configuration)
    yield card(Path(configuration.outbox.path), root)
    yield memory(root)
    yield power(root)


def ports(configuration: EdgeConfiguration, root: Path = Path("/")) -> Iterator[Finding]:
    """Serial ports: there, ours to use, named so that they stay."""
    for link in configuration.link:
        port = getattr(link, "port", "")
        if not port or "://" in port:
            continue
        look, path = told("port {link}", link=link.name), root / port.lstrip("/")
        if not path.exists():
            named = ", ".join(sorted(one.name for one in root.glob("dev/serial/by-id/*")))
            remedy = told(
                "Plug the adapter in, or name another; by-id there are: {ports}",
                ports=named or told("none"),
            )
            yield fails(look, told("{port} isn't there", port=port), remedy)
        elif not os.access(path, os.R_OK | os.W_OK):
            user = pwd.getpwuid(os.geteuid()).pw_name
            remedy = told("Run: sudo usermod -aG dialout {user}, then log in again", user=user)
            yield fails(look, told("{port} isn't {user}'s to use", port=port, user=user), remedy)
        elif holders := _holders(path, root):
            who = ", ".join(holders)
            if all("gampong" in holder for holder in holders):
                yield passes(look, told("{port}, used by the agent", port=port))
            else:
                remedy = told("Stop {who}: one program a port", who=who)
                yield fails(look, told("{port} is used by {who}", port=port, who=who), remedy)
        elif port.startswith(("/dev/ttyUSB", "/dev/ttyACM")):
            remedy = told(
                "Name it by /dev/serial/by-id/…: this name changes when it is plugged in again"
            )
            yield warns(look, told("{port} is free", port=port), remedy)
        else:
            yield passes(look, told("{port} is free", port=port))


def clock(configuration: EdgeConfiguration, synchronised: Callable[[], bool]) -> Finding:
    """Whether this machine knows the time."""
    if configuration.time.trust == "system":
        return passes(_CLOCK, told("trusted as it is (time.trust = system)"))
    if synchronised():
        return passes(_CLOCK, told("synchronised"))
    remedy = told(
        "Run: timedatectl; let UDP port 123 out. Until then readings wait, or take the cloud's time"
    )
    return warns(_CLOCK, told("not synchronised by NTP"), remedy)


def disk(configuration: EdgeConfiguration) -> Iterator[Finding]:
    """Room for what the outbox may hold, on a disk that can be written."""
    path = Path(configuration.outbox.path)
    folder = next(one for one in path.parents if one.exists())
    free = shutil.disk_usage(folder).free
    used = sum(one.stat().st_size for one in folder.glob(f"{path.name}*") if one.is_file())
    wanted = max(0, configuration.outbox.bytes_max - used)
    seen = told(
        "{free_gb:.1f} GB free at {folder}, the outbox may take {wanted_gb:.1f} GB more",
        free_gb=free / 1e9,
        folder=folder,
        wanted_gb=wanted / 1e9,
    )
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        remedy = told("The card is failing or was mounted so: look at dmesg, replace the card")
        yield fails(_DISK, told("{folder} is read-only", folder=folder), remedy)
    elif free < wanted:
        yield warns(_DISK, seen, told("Free some, or lower outbox.bytes_max"))
    else:
        yield passes(_DISK, seen)


def card(outbox: Path, root: Path = Path("/")) -> Finding:
    """How much of the card's life is used, by its own estimate."""
    used = card_life_used(outbox, root)
    if used is None:
        seen = told("doesn't tell its wear (SD cards and disks don't; eMMC does)")
        return passes(_CARD, seen)
    seen = told("{used:.0%} of its life used, by its own estimate", used=used)
    if used >= LIFE_FAIL:
        return fails(_CARD, seen, told("Replace it now: it may stop writing at any time"))
    if used >= LIFE_WARN:
        return warns(_CARD, seen, told("Order a new one"))
    return passes(_CARD, seen)


def memory(root: Path = Path("/")) -> Finding:
    """What is left for everybody."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        table = dict(line.split(":", 1) for line in lines if ":" in line)
        available_mb = int(table["MemAvailable"].split()[0]) // 1024
    except (OSError, KeyError, ValueError, IndexError):
        return passes(_MEMORY, _SILENT)
    seen = told("{available_mb} MB available", available_mb=available_mb)
    remedy = told("See what takes it: ps -eo rss,comm --sort=-rss | head")
    if available_mb < MEMORY_FAIL_MB:
        return fails(_MEMORY, seen, remedy)
    return warns(_MEMORY, seen, remedy) if available_mb < MEMORY_WARN_MB else passes(_MEMORY, seen)


def power(root: Path = Path("/")) -> Finding:
    """A Pi's word on its supply: a weak one damages cards and resets radios."""
    try:
        bits = int((root / _THROTTLED).read_text().strip(), 16)
    except (OSError, ValueError):
        return passes(_POWER, _SILENT)
    remedy = told("Take the official supply, or a shorter and thicker cable")
    if bits & _UNDERVOLTAGE_NOW:
        return fails(_POWER, told("under-voltage now"), remedy)
    if bits & _UNDERVOLTAGE_SINCE_BOOT:
        return warns(_POWER, told("under-voltage since the last start"), remedy)
    if bits & _THROTTLED_NOW:
        return warns(_POWER, told("slowed down by heat"), told("Give it air, or a heat sink"))
    return passes(_POWER, told("no under-voltage since the last start"))


def _holders(port: Path, root: Path) -> list[str]:
    """Command lines of programs that have it open, as far as this user may see."""
    target, holders = port.resolve(), []
    for descriptors in root.glob("proc/[0-9]*/fd"):
        try:
            if any(each.resolve() == target for each in descriptors.iterdir()):
                words = (descriptors.parent / "cmdline").read_bytes().split(b"\0")
                holders.append(b" ".join(words[:4]).decode(errors="replace").strip()[:80])
        except OSError:
            continue  # another user's, or it has ended
    return sorted(set(holders))
