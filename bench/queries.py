"""How long the Command Center waits for 10,000 devices on a real InfluxDB 2.

    python -m bench.queries --seconds 60 --out bench/results
    python -m bench.queries --folder /somewhere/kept     # fills once, about a minute

While it measures, gateways go on: a batch of telemetry or of one bay's change, about five a second
in all, written as the ingestor writes them. Beside each figure stands what asking InfluxDB for it
in the plain way costs in the same run.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from bench import peers
from bench.environment import environment
from bench.processes import used
from bench.queries_city import (
    DAY_MS,
    DEVICES,
    LONG_DAYS,
    ONE_BAY,
    SITES,
    WEEK_DAYS,
    YEAR_DAYS,
    City,
    Device,
    devices,
    filled_city,
    readings,
)
from bench.result import AtMost, Figure, Result, Row, options, publish
from devices.kinds import KINDS
from ingest.stores import Aggregate, Bucket, Query, Written
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from tests.servers import Influxd
from wire.clock import Clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RUNS = 3
POLL_S = 0.2
BATCH_S = 0.2
BATCH_LINES = 20
START_S = 60.0
GRAFANA_S = 6.0
KNOWN_SHARE = 0.9  # a device that the fill gave no reading of late has none
SHOWN_FIELDS = {
    "parking_spot": "occupied",
    "waste_container": "filling_level",
    "wifi_access_point": "clients",
}
HOUR_MS = 3_600_000
METHOD = (
    f"InfluxDB 2 with {DEVICES:,} devices: {SITES} sites of 300 bays, 180 bins, 20 hotspots. 30"
    " days of readings of one site, half a day of the others; hourly roll-ups of a week of every"
    " bay, of a year of every site. Meanwhile a gateway's batch is written each 0.2 s. p95 of each"
    f" of {RUNS} runs; median (least to greatest) of the runs. The page is a process of its own,"
    " asked over HTTP, gzip, as browsers do; the store's questions are HTTP too. Peer: the same"
    " asked of InfluxDB in the plain way, in the same run: `last()` of each device of a day, as a"
    " Grafana panel asks; InfluxQL over every series."
)


async def _milliseconds(clock: Clock, ask: Callable[[], Awaitable[Any]]) -> float:
    began_s = clock.monotonic()
    await ask()
    return (clock.monotonic() - began_s) * 1000


async def _p95(clock: Clock, ask: Callable[[], Awaitable[Any]], seconds: float) -> Figure:
    """Each run asks again and again for its share of the time, once at the least."""
    p95s: list[float] = []
    for _ in range(RUNS):
        until_s, took = clock.monotonic() + seconds / RUNS, list[float]()
        while not took or clock.monotonic() < until_s:
            took.append(await _milliseconds(clock, ask))
        p95s.append(sorted(took)[len(took) * 95 // 100])
    return Figure.of(p95s)


class Gateways:
    """The city's gateways going on: writes as the ingestor does, until cancelled.

    `told` is the newest reading of the last batch: device and time.
    """

    def __init__(self, store: LiveStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._rng = random.Random(7)
        self._behind: dict[str, list[Device]] = {}
        for site in range(SITES):
            for device in devices(site):
                self._behind.setdefault(device.gateway, []).append(device)
        self.told = ("", 0)

    async def run(self) -> None:
        while True:
            await self._batch()
            await self._clock.pause(BATCH_S)

    async def _batch(self) -> None:
        rng, now_ms = self._rng, self._clock.now_ms()
        gateway = rng.choice(list(self._behind))
        some = rng.sample(self._behind[gateway], rng.choice((1, BATCH_LINES)))
        lines = [_now(device, now_ms, rng) for device in some]
        site = some[0].site
        tags = f"device={gateway},gateway={gateway},site={site},zone=main"
        fate = await self._store.write(Bucket.CITY, lines)
        batch = 'epoch="aa",lag_ms=4i,readings=20i,rejected=0i,sequence=4i'
        notes = [
            f"gateway_batch,{tags} {batch} {now_ms}",
            f"arrival,{tags} oldest_ms={now_ms - HOUR_MS}i {self._clock.now_ms()}",
        ]
        if fate != Written() or await self._store.write(Bucket.CITY, notes) != Written():
            raise RuntimeError(f"a batch wasn't taken: {fate}")
        self.told = (some[0].name, now_ms)


def _now(device: Device, now_ms: int, rng: random.Random) -> str:
    """What the device says now."""
    line = next(readings(device, now_ms - device.heartbeat_ms, now_ms, rng))
    return f"{line.rpartition(' ')[0]} {now_ms}"


@contextmanager
def _page(city: City, folder: Path) -> Iterator[tuple[str, int]]:
    """`gampong page` over the city, once it has read it: its address and process id."""
    settings, config = city.settings, folder / "page.toml"
    config.write_text(
        f'[store]\ntype = "influxdb2"\nurl = "{settings.url}"\norg = "{settings.org}"\n'
        f'token_file = "{settings.token_file}"\ntimeout_s = 60.0\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "gampong", "page", "--config", str(config), "--port", "0"]
    command += ["--city-time", city.time.argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().split()[-1], process.pid
        finally:
            process.terminate()


class _Shown(msgspec.Struct):
    name: str
    time_ms: int


class _State(msgspec.Struct):
    """As much of `/api/state` as the measurement needs."""

    read_ms: int
    devices: list[_Shown]


async def _page_rows(city: City, gateways: Gateways, folder: Path, seconds: float) -> list[Row]:
    """The latest state of every device, and how soon a stored reading is in it."""
    clock = city.clock
    started_s = clock.monotonic()
    with _page(city, folder) as (address, pid):
        async with aiohttp.ClientSession() as session:

            async def state() -> bytes:
                async with session.get(f"{address}api/state") as answer:
                    return await answer.read()

            while _known(await state()) < KNOWN_SHARE * DEVICES:
                if clock.monotonic() - started_s > START_S:
                    raise RuntimeError("the page hasn't read the city")
                await clock.pause(POLL_S / 4)
            ready_s = clock.monotonic() - started_s
            first_ms = _decode(await state()).read_ms
            while _decode(await state()).read_ms == first_ms:  # a week is looked at meanwhile
                await clock.pause(POLL_S)
            latest = await _p95(clock, state, seconds / 2)
            before, at_s = used(pid).cpu_s, clock.monotonic()
            seen = [await _seen(state, gateways, clock) for _ in range(int(max(seconds, 10)))]
            share = (used(pid).cpu_s - before) / (clock.monotonic() - at_s)
            resident = used(pid).resident_bytes
    seen.sort()
    print(f"page: {share:.2f} of a core while asked")
    return [
        Row(
            what="latest state of 10,000 devices, as the page answers",
            unit="ms p95",
            ours=latest,
            target=AtMost(100),
        ),
        Row(
            what="page server's memory, 10,000 devices",
            unit="MB",
            ours=Figure.of([resident / 1e6]),
        ),
        Row(
            what="page server's start, until it answers with 10,000 devices' states",
            unit="s",
            ours=Figure.of([ready_s]),
        ),
        Row(
            what="from a reading stored to the page's answer that has it",
            unit="ms p95",
            ours=Figure.of([seen[len(seen) * 95 // 100]]),
            note="asked each 20 ms",
        ),
    ]


async def _seen(state: Callable[[], Awaitable[bytes]], gateways: Gateways, clock: Clock) -> float:
    """How long the next batch takes to be in the page's state, in milliseconds."""
    before = gateways.told
    while gateways.told == before:
        await clock.pause(0.005)
    name, time_ms = gateways.told
    began_s = clock.monotonic()
    while True:
        shown = {device.name: device.time_ms for device in _decode(await state()).devices}
        if shown.get(name, 0) >= time_ms:
            return (clock.monotonic() - began_s) * 1000
        await clock.pause(0.02)


def _decode(answer: bytes) -> _State:
    return msgspec.json.decode(answer, type=_State)


def _known(answer: bytes) -> int:
    """How many devices have a reading."""
    return sum(device.time_ms > 0 for device in _decode(answer).devices)


async def _as_grafana_asks(city: City) -> Figure:
    """The latest state without a page: `last()` of each device of the last day, the answer read and
    left as it is, in milliseconds."""
    settings, day_ms = city.settings, city.clock.now_ms() - DAY_MS
    questions = ";".join(
        f'SELECT last("{field}") FROM "{kind}" WHERE time >= {day_ms}ms GROUP BY "device"'
        for kind, field in SHOWN_FIELDS.items()
    )
    headers = {"Authorization": f"Token {city.server.token}"}
    query = {"db": settings.buckets.name(Bucket.CITY), "epoch": "ms", "q": questions}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def ask() -> None:
            async with session.get(f"{settings.url}/query", params=query) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

        return await _p95(city.clock, ask, GRAFANA_S)


def _bays(city: City, days: int, **asked: Any) -> Query:
    """A question about bays, up to now: hours by site unless it says otherwise."""
    now_ms = city.clock.now_ms()
    base = Query(
        kind="parking_spot_site",
        fields=("occupied_mean",),
        start_ms=now_ms - days * DAY_MS,
        stop_ms=now_ms,
        aggregate=Aggregate.MEAN,
        group=("site",),
        bucket=Bucket.HOURLY,
    )
    return msgspec.structs.replace(base, **asked)


async def _query_rows(city: City, store: LiveStore, seconds: float) -> list[Row]:
    """History, beside what it costs from the devices' own series."""
    one = {"kind": "parking_spot", "where": {"device": (ONE_BAY,)}}
    readings_of_one = one | {"fields": ("occupied",), "aggregate": None, "bucket": Bucket.CITY}
    week = _bays(city, WEEK_DAYS, step_s=3600)
    questions = {
        "a month of one bay, by hour": _bays(city, LONG_DAYS, step_s=3600, **one),
        "a month of one bay, every reading": _bays(city, LONG_DAYS, **readings_of_one),
        "a city week by hour, 20 sites": week,
        "a city year by day, from hours": _bays(city, YEAR_DAYS, step_s=86_400),
        "a year of one bay by day, from hours": _bays(city, YEAR_DAYS, step_s=86_400, **one),
    }
    targets = [AtMost(200), AtMost(200), AtMost(500), None, None]
    rows = []
    for (what, query), target in zip(questions.items(), targets, strict=True):
        assert await store.read(query), what
        ours = await _p95(city.clock, partial(store.read, query), seconds / 4)
        rows.append(Row(what=what, unit="ms p95", ours=ours, target=target))
    of_bays = msgspec.structs.replace(week, kind="parking_spot")
    theirs = await _p95(city.clock, partial(store.read, of_bays), 0)
    rows[2] = msgspec.structs.replace(rows[2], peer="from every bay's hours", theirs=theirs)
    return rows


async def _look_rows(city: City, store: LiveStore, seconds: float) -> list[Row]:
    """A page's look at what is new: its time, and the database's CPU for five a second; and what
    asking for the newest point of every device takes."""
    clock, pid = city.clock, city.server.pid
    kinds = (*KINDS, "gateway_batch")
    first = await _p95(clock, partial(store.changes, kinds, 0), 0)
    cursor = (await store.changes(kinds, 0)).cursor
    p95s: list[float] = []
    shares: list[float] = []
    for _ in range(RUNS):
        took: list[float] = []
        before, began_s = used(pid).cpu_s, clock.monotonic()
        while clock.monotonic() - began_s < seconds / RUNS:
            at_s = clock.monotonic()
            cursor = (await store.changes(kinds, cursor)).cursor
            took.append((clock.monotonic() - at_s) * 1000)
            await clock.pause(POLL_S)
        shares.append((used(pid).cpu_s - before) / (clock.monotonic() - began_s))
        p95s.append(sorted(took)[len(took) * 95 // 100])
    return [
        Row(
            what="a look at what is new, five a second",
            unit="ms p95",
            ours=Figure.of(p95s),
            peer="newest point of each",
            theirs=first,
        ),
        Row(
            what="the database's share of a core meanwhile, writes included",
            unit="cores",
            ours=Figure.of(shares),
        ),
    ]


@asynccontextmanager
async def _going_on(city: City) -> AsyncIterator[tuple[LiveStore, Gateways]]:
    async with open_store(city.settings, city.clock) as store, asyncio.TaskGroup() as group:
        gateways = Gateways(store, city.clock)
        running = group.create_task(gateways.run())
        yield store, gateways
        running.cancel()


async def measure(city: City, folder: Path, seconds: float) -> list[Row]:
    """All rows; about so many seconds of measuring."""
    async with _going_on(city) as (store, gateways):
        rows = await _query_rows(city, store, seconds / 3)
        looks = await _look_rows(city, store, seconds / 3)
        grafana = await _as_grafana_asks(city)
        page = await _page_rows(city, gateways, folder, seconds / 3)
    latest = msgspec.structs.replace(page[0], peer="last() of each device", theirs=grafana)
    return [latest, *page[1:], *rows, *looks]


def main() -> None:
    """Fill a database (or use the folder's), measure, print, write."""
    parser = options(__doc__ or "", seconds=60)
    parser.add_argument("--folder", type=Path, help="keep the filled database there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gampong-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        with Influxd(folder) as server:
            city = filled_city(server, folder)
            filled = city.filled
            print(
                f"filled: {filled.points:,} readings and {filled.hourly_points:,} hourly points in"
                f" {filled.seconds:.0f} s"
            )
            rows = asyncio.run(measure(city, folder, arguments.seconds))
            city.leave()
            raw = msgspec.to_builtins(filled)
            raw["disk_bytes"] = sum(file.stat().st_size for file in (folder / "engine").rglob("*"))
            result = Result("queries", METHOD, rows, {"filled": raw})
        publish(result, environment(influxdb=peers.influxd().version), arguments.out)


if __name__ == "__main__":
    main()
