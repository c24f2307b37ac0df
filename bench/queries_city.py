"""A city of 10,000 devices in a real InfluxDB 2, as the Command Center's questions meet it.

Twenty sites of 300 bays, 180 bins and 20 hotspots behind ten gateways each. The first site has
thirty days of readings, change-driven with heartbeats; the others half a day. Roll-ups: a week of
hours of every bay (thirty days at the first site), a year of every site's and of one bay's. Times
end at the moment of filling: `City.clock` goes on from there, so that a kept folder stays as fresh
as it was.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ingest.stores import Bucket, Written
from ingest.stores.configuration import InfluxSettings
from ingest.stores.influx2_tokens import write_token
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from tests.servers import Influxd
from wire.clock import CityTime, Clock, SystemClock

SITES = 20
BAYS, BINS, HOTSPOTS = 300, 180, 20
GATEWAYS = 10
DEVICES = SITES * (BAYS + BINS + HOTSPOTS)
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
LONG_DAYS, WEEK_DAYS, YEAR_DAYS = 30, 7, 365
SHORT_MS = DAY_MS // 2
LINES_A_WRITE = 5_000
SEED = 20_261_122
KEPT_DAYS_MAX = 20  # later, retention eats the month
_FILLED = "filled.json"


class Filled(msgspec.Struct, frozen=True):
    """What a filled folder holds, and the city's time at which it was left."""

    wall_ms: int
    city_ms: int
    points: int
    hourly_points: int
    seconds: float


class City:
    """The running database, its settings and the city's clock. `leave` it at the end: readings of
    a run must not lie in the next one's future."""

    def __init__(
        self, server: Influxd, folder: Path, settings: InfluxSettings, filled: Filled
    ) -> None:
        self.server, self.settings, self.filled = server, settings, filled
        self._folder = folder
        self.time = CityTime(SystemClock().now_ms(), filled.city_ms)
        self.clock: Clock = SystemClock(self.time)
        self._keep(filled.city_ms + HOUR_MS)  # should this run end without leaving

    def leave(self) -> None:
        """The next run goes on from now."""
        self._keep(self.clock.now_ms())

    def _keep(self, city_ms: int) -> None:
        filled = msgspec.structs.replace(self.filled, city_ms=city_ms)
        (self._folder / _FILLED).write_bytes(msgspec.json.encode(filled))


class Device(msgspec.Struct, frozen=True):
    """One device: what stands before its fields, and how often it speaks."""

    kind: str
    name: str
    site: str
    gateway: str
    heartbeat_ms: int

    @property
    def head(self) -> str:
        return (
            f"{self.kind},device={self.name},gateway={self.gateway},site={self.site},"
            f"zone=z{int(self.name.rpartition('-')[2]) % 4}"
        )


def devices(site: int) -> list[Device]:
    """The devices of a site, spread over its gateways."""
    kinds = (
        ("parking_spot", "bay", BAYS, 600_000),
        ("waste_container", "bin", BINS, 900_000),
        ("wifi_access_point", "wifi", HOTSPOTS, 60_000),
    )
    return [
        Device(
            kind,
            f"{word}-{site:02d}-{nth:03d}",
            f"site-{site:02d}",
            f"gw-{site:02d}-{nth % GATEWAYS}",
            heartbeat_ms,
        )
        for kind, word, count, heartbeat_ms in kinds
        for nth in range(count)
    ]


def readings(device: Device, start_ms: int, stop_ms: int, rng: random.Random) -> Iterator[str]:
    """A device's lines: a bay reports each change and each heartbeat, others by the clock."""
    head, time_ms = device.head, start_ms + rng.randrange(device.heartbeat_ms)
    occupied, number = rng.randrange(2), rng.randrange(60_000)
    change_ms = time_ms
    level = rng.random() * 0.5
    battery_v, rssi_dbm = 3.6, -75 - rng.random() * 30
    while time_ms < stop_ms:
        number += 1
        radio = f"battery_v={battery_v},frame_counter={number}i,rssi_dbm={rssi_dbm:.0f}"
        if device.kind == "parking_spot":
            yield f"{head} {radio},occupied={occupied}i,snr_db={number % 9} {time_ms}"
            if time_ms >= change_ms:
                occupied = 1 - occupied
                mean_ms = 40 * 60_000 if occupied else 90 * 60_000
                change_ms = time_ms + int(rng.expovariate(1 / mean_ms)) + 5000
            time_ms = min(change_ms, time_ms + device.heartbeat_ms)
            continue
        if device.kind == "waste_container":
            level = level + 0.002 if level < 0.95 else 0.02
            temperature_c = 28 + number % 7
            yield (
                f"{head} {radio},distance_mm={1200 - level * 1000:.0f},filling_level={level:.3f},"
                f'status="ok",temperature_c={temperature_c} {time_ms}'
            )
        else:
            yield (
                f"{head} channel_utilization=0.{number % 90 + 10},clients={number % 30}i,"
                f'latency_ms={20 + number % 17},loss_ratio=0,portal="portal",rx_bytes={number}000i,'
                f"tx_bytes={number}0000i,up=1i {time_ms}"
            )
        time_ms += device.heartbeat_ms


ONE_BAY = "bay-00-007"


def hours(device: Device, start_ms: int, stop_ms: int, rng: random.Random) -> Iterator[str]:
    """A bay's hourly roll-ups."""
    for hour_ms in range(start_ms - start_ms % HOUR_MS, stop_ms - HOUR_MS, HOUR_MS):
        count = rng.randrange(5, 9)
        yield (
            f"{device.head} battery_v_count={count}i,battery_v_max=3.6,battery_v_mean=3.6,"
            f"battery_v_min=3.6,occupied_count={count}i,occupied_max=1,"
            f"occupied_mean={rng.random():.4f},occupied_min=0 {hour_ms}"
        )


def site_hours(site: int, start_ms: int, stop_ms: int, rng: random.Random) -> Iterator[str]:
    """A site's hourly roll-ups of its bays."""
    name = f"site-{site:02d}"
    head = f"parking_spot_site,device={name},gateway={name},site={name},zone=main"
    for hour_ms in range(start_ms - start_ms % HOUR_MS, stop_ms - HOUR_MS, HOUR_MS):
        yield (
            f"{head} battery_v_count=2000i,battery_v_max=3.6,battery_v_mean=3.6,battery_v_min=3.1,"
            f"devices={BAYS}i,occupied_count=2000i,occupied_max=1,"
            f"occupied_mean={rng.random():.4f},occupied_min=0 {hour_ms}"
        )


def registry(device: Device, time_ms: int, place: float) -> str:
    """What the watch writes of it each hour."""
    expiry_s = device.heartbeat_ms / 1000 * 2.5 + 60
    head = device.head.replace(device.kind, "device_registry", 1)
    return (
        f'{head} driver="x",expiry_s={expiry_s},heartbeat_s={device.heartbeat_ms / 1000},'
        f'kind="{device.kind}",label="{device.name}",latitude={5.55 + place:.5f},'
        f"longitude={95.32 + place:.5f},maintenance=0i {time_ms}"
    )


def _raw_lines(now_ms: int) -> Iterator[str]:
    """Day by day, so that one write goes to one shard."""
    for day in range(LONG_DAYS, 0, -1):
        start_ms = now_ms - day * DAY_MS
        for device in devices(0):
            rng = random.Random(f"{SEED} {device.name} {day}")
            yield from readings(device, start_ms, start_ms + DAY_MS, rng)
    for site in range(1, SITES):
        for device in devices(site):
            rng = random.Random(f"{SEED} {device.name}")
            yield from readings(device, now_ms - SHORT_MS, now_ms, rng)


def _hourly_lines(now_ms: int) -> Iterator[str]:
    for site in range(SITES):
        days = WEEK_DAYS if site else LONG_DAYS
        for device in devices(site)[:BAYS]:
            rng = random.Random(f"{SEED} hourly {device.name}")
            yield from hours(device, now_ms - days * DAY_MS, now_ms, rng)


def _year_lines(now_ms: int) -> Iterator[str]:
    start_ms = now_ms - YEAR_DAYS * DAY_MS
    for site in range(SITES):
        yield from site_hours(site, start_ms, now_ms, random.Random(f"{SEED} site {site}"))
    bay = next(device for device in devices(0) if device.name == ONE_BAY)
    yield from hours(bay, start_ms, now_ms - LONG_DAYS * DAY_MS, random.Random(f"{SEED} year"))


def _registry_lines(now_ms: int) -> Iterator[str]:
    for site in range(SITES):
        for nth, device in enumerate(devices(site)):
            yield registry(device, now_ms - 600_000, site * 0.002 + nth % 23 * 0.00007)


async def _write(store: LiveStore, bucket: Bucket, lines: Iterator[str]) -> int:
    """All lines, two writes at a time; how many."""
    written = 0

    async def some() -> None:
        nonlocal written
        while piece := [line for line, _ in zip(lines, range(LINES_A_WRITE), strict=False)]:
            fate = await store.write(bucket, piece)
            if fate != Written():
                raise RuntimeError(f"the fill was not taken: {fate}")
            written += len(piece)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(some())
    return written


async def fill(settings: InfluxSettings, clock: Clock) -> Filled:
    """Write the city; a minute or two."""
    began_s, now_ms = clock.monotonic(), clock.now_ms()
    async with open_store(settings, clock) as store:
        await _write(store, Bucket.HEALTH, _registry_lines(now_ms))
        points = await _write(store, Bucket.CITY, _raw_lines(now_ms))
        hourly = await _write(store, Bucket.HOURLY, _hourly_lines(now_ms))
        hourly += await _write(store, Bucket.HOURLY, _year_lines(now_ms))
    return Filled(now_ms, now_ms, points, hourly, clock.monotonic() - began_s)


def kept(folder: Path, clock: Clock) -> Filled | None:
    """What the folder holds of an earlier run, if it can still be used."""
    try:
        filled = msgspec.json.decode((folder / _FILLED).read_bytes(), type=Filled)
    except OSError:
        return None
    fresh = clock.now_ms() - filled.wall_ms < KEPT_DAYS_MAX * DAY_MS
    return filled if fresh else None


def make_buckets(server: Influxd, folder: Path) -> InfluxSettings:
    """The three buckets as set-up makes them, and the settings of a store on them."""
    found = json.loads(server.request("GET", "/api/v2/orgs", query={"org": server.org}))
    token_file = folder / "token"
    write_token(token_file, server.token)
    settings = InfluxSettings(
        url=server.url, org=server.org, token_file=str(token_file), timeout_s=60.0
    )
    known = json.loads(server.request("GET", "/api/v2/buckets", query={"limit": "100"}))
    names = {bucket["name"] for bucket in known["buckets"]}
    for bucket in Bucket:
        rule = {"type": "expire", "everySeconds": settings.retention.days(bucket) * 86_400}
        asked = {
            "orgID": found["orgs"][0]["id"],
            "name": settings.buckets.name(bucket),
            "retentionRules": [rule],
        }
        if asked["name"] not in names:
            server.request("POST", "/api/v2/buckets", json.dumps(asked).encode())
    return settings


def filled_city(server: Influxd, folder: Path) -> City:
    """The city in a running database, filled unless the folder says that it is."""
    settings, clock = make_buckets(server, folder), SystemClock()
    filled = kept(folder, clock)
    if filled is None:
        filled = asyncio.run(fill(settings, clock))
    return City(server, folder, settings, filled)
