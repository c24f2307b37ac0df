"""What a waste bank (Bank Sampah) was brought: sums by bank and kind of waste, and by local day.

In: a store, a range. Out: tables for a page and for `gampong deposits list`. Points are read as
they are, so the range is at most what the store keeps of readings (90 days).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from devices.kinds import WASTE_DEPOSIT
from ingest.stores import Query, Reader, Row
from ingest.stores.query import ROWS_MAX

_FIELDS = ("weight_kg", "waste_kind", "points")


class Sum(msgspec.Struct, frozen=True):
    """So many deposits, what they weighed and what was given for them."""

    deposits: int = 0
    weight_kg: float = 0.0
    points: int = 0

    def with_one(self, weight_kg: float, points: int) -> Sum:
        """One deposit more."""
        return Sum(self.deposits + 1, self.weight_kg + weight_kg, self.points + points)


class Brought(msgspec.Struct, frozen=True):
    """One bank's sum of one kind of waste; `newest_ms` is its last deposit's time."""

    bank: str
    site: str
    zone: str
    waste_kind: str
    sum: Sum
    newest_ms: int


class Deposits(msgspec.Struct, frozen=True):
    """A range: by bank and kind (most weight first within a bank), by local day, and in all."""

    brought: tuple[Brought, ...]
    days: tuple[tuple[date, Sum], ...]
    total: Sum


async def deposits(store: Reader, start_ms: int, stop_ms: int, zone: ZoneInfo) -> Deposits:
    """What was brought from `start_ms` to `stop_ms` (excluded); days are those of `zone`.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    query = Query(
        kind=WASTE_DEPOSIT.name,
        fields=_FIELDS,
        start_ms=start_ms,
        stop_ms=stop_ms,
        group=("device", "site", "zone"),
        limit=ROWS_MAX,
    )
    return summed(await store.read(query), zone)


def summed(rows: Iterable[Row], zone: ZoneInfo) -> Deposits:
    """The same from the points themselves."""
    sums: defaultdict[tuple[str, str, str, str], Sum] = defaultdict(Sum)
    newest: dict[tuple[str, str, str, str], int] = {}
    days: defaultdict[date, Sum] = defaultdict(Sum)
    total = Sum()
    for row in rows:
        if "weight_kg" not in row.fields:
            continue
        weight_kg, points = float(row.fields["weight_kg"]), int(row.fields.get("points", 0))
        tags = row.tags
        key = tags["site"], tags["device"], tags["zone"], str(row.fields.get("waste_kind", "other"))
        sums[key] = sums[key].with_one(weight_kg, points)
        newest[key] = max(newest.get(key, 0), row.time_ms)
        day = datetime.fromtimestamp(row.time_ms / 1000, zone).date()
        days[day] = days[day].with_one(weight_kg, points)
        total = total.with_one(weight_kg, points)
    ordered = sorted(sums, key=lambda key: (key[0], key[1], -sums[key].weight_kg, key[3]))
    brought = tuple(
        Brought(
            bank, site, place, kind, sums[site, bank, place, kind], newest[site, bank, place, kind]
        )
        for site, bank, place, kind in ordered
    )
    return Deposits(brought, tuple(sorted(days.items())), total)
