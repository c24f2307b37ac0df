"""`gampong devices` lists what is supported, `gampong decode` shows what a payload says.

`gampong devices --markdown` is docs/devices.md, whole: the page is made from the drivers and their
vectors, never written.

In: parsed arguments. Out: lines on stdout, refusals and errors on stderr, an exit code: 0, or 2
for a payload that is refused or a command that can't be carried out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import msgspec

from devices.driver import Driver, UnknownDriver, driver_names, load_driver
from devices.kinds import KINDS
from devices.reading import Payload, Refusal, Undecodable, Values
from devices.vectors import read_vectors

REFUSED = 2
Row = dict[str, str | float | list[str]]
_COLUMNS = ("driver", "vendor", "models", "kind", "link", "heartbeat_s", "vectors")


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register both commands."""
    devices = subparsers.add_parser("devices", help="list the supported devices")
    form = devices.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON list in place of a table")
    form.add_argument("--markdown", action="store_true", help="the page docs/devices.md")
    devices.set_defaults(run=run_devices)

    decode = subparsers.add_parser(
        "decode",
        help="show what a payload says",
        description="One JSON line a reading. A UART sensor's payload is its whole frame, a "
        "Modbus sensor's the registers' bytes, an access point's its JSON in hex.",
    )
    decode.add_argument("--driver", required=True, metavar="NAME", help="see `gampong devices`")
    decode.add_argument("--f-port", type=int, default=0, metavar="N", help="LoRaWAN port")
    decode.add_argument("hex", nargs="+", metavar="HEX", help="the payload; spaces are allowed")
    decode.set_defaults(run=run_decode)


def run_devices(args: argparse.Namespace) -> int:
    """Print the table of supported devices."""
    rows = [_row(load_driver(name)) for name in driver_names()]
    if args.json:
        print(msgspec.json.encode(rows).decode())
        return 0
    if args.markdown:
        print("\n".join(_page(rows)))
        return 0
    cells = [tuple(_cell(row[column]) for column in _COLUMNS) for row in rows]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *cells, strict=True)]
    for line in (_COLUMNS, *cells):
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip())
    return 0


def run_decode(args: argparse.Namespace) -> int:
    """Print what the payload says, one line a reading, or why it is refused."""
    try:
        driver = load_driver(args.driver)
        data = bytes.fromhex("".join(args.hex))
        readings = driver.decode(Payload(data, args.f_port))
    except UnknownDriver as error:
        return _fail(str(error.args[0]))
    except ValueError as error:  # fromhex names the place
        return _fail(f"HEX must be pairs of hex digits: {error}")
    except Undecodable as error:
        return _fail(f"refused: {error}{_port_hint(error, args.f_port)}")
    for values in readings:
        print(msgspec.json.encode(_line(driver, values)).decode())
    return 0


def _page(rows: list[Row]) -> Iterator[str]:
    models = sum(len(row["models"]) for row in rows if isinstance(row["models"], list))
    vectors = sum(int(row["vectors"]) for row in rows if isinstance(row["vectors"], int))
    yield "# Supported devices"
    yield f"{models} models, read by {len(rows)} drivers, held to {vectors} vectors (a payload"
    yield "and what it must give, or why it is refused; each names its source, beside the driver in"
    yield "`devices/`). Made by `gampong devices --markdown`."
    yield ""
    yield "`heartbeat` is how often a device reports as delivered. Another sensor takes two files:"
    yield "see [the developer's page](developer.md)."
    for kind in KINDS.values():
        found = [row for row in rows if row["kind"] == kind.name]
        if found:
            yield from ("", f"## `{kind.name}`: {kind.about}", "")
            yield "| models | driver | link | heartbeat | vectors |"
            yield "|---|---|---|---|---|"
        for row in sorted(found, key=lambda row: (row["vendor"], row["driver"])):
            yield (
                f"| {row['vendor']} {_cell(row['models'])} | `{row['driver']}` | {row['link']} "
                f"| {_duration(row['heartbeat_s'])} | {row['vectors']} |"
            )


def _duration(seconds: str | float | list[str]) -> str:
    minutes = float(str(seconds)) / 60
    return f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:g} h"


def _row(driver: Driver) -> Row:
    return {
        "driver": driver.name,
        "vendor": driver.vendor,
        "models": list(driver.models),
        "kind": driver.kind,
        "link": type(driver.link).__name__.removesuffix("Link").lower(),
        "heartbeat_s": driver.heartbeat_s,
        "vectors": len(read_vectors(driver.name)),
    }


def _cell(value: str | float | list[str]) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _line(driver: Driver, values: Values) -> dict[str, object]:
    line: dict[str, object] = {
        "driver": driver.name,
        "kind": driver.kind,
        "fields": dict(values.fields),
        "event": values.event,
    }
    if values.time_ms is not None:
        line["time_ms"] = values.time_ms
    if values.channel:
        line["channel"] = values.channel
    return line


def _port_hint(error: Undecodable, port: int) -> str:
    return " (give --f-port?)" if error.reason is Refusal.TYPE and port == 0 else ""


def _fail(message: str) -> int:
    print(f"gampong decode: {message}", file=sys.stderr)
    return REFUSED
