"""`gampong device replace` and `gampong device maintenance`: a new sensor in the same bay, and work
at it.

FILE is the gateway's `gateway.toml` (at the site) or the watch's `ingest.toml` (in the cloud). At
the site the file is written, comments kept, and the agent started again by hand. From the cloud a
new sensor is a configuration that the gateway tries, as any other; maintenance is the watch's own
word, which ends by itself. Exit code: 0, 1 when it isn't done, 2 for something that has to be
changed first.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wire.clock import REAL_TIME, CityTime, SystemClock
from wire.configuration import ConfigurationError
from wire.remote import Ask, text_digest

NOT_DONE, UNUSABLE = 1, 2
_DURATION = re.compile(r"(\d{1,4})([hd])")
_RESTART = "Now: systemctl restart gampong-edge"


def configure(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `replace` and `maintenance` to the words of `device`."""
    replace = words.add_parser(
        "replace",
        help="a new sensor, the same bay: history stays, what was learnt of the old one goes",
        description="Example: gampong device replace gateway.toml bay-07 --driver bosch_tps110 "
        "--dev-eui 0004a30b001c0530",
    )
    _add_common(replace)
    replace.add_argument("--driver", metavar="NAME", help="when it is another model")
    replace.add_argument("--dev-eui", metavar="HEX", help="LoRaWAN: the new one's")
    replace.add_argument("--unit", type=int, metavar="N", help="Modbus: the new one's address")
    replace.add_argument("--node", type=int, metavar="N", help="of many behind one address")
    replace.add_argument("--link", metavar="NAME", help="when it hangs elsewhere")
    replace.add_argument("--sensor", metavar="SERIAL", help="its serial number (default: today)")
    replace.add_argument(
        "--wait", type=float, default=400.0, metavar="S", help="for the trial's end"
    )
    replace.set_defaults(run=run_replace)

    closed = words.add_parser(
        "maintenance",
        help="somebody works at it: closed, no alerts, until then",
        description="Example: gampong device maintenance ingest.toml bay-07 --until 3h",
    )
    _add_common(closed)
    when = closed.add_mutually_exclusive_group(required=True)
    when.add_argument("--until", metavar="TIME", help="3h, 2d, or ISO 8601 with its zone")
    when.add_argument("--end", action="store_true", help="the work is done")
    closed.add_argument("--why", default="", metavar="TEXT", help="for the list")
    closed.set_defaults(run=run_maintenance)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="gateway.toml or ingest.toml")
    parser.add_argument("device", metavar="DEVICE", help="the bay's or the bin's name")
    parser.add_argument(
        "--city-time", type=CityTime.parse, default=REAL_TIME, help="WALL_MS:CITY_MS:RATE"
    )


def run_replace(args: argparse.Namespace) -> int:
    """`gampong device replace`."""
    from edge.device_edits import REPLACEABLE, with_another_sensor

    given = {key: getattr(args, key) for key in REPLACEABLE}
    new = {key: value for key, value in given.items() if value is not None}
    clock = SystemClock(args.city_time)
    new.setdefault("sensor", _iso(clock.now_ms()))

    def changed(text: str) -> str:
        return with_another_sensor(text, "gateway.toml", args.device, new)

    said = ", ".join(f"{key} {value}" for key, value in new.items())
    try:
        if _is_gateways(args.file):
            _write_here(args.file, args.device, changed, f"replaced: {said}", "REPLACED", clock)
            print(f"{args.device}: {said}. Calibrate it (gampong calibrate). {_RESTART}")
            return 0
        return asyncio.run(_replace_from_afar(args, changed, said, clock))
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        print(f"gampong device replace: {error}", file=sys.stderr)
        return UNUSABLE


def run_maintenance(args: argparse.Namespace) -> int:
    """`gampong device maintenance`."""
    from edge.device_edits import in_maintenance_until

    clock = SystemClock(args.city_time)
    try:
        until = None if args.end else until_of(args.until, clock.now_ms())
        said = f"in maintenance until {until.isoformat()}" if until else "no longer in maintenance"
        if not _is_gateways(args.file):
            return asyncio.run(_close_in_the_cloud(args, until, said, clock))

        def changed(text: str) -> str:
            return in_maintenance_until(text, str(args.file), args.device, until)

        note = f"{said}. {args.why}".rstrip(". ")
        _write_here(args.file, args.device, changed, note, "MAINTENANCE", clock)
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        print(f"gampong device maintenance: {error}", file=sys.stderr)
        return UNUSABLE
    print(f"{args.device}: {said}. {_RESTART}")
    return 0


def until_of(text: str, now_ms: int) -> datetime:
    """`3h`, `2d` from now, or an ISO 8601 moment with its zone, in the future.

    Raises:
        ConfigurationError: neither.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    if found := _DURATION.fullmatch(text):
        hours = int(found[1]) * (24 if found[2] == "d" else 1)
        return (now + timedelta(hours=hours)).astimezone().replace(microsecond=0)
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        until = datetime.min
    if until.tzinfo is None or until <= now:
        remedy = "Give 3h, 2d, or like 2026-12-01T17:00+07:00"
        raise ConfigurationError("--until", "", f"{text!r} isn't a moment to come", remedy)
    return until


def _is_gateways(file: Path) -> bool:
    """Whether it is a gateway.toml: only that has the table `gateway`."""
    try:
        return "gateway" in tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        remedy = "Name a gateway.toml or an ingest.toml"
        raise ConfigurationError(str(file), "", str(error), remedy) from error


def _write_here(
    file: Path, device: str, changed: object, text: str, what: str, clock: SystemClock
) -> None:
    from edge.configuration import load_configuration
    from edge.rewriting import rewrite
    from edge.site_log import What, folder_of, note_here

    assert callable(changed)
    before = file.read_text(encoding="utf-8")
    after = changed(before)
    rewrite(file, before, after)
    folder = folder_of(load_configuration(after, str(file)))
    note_here(folder, What[what], clock.now_ms(), device=device, text=text)


async def _replace_from_afar(
    args: argparse.Namespace, changed: object, said: str, clock: SystemClock
) -> int:
    from gampong.gateway_config_command import ask, desk_of, leave, wait_for_end, who
    from ingest.desk import SetConfiguration

    assert callable(changed)
    desk, gateway = desk_of(args.file), _gateway_of(args.file, args.device)
    result = await ask(desk, clock, gateway, Ask.TELL_CONFIGURATION)
    if not result.done:
        print(f"{gateway}: {result.detail}", file=sys.stderr)
        return NOT_DONE
    request = SetConfiguration(gateway, changed(result.text), text_digest(result.text), who())
    taken = await leave(desk, clock, request)
    desired = desk.kept(gateway).desired
    if not taken or desired is None:
        print("no watch took it up; it will at its next start", file=sys.stderr)
        return NOT_DONE
    print(f"{args.device} on {gateway}: {said}; version {desired.version}")
    return await wait_for_end(desk, clock, gateway, desired.version, args.wait)


async def _close_in_the_cloud(
    args: argparse.Namespace, until: datetime | None, said: str, clock: SystemClock
) -> int:
    from gampong.gateway_config_command import desk_of, leave, who
    from ingest.desk import SetMaintenance

    desk = desk_of(args.file)
    _gateway_of(args.file, args.device)
    until_ms = int(until.timestamp() * 1000) if until else 0
    if not await leave(desk, clock, SetMaintenance(args.device, until_ms, who(), args.why)):
        print("no watch took it up; it will at its next start", file=sys.stderr)
        return NOT_DONE
    print(f"{args.device}: {said}")
    return 0


def _gateway_of(file: Path, device: str) -> str:
    """Whose the device is.

    Raises:
        ConfigurationError: nobody's.
    """
    from ingest.configuration import read_configuration
    from ingest.registry_file import load_registry

    path = Path(read_configuration(file).watch.registry_path)
    owners = load_registry(path).owners.get(device)
    if not owners:
        remedy = "See its name in the gateway's gateway.toml"
        raise ConfigurationError(str(path), device, "no gateway has announced it", remedy)
    return owners[-1].gateway


def _iso(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
