"""The two databases as the contract suite sees them, and a plain model of what they must answer."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from devices.kinds import FieldType, Kind
from devices.reading import Value
from ingest.stores import Aggregate, Bucket, Query, Row, Written
from ingest.stores.configuration import (
    BucketNames,
    InfluxSettings,
    Retention,
    SqliteSettings,
    StoreSettings,
)
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from ingest.stores.points import TAGS
from tests.secret_file import write_secret
from tests.servers import Influxd
from wire.clock import Clock, SystemClock
from wire.line import format_value

DAY_MS = 86_400_000
CLOCK = SystemClock()
NOW_MS = CLOCK.now_ms() // 60_000 * 60_000 - 60_000
"""A whole minute just past: InfluxDB judges retention by its own clock."""

_T = TypeVar("_T")


class HandClock(SystemClock):
    """A clock that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms


class Database:
    """Settings of an empty store, and a way to run a test's coroutine on it."""

    def __init__(self, settings: StoreSettings) -> None:
        self.settings = settings

    def run(self, use: Callable[[LiveStore], Awaitable[_T]], clock: Clock = CLOCK) -> _T:
        async def main() -> _T:
            async with open_store(self.settings, clock) as store:
                return await use(store)

        return asyncio.run(main())


def sqlite(folder: Path) -> Database:
    path = str(folder / "store.db")
    return Database(SqliteSettings(path=path, busy_timeout_s=0.05, retention=Retention(city=30)))


def influx(server: Influxd, folder: Path) -> Database:
    """Three empty buckets of the test's own."""
    names = {bucket.value: f"{bucket.value}-{uuid.uuid4().hex[:12]}" for bucket in Bucket}
    retention = Retention(city=30)
    organisations = json.loads(server.request("GET", "/api/v2/orgs", query={"org": server.org}))
    for bucket in Bucket:
        rule = {"type": "expire", "everySeconds": retention.days(bucket) * 86_400}
        asked = {
            "orgID": organisations["orgs"][0]["id"],
            "name": names[bucket.value],
            "retentionRules": [rule],
        }
        server.request("POST", "/api/v2/buckets", json.dumps(asked).encode())
    token_file = folder / "token"
    write_secret(token_file, f"{server.token}\n")
    settings = InfluxSettings(
        url=server.url,
        org=server.org,
        token_file=str(token_file),
        buckets=msgspec.convert(names, BucketNames),
        retention=retention,
    )
    return Database(settings)


def line(
    device: str = "bay-1",
    time_ms: int = NOW_MS,
    fields: dict[str, Value] | None = None,
    *,
    kind: str = "parking_spot",
    gateway: str = "gw-1",
    site: str = "pasar",
    zone: str = "a",
) -> str:
    written = ",".join(f"{name}={format_value(value)}" for name, value in _default(fields).items())
    tags = f"device={device},gateway={gateway},site={site},zone={zone}"
    return f"{kind},{tags} {written} {time_ms}"


def _default(fields: dict[str, Value] | None) -> dict[str, Value]:
    return {"occupied": 1} if fields is None else fields


def query(
    fields: Sequence[str] = ("occupied",),
    *,
    kind: str = "parking_spot",
    start_ms: int = NOW_MS - DAY_MS,
    stop_ms: int = NOW_MS + DAY_MS,
    aggregate: Aggregate | None = None,
    group: tuple[str, ...] = ("device",),
    step_s: int = 0,
    where: dict[str, tuple[str, ...]] | None = None,
    bucket: Bucket = Bucket.CITY,
    limit: int = 100_000,
) -> Query:
    return Query(
        kind=kind,
        fields=tuple(fields),
        start_ms=start_ms,
        stop_ms=stop_ms,
        aggregate=aggregate,
        group=group,
        step_s=step_s,
        where=where or {},
        bucket=bucket,
        limit=limit,
    )


def one_of_each(kind: Kind) -> dict[str, Value]:
    """A value for every field, in the order of their names."""
    values: dict[str, Value] = {}
    for name, field in sorted(kind.fields.items()):
        if field.type is FieldType.TEXT:
            values[name] = field.choices[0] if field.choices else "v1.2 beta"
        elif field.type is FieldType.INTEGER:
            values[name] = int(field.high)
        else:
            values[name] = float(field.high)
    return values


async def write(store: LiveStore, *lines: str, bucket: Bucket = Bucket.CITY) -> dict[int, str]:
    """Write lines that the store must not keep back; what was rejected."""
    fate = await store.write(bucket, lines)
    assert isinstance(fate, Written), fate
    return fate.rejected


def expected(points: Iterable[Row], query: Query) -> list[Row]:
    """What any store must answer, the plain way. Points carry all four tags."""
    chosen = [
        Row(point.time_ms, point.tags, fields)
        for point in points
        if query.start_ms <= point.time_ms < query.stop_ms
        and all(point.tags[tag] in values for tag, values in query.where.items())
        and (fields := {name: point.fields[name] for name in query.fields if name in point.fields})
    ]
    if query.aggregate is None:
        rows = chosen
    else:
        rows = _joined(chosen, query)
    return sorted(rows, key=_order)[-query.limit :]


def _joined(points: list[Row], query: Query) -> list[Row]:
    groups: dict[tuple[int, tuple[str, ...]], list[Row]] = {}
    step_ms = query.step_s * 1000
    for point in sorted(points, key=_order):
        time_ms = point.time_ms // step_ms * step_ms if step_ms else query.start_ms
        key = time_ms, tuple(point.tags[tag] for tag in query.group)
        groups.setdefault(key, []).append(point)
    if query.aggregate is Aggregate.NEWEST:
        return [group[-1] for group in groups.values()]
    rows = []
    for (time_ms, tags), group in groups.items():
        values: dict[str, list[Value]] = {}
        for point in group:
            for name, value in point.fields.items():
                values.setdefault(name, []).append(value)
        fields = {name: _join(query.aggregate, some) for name, some in values.items()}
        rows.append(Row(time_ms, dict(zip(query.group, tags, strict=True)), fields))
    return rows


def _join(aggregate: Aggregate | None, values: list[Value]) -> Value:
    if aggregate is Aggregate.COUNT:
        return len(values)
    numbers = [value for value in values if not isinstance(value, str)]
    if aggregate is Aggregate.MEAN:
        return sum(numbers) / len(numbers)
    joins = {Aggregate.MIN: min, Aggregate.MAX: max, Aggregate.SUM: sum}
    joined: Value = joins[aggregate](numbers)  # type: ignore[index, operator]
    return joined


def _order(row: Row) -> tuple[int, tuple[str, ...]]:
    return row.time_ms, tuple(row.tags.values())


def tags(
    device: str, gateway: str = "gw-1", site: str = "pasar", zone: str = "a"
) -> dict[str, str]:
    return dict(zip(TAGS, (device, gateway, site, zone), strict=True))
