"""What gateways did: how fast their outboxes fill, what arrived, which cables fail, cards' wear.

In: the watch's points. Out: a `Past` of each gateway, reckoned once a minute for all viewers. Each
question is bounded: steps in place of points, a day's points a gateway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from dashboards.analysis.corner_hours import rises
from dashboards.analysis.spans import HOUR_MS
from ingest.stores import Aggregate, Bucket, Query, Reader, Row
from ingest.stores.kinds import DEVICE_HEALTH, GATEWAY_COMPLETENESS, GATEWAY_HEALTH
from ingest.stores.query import ROWS_MAX

DAY_MS = 24 * HOUR_MS
YEAR_MS = 365.25 * DAY_MS
STEP_S = 900
FILLING_H = 3
"""The outbox's growth is judged by so many hours."""

DAYS = 7
CARD_STEP_S = 30 * 86_400
CARD_DAYS = 1826
WORST_MAX = 5
"""Devices on cables that are named for a gateway: those with the most failed reads."""


class Day(msgspec.Struct, frozen=True):
    """A day's completeness and radio, as the watch counted them; None where it said nothing."""

    start_ms: int
    share: float | None
    missing: int
    why: str
    radio_expected: int
    radio_heard: int


class Card(msgspec.Struct, frozen=True):
    """The first that was known of a card's wear and the newest: (time, share of its life)."""

    first: tuple[int, float]
    newest: tuple[int, float]

    @property
    def years_left(self) -> float | None:
        """At the pace since the first; None before a step was seen, since a card tells tenths."""
        (first_ms, before), (newest_ms, after) = self.first, self.newest
        if after <= before or newest_ms <= first_ms:
            return None
        a_year = (after - before) * YEAR_MS / (newest_ms - first_ms)
        return max(0.0, 1.0 - after) / a_year


class Past(msgspec.Struct):
    """One gateway's.

    Args:
        waiting: (time, readings waiting at the most) of the last day.
        shares: (time, share of the outbox's room at the most) of the same.
        days: the last ones, ascending.
        errors: device on a cable → its failed reads in the last hour, the most first.
        card: None where it doesn't tell.
    """

    waiting: list[tuple[int, float]] = []
    shares: list[tuple[int, float]] = []
    days: list[Day] = []
    errors: list[tuple[str, int]] = []
    card: Card | None = None


async def gateways_past(store: Reader, now_ms: int) -> dict[str, Past]:
    """Gateway → what it did.

    Raises:
        StoreError: the store can't be read now.
    """
    found: defaultdict[str, Past] = defaultdict(Past)
    for row in await store.read(_health(now_ms)):
        past = found[row.tags["device"]]
        for name, points in (("waiting", past.waiting), ("outbox_share", past.shares)):
            if name in row.fields:
                points.append((row.time_ms, float(row.fields[name])))
    for row in await store.read(_completeness(now_ms)):
        found[row.tags["device"]].days.append(_day(row))
    for gateway, errors in errors_of(await store.read(_errors(now_ms))).items():
        found[gateway].errors = errors[:WORST_MAX]
    for gateway, card in cards_of(await store.read(_cards(now_ms))).items():
        found[gateway].card = card
    return dict(found)


def hours_until_full(shares: Sequence[tuple[int, float]], now_ms: int) -> float | None:
    """At the pace of the last hours; None while it doesn't fill. The pace is that of the line
    between the median of the first and of the last third, which one odd step doesn't bend."""
    recent = [one for one in shares if one[0] >= now_ms - FILLING_H * HOUR_MS]
    third = len(recent) // 3
    if not third:
        return None
    first, last = _middle(recent[:third]), _middle(recent[-third:])
    grown, took_h = last[1] - first[1], (last[0] - first[0]) / HOUR_MS
    if grown <= 0.0005 or took_h <= 0:
        return None
    return max(0.0, (1.0 - last[1]) * took_h / grown)


def errors_of(rows: Iterable[Row]) -> dict[str, list[tuple[str, int]]]:
    """Gateway → device → failed reads in the rows' span, the most first; none without any."""
    points: defaultdict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for row in rows:
        key = row.tags["gateway"], row.tags["device"]
        points[key].append((row.time_ms, float(row.fields["read_errors"])))
    found: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for (gateway, device), counts in points.items():
        errors = int(sum(rise for _, rise in rises(counts)))
        if errors:
            found[gateway].append((device, errors))
    return {
        gateway: sorted(each, key=lambda one: (-one[1], one[0])) for gateway, each in found.items()
    }


def cards_of(rows: Iterable[Row]) -> dict[str, Card]:
    """Gateway → its card: one whose wear falls is another card."""
    found: dict[str, Card] = {}
    for row in rows:
        gateway, point = row.tags["device"], (row.time_ms, float(row.fields["card_life_used"]))
        known = found.get(gateway)
        if known is None or point[1] < known.newest[1]:
            found[gateway] = Card(point, point)
        else:
            found[gateway] = Card(known.first, point)
    return found


def _middle(points: Sequence[tuple[int, float]]) -> tuple[int, float]:
    values = sorted(value for _, value in points)
    return points[len(points) // 2][0], values[len(values) // 2]


def _day(row: Row) -> Day:
    fields = row.fields
    share = fields.get("share")
    return Day(
        row.time_ms,
        None if share is None else float(share),
        int(fields.get("missing", 0)),
        str(fields.get("why", "")),
        int(fields.get("radio_expected", 0)),
        int(fields.get("radio_heard", 0)),
    )


def _health(now_ms: int) -> Query:
    return Query(
        kind=GATEWAY_HEALTH.name,
        fields=("waiting", "outbox_share"),
        start_ms=max(0, now_ms - DAY_MS),
        stop_ms=now_ms + 1,
        aggregate=Aggregate.MAX,
        step_s=STEP_S,
        bucket=Bucket.HEALTH,
    )


def _completeness(now_ms: int) -> Query:
    return Query(
        kind=GATEWAY_COMPLETENESS.name,
        fields=("share", "missing", "why", "radio_expected", "radio_heard"),
        start_ms=max(0, now_ms - now_ms % DAY_MS - (DAYS - 1) * DAY_MS),
        stop_ms=now_ms + 1,
        bucket=Bucket.HOURLY,
    )


def _errors(now_ms: int) -> Query:
    return Query(
        kind=DEVICE_HEALTH.name,
        fields=("read_errors",),
        start_ms=max(0, now_ms - HOUR_MS),
        stop_ms=now_ms + 1,
        aggregate=Aggregate.MAX,
        group=("gateway", "device"),
        step_s=STEP_S,
        bucket=Bucket.HEALTH,
        limit=ROWS_MAX,
    )


def _cards(now_ms: int) -> Query:
    return Query(
        kind=GATEWAY_COMPLETENESS.name,
        fields=("card_life_used",),
        start_ms=max(0, now_ms - CARD_DAYS * DAY_MS),
        stop_ms=now_ms + 1,
        aggregate=Aggregate.MAX,
        step_s=CARD_STEP_S,
        bucket=Bucket.HOURLY,
    )
