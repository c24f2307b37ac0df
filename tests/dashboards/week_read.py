"""A simulated week in one store, with its revenue, and every figure of it as read back.

The town is written as the gateways tell it; hours and days of revenue are the watch's own code; who
pays is decided here, at the end of each stay, so that what was paid is known by hand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from dashboards.collection import Collection, collection
from dashboards.figures import Corner, ParkingZone, WasteBin, parking, waste, wifi
from dashboards.operators.parking_days import ParkingDays
from dashboards.operators.payments_today import Paid, payments_today
from dashboards.operators.reckoning import (
    ParkingQuestion,
    Round,
    RoundQuestion,
    WasteQuestion,
    answer,
)
from dashboards.operators.waste_days import WasteDays
from dashboards.readings import Range
from dashboards.round_configuration import Depot, RoundConfiguration, TruckSettings
from dashboards.store_file import Source
from devices.kinds import PARKING_SPOT
from ingest.revenue import RevenueSettings, Tariff, ZoneKey, idr_per_hour
from ingest.revenue_days import Revenue
from ingest.rollup import hour_lines, hour_of
from ingest.stores import Bucket, Row, Written
from ingest.stores.live import LiveStore
from tests.dashboards.analysis.town import BAY, HOUR_MS, Town, hash_of
from tests.ingest.stores.databases import Database

WIB = ZoneInfo("Asia/Jakarta")
LINES = 5_000
OVERSTAY_MIN = 240
PAYING = 0.8
TARIFFS = RevenueSettings(
    tariff=(
        Tariff(idr_per_hour=2000.0),
        Tariff(idr_per_hour=3000.0, from_hour=8, until_hour=18),
        Tariff(idr_per_hour=5000.0, zone="pelataran", from_hour=6, until_hour=12),
    )
)

ZoneDay = tuple[str, str, int]
"""Site, zone, and the local midnight that the day begins with."""


class Payment(msgspec.Struct, frozen=True):
    """What somebody paid at the end of a stay."""

    zone: ZoneKey
    time_ms: int
    amount_idr: int


class Week:
    """The town, and every figure of it as read back from one store."""

    def __init__(self, town: Town, database: Database) -> None:
        self.town, self.database = town, database
        asked = Range(town.start_ms, town.stop_ms, WIB)
        configuration = RoundConfiguration(
            store=database.settings,
            depot=Depot(latitude=5.57, longitude=95.33),
            truck=(TruckSettings(name="BL 1", capacity_litres=1e5),),
            litres={one.name: one.litres for one in town.city.bins},
        )
        self.payments = list(self._payments())

        async def read(store: LiveStore) -> None:
            await self._write(store)
            source, now_ms = Source(store), town.stop_ms
            self.zones: list[ParkingZone] = await parking(source, asked, OVERSTAY_MIN)
            self.bins: list[WasteBin] = await waste(source, asked)
            self.corners: list[Corner] = await wifi(source, asked)
            settings, litres = configuration.round, configuration.litres
            self.due: Collection = await collection(source, settings, litres, now_ms)
            questions = (
                ParkingQuestion(now_ms, "Asia/Jakarta", OVERSTAY_MIN),
                WasteQuestion(now_ms, "Asia/Jakarta", settings, litres),
                RoundQuestion(now_ms, configuration),
            )
            told = [await answer(source, question) for question in questions]
            self.parking_page = msgspec.json.decode(told[0], type=ParkingDays)
            self.waste_page = msgspec.json.decode(told[1], type=WasteDays)
            self.round = msgspec.json.decode(told[2], type=Round)
            self.paid: Paid = await payments_today(source, now_ms, WIB)

        database.run(read)

    async def _write(self, store: LiveStore) -> None:
        paid = [
            f"payment,device=pay-{one.zone.zone},gateway=pay,site={one.zone.site},"
            f'zone={one.zone.zone} amount_idr={one.amount_idr}i,transaction="T{nth}" {one.time_ms}'
            for nth, one in enumerate(self.payments)
        ]
        lines = self.town.lines()
        lines[Bucket.CITY] += paid
        lines[Bucket.HOURLY] = list(self._hours())
        for bucket, some in lines.items():
            for at in range(0, len(some), LINES):
                assert await store.write(bucket, some[at : at + LINES]) == Written()
        revenue = Revenue(store, TARIFFS, WIB, retention_days=30)
        for hour_ms in range(hour_of(self.town.start_ms), self.town.stop_ms, HOUR_MS):
            revenue.touch(hour_ms)
        await revenue.round(self.town.stop_ms)

    def _hours(self) -> Iterator[str]:
        """The bays' hours as the watch rolls them up."""
        by_hour: defaultdict[int, list[Row]] = defaultdict(list)
        for rows in self.town.rows[BAY].values():
            for row in rows:
                by_hour[hour_of(row.time_ms)].append(row)
        for hour_ms in sorted(by_hour):
            near = by_hour.get(hour_ms - HOUR_MS, []) + by_hour[hour_ms]
            lines = hour_lines(PARKING_SPOT, near, hour_ms)
            yield from (line for line in lines if line.startswith(f"{BAY},"))

    # What really happened.

    def zone_of(self, bay: str) -> ZoneKey:
        placed = next(one for one in self.town.city.bays if one.name == bay)
        tags = self.town.tags(placed)
        return ZoneKey(tags["site"], tags["zone"])

    def stays(self) -> Iterator[tuple[ZoneKey, int, int]]:
        """Every stay that a sensor noticed and that touches the week, cut to it."""
        for bay in self.town.city.bays:
            zone = self.zone_of(bay.name)
            for begin, end, _ in self.town.noticed(bay.name):
                yield zone, max(begin, self.town.start_ms), min(end, self.town.stop_ms)

    def owed(self) -> dict[ZoneDay, float]:
        """What the stays cost by the tariffs, by zone and local day."""
        found: defaultdict[ZoneDay, float] = defaultdict(float)
        for zone, begin, end in self.stays():
            at_ms = begin
            while at_ms < end:
                until_ms = min(at_ms - at_ms % HOUR_MS + HOUR_MS, end)
                hour = datetime.fromtimestamp(at_ms / 1000, WIB).hour
                rate = idr_per_hour(TARIFFS.tariff, zone, hour)
                found[*zone, midnight(at_ms)] += rate * (until_ms - at_ms) / HOUR_MS
                at_ms = until_ms
        return found

    def received(self) -> dict[ZoneDay, int]:
        """What was paid, by zone and local day."""
        found: defaultdict[ZoneDay, int] = defaultdict(int)
        for one in self.payments:
            found[*one.zone, midnight(one.time_ms)] += one.amount_idr
        return found

    def _payments(self) -> Iterator[Payment]:
        """Four in five pay when they go, for every hour begun; no two at one moment."""
        taken: set[tuple[ZoneKey, int]] = set()
        for nth, (zone, begin, end) in enumerate(sorted(self.stays())):
            if end >= self.town.stop_ms or hash_of(f"{nth}") % 10 >= 10 * PAYING:
                continue
            hours = -(-(end - begin) // HOUR_MS)
            time_ms = end
            while (zone, time_ms) in taken:
                time_ms += 1
            taken.add((zone, time_ms))
            yield Payment(zone, time_ms, 2000 * hours)


def midnight(time_ms: int) -> int:
    """Start of the local day."""
    local = datetime.fromtimestamp(time_ms / 1000, WIB)
    return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)
