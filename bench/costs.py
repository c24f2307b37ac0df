"""What a city, ten, and 514 need and cost a month, from the measured figures.

    python -m bench.costs bench/results                      the tables, printed
    python -m bench.costs bench/results docs/scale.md        and put between the page's marks

Needs are cores, bytes and connections, each a measured figure times the city's size. Prices and
sizes of machines are assumptions (`PRICES`), each a range, and stand in the table as such. A figure
that no result has is named, and nothing is computed without it.
"""

from __future__ import annotations

import json
import math
import sys
import textwrap
from pathlib import Path
from typing import Any

import msgspec

from bench.tables import placed
from bench.watch_fleet import DEVICES as WATCHED_DEVICES
from ingest.accounts import EVERY_MS

DEVICES_A_CITY = 5_000
READINGS_A_CITY_S = 10_000 / 514
DEVICES_A_GATEWAY = 72
CITIES = (1, 10, 514)
WATCHED = 1_000
ACCOUNTS_EVERY_S = EVERY_MS / 1000
BATCHES_A_MINUTE = 6
"""A gateway's: one seal, and bays that change at once."""

MONTH_S = 30 * 86_400
RAW_S = 90 * 86_400
HOURS_KEPT = 5 * 366 * 24
HEALTH_POINTS = 7 * 1440
"""Of a device or gateway: one each minute, kept for a week."""

CORES_A_MACHINE, BUSY = 2, 0.5
"""Machines are filled to half: for peaks, compactions, and the backlog after an outage."""

MEMORY_A_MACHINE_MB = 8_000
BROKER_CONNECTIONS = 50_000
"""One mosquitto's, by what a process may open and its one thread; 10,000 are measured."""

RUPIAH = 16_500
BEGIN, END = "<!-- costs: begin -->", "<!-- costs: end -->"


class Price(msgspec.Struct, frozen=True):
    """Dollars a month for one, from and to: an assumption."""

    what: str
    least: float
    most: float


PRICES = {
    "machine": Price("cloud machine, 2 cores, 8 GB", 15, 60),
    "disk": Price("1 TB of SSD in the cloud", 40, 120),
    "sim": Price("SIM of a gateway (4G, machine tariff)", 1, 3),
    "data": Price("1 GB over 4G", 0.2, 1),
}


class NotMeasured(Exception):
    """A result lacks a figure; the text names both."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A core's worth of each part, and bytes."""

    batch_core_s: float  # the ingestor's, a batch
    reading_core_s: float  # the ingestor's, a reading in it
    lines_a_core_s: float  # the database's
    broker_batch_core_s: float
    looks_cores: float  # the database's, for a page and the writes of 10,000 devices
    page_mb: float
    wire_bytes: float
    disk_bytes: float  # a stored point
    minute_core_s: float  # the watch's, a device and minute
    account_core_s: float  # the watch's, a gateway's completeness, due every ten minutes
    account_database_s: float


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What so many cities need. Cores are busy cores."""

    cities: int
    readings_s: float
    gateways: int
    ingest_cores: float
    broker_cores: float
    database_cores: float
    watch_cores: float
    page_gb: float
    disk_tb: float
    air_gb: float

    @property
    def machines(self) -> int:
        cores = self.ingest_cores + self.broker_cores + self.database_cores + self.watch_cores
        by_memory = self.page_gb * 1000 / MEMORY_A_MACHINE_MB
        return max(1, math.ceil(max(cores / CORES_A_MACHINE, by_memory) / BUSY))

    @property
    def brokers(self) -> int:
        by_cores = self.broker_cores / BUSY  # one thread each
        return max(1, math.ceil(max(by_cores, self.gateways / BROKER_CONNECTIONS)))

    @property
    def filled(self) -> dict[str, float]:
        """Part → its share of what one of it can do: what is highest fails first."""
        machine = CORES_A_MACHINE
        return {
            "the database's cores (2)": self.database_cores / machine,
            "the broker's one thread": self.broker_cores,
            "one ingestor's core": self.ingest_cores,
            "one watch's core": self.watch_cores,
            "the broker's connections": self.gateways / BROKER_CONNECTIONS,
            "the page's memory (8 GB)": self.page_gb * 1000 / MEMORY_A_MACHINE_MB,
        }

    def dollars(self, which: str) -> dict[str, float]:
        """A month's money by what it is for; `which` is `least` or `most`."""
        price = {name: getattr(each, which) for name, each in PRICES.items()}
        return {
            "machines": self.machines * price["machine"],
            "disk": self.disk_tb * price["disk"],
            "4G": self.gateways * price["sim"] + self.air_gb * price["data"],
        }


def main() -> int:
    """Compute, print, place; 1 when a figure is missing."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "bench/results")
    try:
        measured = read(folder)
    except NotMeasured as missing:
        print(f"bench.costs: {missing}")
        return 1
    text = page(measured, [need(measured, cities) for cities in CITIES])
    print(text, end="")
    if len(sys.argv) > 2:
        into = Path(sys.argv[2])
        old = into.read_text(encoding="utf-8")
        into.write_text(placed(old, text, (BEGIN, END)), encoding="utf-8")
    return 0


def read(folder: Path) -> Measured:
    """The figures of a folder of results.

    Raises:
        NotMeasured: one isn't there.
    """
    of_60, of_13 = (
        1 / _row(folder, "ingest_cpu", f"ingestor, batches of {size}") * size for size in (60, 13)
    )
    reading_core_s = max(of_60 - of_13, 0.0) / (60 - 13)
    fleet = _raw(folder, "ingest_fleet", "fleets")[-1]
    filled = _raw(folder, "queries", "filled")
    raw = sorted(_raw(folder, "ingest_rate", "raw"))
    _, minute, account = _raw(folder, "watch_fleet", str(WATCHED))
    return Measured(
        batch_core_s=of_13 - 13 * reading_core_s,
        reading_core_s=reading_core_s,
        lines_a_core_s=raw[len(raw) // 2],
        broker_batch_core_s=fleet["broker_cpu"] / fleet["batches_a_s"],
        looks_cores=_row(folder, "queries", "the database's share of a core meanwhile"),
        page_mb=_row(folder, "queries", "page server's memory"),
        wire_bytes=_row(folder, "agent_wire", "on the wire a reading, city"),
        disk_bytes=filled["disk_bytes"] / (filled["points"] + filled["hourly_points"]),
        minute_core_s=minute["watch_s"] / WATCHED / WATCHED_DEVICES,
        account_core_s=account["watch_s"] / WATCHED,
        account_database_s=account["database_s"] / WATCHED,
    )


def need(measured: Measured, cities: int) -> Need:
    """What so many cities need."""
    readings_s, devices = cities * READINGS_A_CITY_S, cities * DEVICES_A_CITY
    gateways = math.ceil(devices / DEVICES_A_GATEWAY)
    batches_s = gateways * BATCHES_A_MINUTE / 60
    health_s = (devices + gateways) / 60
    points = readings_s * RAW_S + devices * HOURS_KEPT + (devices + gateways) * HEALTH_POINTS
    lines_cores = (readings_s + batches_s + health_s) / measured.lines_a_core_s
    looks_cores = devices / 10_000 * measured.looks_cores
    accounts_s = gateways / ACCOUNTS_EVERY_S
    return Need(
        cities=cities,
        readings_s=readings_s,
        gateways=gateways,
        ingest_cores=batches_s * measured.batch_core_s + readings_s * measured.reading_core_s,
        broker_cores=batches_s * measured.broker_batch_core_s,
        database_cores=lines_cores + looks_cores + accounts_s * measured.account_database_s,
        watch_cores=devices * measured.minute_core_s / 60 + accounts_s * measured.account_core_s,
        page_gb=devices / 10_000 * measured.page_mb / 1000,
        disk_tb=points * measured.disk_bytes / 1e12,
        air_gb=readings_s * MONTH_S * measured.wire_bytes / 1e9,
    )


def page(measured: Measured, needs: list[Need]) -> str:
    """Markdown: needs and money side by side, then what they were computed from."""
    names = {1: "one city", 10: "ten", 514: "514"}
    head = ["", *(names.get(each.cities, f"{each.cities:,}") for each in needs)]
    lines = [head, ["---"] * len(head)]
    lines += [[name, *(value(each) for each in needs)] for name, value in _ROWS.items()]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    prices = "; ".join(f"{p.what} ${p.least:g}–{p.most:g} a month" for p in PRICES.values())
    rate = 1 / measured.reading_core_s if measured.reading_core_s else math.inf
    computed = [
        "Computed by `python -m bench.costs` from `bench/results/`:",
        f"an ingestor's core takes {rate:,.0f} readings/s",
        f"and {1e6 * measured.batch_core_s:.0f} µs more a batch;",
        f"the broker {1e6 * measured.broker_batch_core_s:.0f} µs a batch, with its confirmation",
        "and the statuses beside it;",
        f"the database's core {measured.lines_a_core_s:,.0f} lines/s,",
        f"and {measured.looks_cores:.2f} cores for the looks of a page at 10,000 devices;",
        f"{measured.page_mb:.0f} MB of such a page;",
        f"the watch {1e6 * measured.minute_core_s:.0f} µs a device and minute",
        f"and {1000 * measured.account_core_s:.1f} ms a gateway's completeness (the database",
        f"{1000 * measured.account_database_s:.1f} ms), of an hour of notes;",
        f"{measured.wire_bytes:.0f} bytes a reading over 4G (`city`);",
        f"{measured.disk_bytes:.0f} bytes a point on disk.",
        f"Assumed: {BATCHES_A_MINUTE} batches a gateway and minute, {DEVICES_A_GATEWAY} devices a",
        "gateway, readings for 90 days and hours for five years, machines filled to half.",
        f"Assumed prices: {prices}; $1 is Rp {RUPIAH:,}.",
    ]
    return f"{table}\n\n{textwrap.fill(' '.join(computed), 100)}\n"


def _first_to_fail(each: Need) -> str:
    part, share = max(each.filled.items(), key=lambda item: item[1])
    return f"{part}, at {100 * share:,.2g} %" if share < 1 else f"{part}, {share:,.1f} times over"


def _money(each: Need, what: str = "") -> str:
    low, high = (
        sum(v for name, v in each.dollars(which).items() if name == what or not what)
        for which in ("least", "most")
    )
    rupiah = [_two_digits(dollars * RUPIAH / 1e6) for dollars in (low, high)]
    return f"${_two_digits(low)}–{_two_digits(high)} (Rp {'–'.join(rupiah)} million)"


def _two_digits(value: float) -> str:
    return f"{float(f'{value:.2g}'):,.10g}"


_ROWS: dict[str, Any] = {
    "devices": lambda each: f"{each.cities * DEVICES_A_CITY:,}",
    "readings/s": lambda each: f"{each.readings_s:,.0f}",
    "gateways": lambda each: f"{each.gateways:,}",
    "busy cores: ingestors": lambda each: f"{each.ingest_cores:.3g}",
    "busy cores: broker": lambda each: f"{each.broker_cores:.3g}",
    "busy cores: database": lambda each: f"{each.database_cores:.3g}",
    "busy cores: watch": lambda each: f"{each.watch_cores:.3g}",
    "memory of pages, GB": lambda each: f"{each.page_gb:.3g}",
    "disk, TB": lambda each: f"{each.disk_tb:.3g}",
    "over 4G a month, GB": lambda each: f"{each.air_gb:,.0f}",
    "machines (2 cores, 8 GB)": lambda each: f"{each.machines}",
    "brokers": lambda each: f"{each.brokers}",
    "fails first, if one of each": _first_to_fail,
    "machines a month": lambda each: _money(each, "machines"),
    "disk a month": lambda each: _money(each, "disk"),
    "4G a month": lambda each: _money(each, "4G"),
    "all a month": _money,
    "a device and month": lambda each: "${:.3f}–{:.3f}".format(
        *(sum(each.dollars(w).values()) / each.cities / DEVICES_A_CITY for w in ("least", "most"))
    ),
}


def _raw(folder: Path, name: str, key: str) -> Any:
    return _find(_result(folder, name)["raw"], key, name)


def _row(folder: Path, name: str, what: str) -> float:
    """The median of the row that begins so."""
    for row in _result(folder, name)["rows"]:
        if row["what"].startswith(what):
            return float(row["ours"]["median"])
    raise NotMeasured(f"{name}.json has no row {what!r}; run python -m bench --only {name}")


def _result(folder: Path, name: str) -> Any:
    try:
        return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise NotMeasured(
            f"no {name}.json in {folder}; run python -m bench --only {name}"
        ) from error


def _find(raw: dict[str, Any], key: str, name: str) -> Any:
    if key not in raw:
        raise NotMeasured(f"{name}.json has no {key!r}; run python -m bench --only {name}")
    return raw[key]


if __name__ == "__main__":
    sys.exit(main())
