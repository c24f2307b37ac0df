"""What the rules need from the store beside the newest points: asked for at its own pace.

Events come late: a store on InfluxDB gives the newest point of a device, and a fire that was over
before the link came back isn't it. So the points of kinds with events are looked through: the last
minutes each round, what may have come late every ten minutes, and each hour that an ingestor says
late data touched. Looking twice is harmless.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from ingest.rules import RULES
from ingest.rules.forecast import Forecast, forecast
from ingest.rules.standing import Place
from ingest.stores import Aggregate, Bucket, Query, Row, Store
from ingest.stores.kinds import GATEWAY_COMPLETENESS, INGESTOR_HEALTH
from ingest.stores.query import ROWS_MAX, WHERE_VALUES_MAX

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
OVERLAP_MS = 3 * MINUTE_MS
LATE_EVERY_MS = 10 * MINUTE_MS
HOURS_A_ROUND = 24
FORECAST_HOURS = 26
FORECAST_GATEWAYS = 50
"""Asked for at once: at most so many gateways' bins, a day of hours each."""

_TAGS = ("device", "gateway", "site", "zone")
EVENT_FIELDS: dict[str, tuple[str, ...]] = {}
for _rule in RULES.values():
    if _rule.latches:
        _fields = (*EVENT_FIELDS.get(_rule.source, ()), *_rule.fields)
        EVENT_FIELDS[_rule.source] = tuple(dict.fromkeys(_fields))


class Looks:
    """Which questions are due, and their answers."""

    def __init__(self, store: Store, late_s: float) -> None:
        self._store = store
        self._late_ms = int(late_s * 1000) + 15 * MINUTE_MS
        self._events_ms = 0
        self._hours: defaultdict[int, set[str]] = defaultdict(set)

    def touch(self, gateway: str, hour_ms: int) -> None:
        """Late data of that gateway came into that hour."""
        self._hours[hour_ms].add(gateway)

    async def events(self, now_ms: int) -> list[tuple[str, Row]]:
        """Points in which an event may stand, with their kind.

        Raises:
            StoreError: the store can't be read now; what is due stays due.
        """
        start_ms = max(self._events_ms - OVERLAP_MS, now_ms - self._late_ms)
        if now_ms // LATE_EVERY_MS != self._events_ms // LATE_EVERY_MS:
            start_ms = now_ms - self._late_ms
        found = await self._points(max(0, start_ms), now_ms + OVERLAP_MS)
        self._events_ms = now_ms
        # In turn, not the oldest first: a gateway that touches old hours for ever must not keep
        # others' from being looked at.
        for hour_ms in [*self._hours][:HOURS_A_ROUND]:
            gateways = sorted(self._hours[hour_ms])
            for first in range(0, len(gateways), WHERE_VALUES_MAX):
                some = tuple(gateways[first : first + WHERE_VALUES_MAX])
                found += await self._points(hour_ms, hour_ms + HOUR_MS, some)
            del self._hours[hour_ms]
        return found

    async def shares(self, now_ms: int, gateways: Collection[str]) -> dict[Place, float]:
        """The lower completeness of today and yesterday (UTC), of these gateways.

        Raises:
            StoreError: the store can't be read now.
        """
        query = Query(
            kind=GATEWAY_COMPLETENESS.name,
            fields=("share",),
            start_ms=now_ms - now_ms % DAY_MS - DAY_MS,
            stop_ms=now_ms + 1,
            group=_TAGS,
            bucket=Bucket.HOURLY,
            limit=ROWS_MAX,
        )
        lowest: dict[Place, float] = {}
        for row in await self._store.read(query):
            if row.tags["gateway"] in gateways:
                place, share = Place.of(row.tags), float(row.fields["share"])
                lowest[place] = min(share, lowest.get(place, 1.0))
        return lowest

    async def ingestors(self, now_ms: int) -> list[Row]:
        """What every ingestor said last, of the last ten minutes.

        Raises:
            StoreError: the store can't be read now.
        """
        query = Query(
            kind=INGESTOR_HEALTH.name,
            fields=("dead_letters_bytes", "over_limit"),
            start_ms=now_ms - 10 * MINUTE_MS,
            stop_ms=now_ms + MINUTE_MS,
            aggregate=Aggregate.NEWEST,
            group=_TAGS,
            bucket=Bucket.HEALTH,
        )
        return await self._store.read(query)

    async def forecasts(self, now_ms: int, gateways: Sequence[str]) -> Mapping[Place, Forecast]:
        """Of every bin that can be said of.

        Raises:
            StoreError: the store can't be read now.
        """
        found: dict[Place, Forecast] = {}
        for first in range(0, len(gateways), FORECAST_GATEWAYS):
            query = Query(
                kind="waste_container",
                fields=("filling_level_mean",),
                start_ms=now_ms - FORECAST_HOURS * HOUR_MS,
                stop_ms=now_ms,
                group=_TAGS,
                where={"gateway": tuple(gateways[first : first + FORECAST_GATEWAYS])},
                bucket=Bucket.HOURLY,
                limit=ROWS_MAX,
            )
            for place, hours in _by_place(await self._store.read(query)).items():
                said = forecast(hours, now_ms)
                if said is not None:
                    found[place] = said
        return found

    async def _points(
        self, start_ms: int, stop_ms: int, gateways: tuple[str, ...] = ()
    ) -> list[tuple[str, Row]]:
        found: list[tuple[str, Row]] = []
        for kind, fields in EVENT_FIELDS.items():
            query = Query(
                kind=kind,
                fields=fields,
                start_ms=start_ms,
                stop_ms=stop_ms,
                group=_TAGS,
                where={"gateway": gateways} if gateways else {},
                limit=ROWS_MAX,
            )
            found += [(kind, row) for row in await self._store.read(query)]
        return found


def _by_place(rows: Iterable[Row]) -> dict[Place, list[tuple[int, float]]]:
    hours: defaultdict[Place, list[tuple[int, float]]] = defaultdict(list)
    for row in rows:  # ascending by time
        hours[Place.of(row.tags)].append((row.time_ms, float(row.fields["filling_level_mean"])))
    return hours
