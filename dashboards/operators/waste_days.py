"""What the Waste page shows of days: when bins will be full, which are due, what the rounds did.

In: a store, the round's settings, now. Out: one `WasteDays` for all viewers. The numbers are
`dashboards.analysis`; four weeks of readings are the most that is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dashboards.analysis.emptyings import Emptying
from dashboards.analysis.spans import HOUR_MS, Points
from dashboards.analysis.time_to_full import TimeToFull, hourly_means, time_to_full
from dashboards.analysis.waste_service import WASTED_BELOW, Service, service
from dashboards.collection import HOURS_BACK, collection
from dashboards.deposits import Deposits
from dashboards.operators.parking_days import MONTH_DAYS, WEEK_DAYS
from dashboards.readings import DAY_MS, Range, Said, said
from dashboards.round_configuration import RoundSettings
from devices.kinds import WASTE_CONTAINER
from ingest.stores import Reader

EMPTIED_MAX = 200
"""Emptyings that are listed, the newest; all are counted."""


class Done(msgspec.Struct, frozen=True):
    """What was done for a bin, or for all, in some days: see `Service`."""

    visits: int
    wasted: int
    overflow_h: float
    unknown_h: float


class BinDays(msgspec.Struct, frozen=True):
    """One bin. `level` is its newest one, None when it is too old; `due` says that it must be
    emptied before the next round, `why_not` why it isn't on the list though it may be full."""

    device: str
    site: str
    zone: str
    level: float | None
    level_ms: int
    full_in: TimeToFull | None
    due: bool
    why_not: str
    week: Done
    month: Done


class Emptied(msgspec.Struct, frozen=True):
    """An emptying between two readings: from which level to which."""

    device: str
    after_ms: int
    until_ms: int
    before: float
    after: float
    wasted: bool


class WasteDays(msgspec.Struct, frozen=True):
    """Everything, as of `now_ms`. `within_h` is when the next round comes, `bank` what waste banks
    were brought in the same days."""

    now_ms: int
    within_h: float
    bins: list[BinDays]
    due: int
    week: Done
    month: Done
    emptied: list[Emptied]
    bank: Deposits | None = None


async def waste_days(
    store: Reader, settings: RoundSettings, litres: Mapping[str, float], asked: Range
) -> WasteDays:
    """The range's days, four weeks at most, and who is due at its end.

    Raises:
        StoreError: the store can't be read now, or not so much of it.
    """
    now_ms = asked.stop_ms
    start_ms = max(asked.start_ms, now_ms - MONTH_DAYS * DAY_MS, 0)
    asked = Range(start_ms, now_ms, asked.zone)
    found = await said(store, WASTE_CONTAINER, "filling_level", asked, ("status", "burning"))
    who = await collection(store, settings, litres, now_ms)
    due = {stop.name for stop in who.stops}
    bins, emptied = [], []
    for device in sorted(found.places.keys() | due | who.skipped.keys()):
        levels = found.points.get(device, [])
        month = _service(found, device, levels, asked)
        why_not = who.skipped.get(device, "")
        bins.append(_bin(found, device, month, device in due, why_not, now_ms))
        emptied += [_emptied(device, one) for one in month.emptied]
    emptied.sort(key=lambda one: (-one.until_ms, one.device))
    return WasteDays(
        now_ms=now_ms,
        within_h=settings.hours,
        bins=bins,
        due=len(due),
        week=_sum([one.week for one in bins]),
        month=_sum([one.month for one in bins]),
        emptied=emptied[:EMPTIED_MAX],
    )


def _service(found: Said, device: str, levels: Points, asked: Range) -> Service:
    if not levels:
        return Service((), 0, 0.0, (asked.stop_ms - asked.start_ms) / HOUR_MS)
    fires_ms, hold_ms = found.words_ms.get(device, ()), found.hold_ms[device]
    return service(levels, asked.start_ms, asked.stop_ms, hold_ms, fires_ms)


def _bin(found: Said, device: str, month: Service, due: bool, why_not: str, now_ms: int) -> BinDays:
    levels, hold_ms = found.points.get(device, []), found.hold_ms.get(device, 0)
    level_ms, level = levels[-1] if levels else (0, 0.0)
    past = [point for point in levels if point[0] >= now_ms - HOURS_BACK * HOUR_MS]
    site, zone = found.places.get(device, ("", ""))
    return BinDays(
        device=device,
        site=site,
        zone=zone,
        level=level if levels and now_ms - level_ms <= hold_ms else None,
        level_ms=level_ms,
        full_in=time_to_full(hourly_means(past), now_ms),
        due=due,
        why_not=why_not,
        week=_week(levels, month, now_ms, hold_ms),
        month=_done(month),
    )


def _week(levels: Points, month: Service, now_ms: int, hold_ms: int) -> Done:
    """The last seven days of the month: its emptyings, its own hours."""
    start_ms = max(0, now_ms - WEEK_DAYS * DAY_MS)
    emptied = [one for one in month.emptied if one.until_ms >= start_ms]
    late = [point for point in levels if point[0] >= start_ms - hold_ms]
    hours = service(late, start_ms, now_ms, hold_ms)
    wasted = sum(one.before < WASTED_BELOW for one in emptied)
    return Done(len(emptied), wasted, hours.overflow_h, hours.unknown_h)


def _done(found: Service) -> Done:
    return Done(found.visits, found.wasted, found.overflow_h, found.unknown_h)


def _sum(every: Sequence[Done]) -> Done:
    return Done(
        sum(one.visits for one in every),
        sum(one.wasted for one in every),
        sum(one.overflow_h for one in every),
        sum(one.unknown_h for one in every),
    )


def _emptied(device: str, one: Emptying) -> Emptied:
    wasted = one.before < WASTED_BELOW
    return Emptied(device, one.after_ms, one.until_ms, one.before, one.after, wasted)
