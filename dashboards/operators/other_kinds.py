"""The rest of the city: every kind without a page of its own, from its definition alone. Pure but
for `day_of_kind`, which asks the store.

A kind of events (payments) is added up by the hour, a counter (vehicles, energy) by its rise, every
other value is a mean: of each device while there are few, of each site where there are many. So a
new kind needs no code here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from enum import Enum

import msgspec

from dashboards.analysis.corner_hours import rises
from dashboards.analysis.spans import HOUR_MS
from dashboards.device import Device
from dashboards.operators.parts import Cell, Chart, Number, Part, Series, TableRow
from dashboards.operators.spoken import NOTHING, Spoken
from dashboards.states import STATES, State
from devices.kinds import KINDS, Field, FieldType, Kind
from devices.reading import Value
from ingest.stores import Aggregate, Query, Reader

DAY_H = 24
STEP_S = 900
LINES_MAX = 6
FIELDS_SHOWN = 4
"""Values beside the first in a device's row."""

UNSHOWN = ("firmware", "frame_counter", "time_quality", "transaction")
_HARM = {State.UNKNOWN: 0, State.OK: 1, State.CLOSED: 2}


class Way(Enum):
    """How a kind's day is reckoned."""

    SUM = "sum"
    RISE = "rise"
    MEAN = "mean"


class Day(msgspec.Struct, frozen=True):
    """A kind's last 24 hours: start of a step → value, by device or site; and each device's sum of
    today, where there is something to add up."""

    starts: list[int]
    lines: dict[str, dict[int, float]]
    today: dict[str, float]


def other_kinds(devices: Iterable[Device]) -> list[Kind]:
    """Kinds of which there are devices and that have no page of their own, as `KINDS` has them."""
    there = {one.kind for one in devices}
    return [kind for kind in KINDS.values() if kind.name in there and kind.name not in STATES]


def way_of(kind: Kind) -> Way:
    """How its state's day is reckoned."""
    if kind.needs:
        return Way.SUM
    return Way.RISE if kind.fields[kind.state].counts else Way.MEAN


def step_of(kind: Kind) -> int:
    """Quarters of an hour, so that each holds two readings where all is well: a gap is a gap."""
    return STEP_S * min(4, math.ceil(2 * kind.heartbeat_s / STEP_S))


async def day_of_kind(
    store: Reader, kind: Kind, devices: int, now_ms: int, zone: tzinfo
) -> Day | None:
    """Its last day; None where its state is a word, which has no chart.

    Raises:
        StoreError: the store can't be read now.
    """
    if kind.fields[kind.state].type is FieldType.TEXT:
        return None
    way = way_of(kind)
    step_s = 3600 if way is not Way.MEAN else step_of(kind)
    last_ms = now_ms - now_ms % (step_s * 1000)
    first_ms = last_ms - DAY_H * HOUR_MS + step_s * 1000
    group = ("device",) if devices <= LINES_MAX or way is not Way.MEAN else ("site",)
    aggregate = {Way.SUM: Aggregate.SUM, Way.RISE: Aggregate.MAX, Way.MEAN: Aggregate.MEAN}[way]
    query = Query(
        kind=kind.name,
        fields=(kind.state,),
        start_ms=max(0, first_ms - (DAY_H * HOUR_MS if way is Way.RISE else 0)),
        stop_ms=now_ms + 1,
        aggregate=aggregate,
        group=group,
        step_s=step_s,
    )
    points: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in await store.read(query):
        points[row.tags[group[0]]].append((row.time_ms, float(row.fields[kind.state])))
    lines = {
        name: {
            time_ms: value
            for time_ms, value in (rises(said) if way is Way.RISE else said)
            if time_ms >= first_ms
        }
        for name, said in points.items()
    }
    midnight = datetime.fromtimestamp(now_ms / 1000, zone).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    from_ms = midnight.timestamp() * 1000
    today = {
        name: sum(value for time_ms, value in line.items() if time_ms >= from_ms)
        for name, line in lines.items()
        if way is not Way.MEAN
    }
    return Day(list(range(first_ms, last_ms + 1, step_s * 1000)), lines, today)


def chart_of(
    kind: Kind, day: Day, devices: Sequence[Device], spoken: Spoken, zone: tzinfo
) -> Chart:
    """The day: bars of sums, lines of means. More than a few are added up or are sites."""
    field, way = kind.fields[kind.state], way_of(kind)
    named = {one.name: one.label or one.name for one in devices}
    labels = [f"{datetime.fromtimestamp(at / 1000, zone):%H:%M}" for at in day.starts]
    lines = day.lines
    if way is not Way.MEAN and len(lines) > LINES_MAX:
        total: defaultdict[int, float] = defaultdict(float)
        for line in lines.values():
            for at, value in line.items():
                total[at] += value
        lines = {spoken.say("page.all_sites"): total}
    size = 100.0 if _is_share(field) else 1.0
    series = [
        Series(
            named.get(name, name),
            [None if (v := line.get(at)) is None else round(size * v, 3) for at in day.starts],
            "line" if way is Way.MEAN else "bar",
            nth,
            "" if way is Way.MEAN else "all",
        )
        for nth, (name, line) in enumerate(sorted(lines.items()))
    ]
    digits = 0 if way is not Way.MEAN or field.type is FieldType.INTEGER else 1
    unit = "%" if _is_share(field) else field.unit
    return Chart(labels, series, unit, digits, scale=way is Way.MEAN)


def number_of(kind: Kind, devices: Sequence[Device], day: Day | None, spoken: Spoken) -> Number:
    """How many are heard, in which states, and what came together today."""
    states = {state: sum(one.state is state for one in devices) for state in _HARM}
    total = sum(day.today.values()) if day and day.today else None
    notes = []
    if total is not None:
        value = _total(kind, total, spoken)
        notes = [spoken.say("more.today", value)]
    return Number(
        kind.name,
        spoken.say("more.reporting"),
        spoken.number(states[State.OK]),
        spoken.say("tile.of", spoken.number(len(devices))),
        [Part(state, spoken.say(f"state.{state}"), n) for state, n in states.items() if n],
        notes,
        age=max((one.time_ms for one in devices), default=0),
        never=spoken.say("tile.never"),
        bad=states[State.OK] == 0,
    )


def columns_of(kind: Kind, spoken: Spoken) -> list[str]:
    """Names of the table's columns."""
    said, way = [spoken.say("reading.device"), spoken.say("more.state")], way_of(kind)
    if way is not Way.RISE:
        said.append(field_name(kind.state, spoken))
    if way is not Way.MEAN:
        said.append(spoken.say("more.today_column"))
    return [*said, spoken.say("more.beside"), spoken.say("wifi.heard")]


def rows_of(
    kind: Kind, devices: Sequence[Device], day: Day | None, now_ms: int, spoken: Spoken
) -> list[TableRow]:
    """A row a device, those that nothing is known of first."""
    in_order = sorted(devices, key=lambda one: (_HARM.get(one.state, 1), one.label, one.name))
    return [TableRow(one.id, _row(kind, one, day, now_ms, spoken)) for one in in_order]


def field_name(name: str, spoken: Spoken) -> str:
    """In the viewer's words, else the field's own."""
    return spoken.say(f"field.{name}")


def _row(kind: Kind, one: Device, day: Day | None, now_ms: int, spoken: Spoken) -> list[Cell]:
    place = f"{one.tags.get('site', '')} · {one.tags.get('zone', '')}"
    state = _fresh(one, kind.state, now_ms)
    cells: list[Cell] = [
        {"t": one.label or one.name, "note": place},
        {"t": spoken.say(f"state.{one.state}"), "state": one.state},
    ]
    if way_of(kind) is not Way.RISE:
        cells.append(spoken.value(kind.fields[kind.state], state))
    if way_of(kind) is not Way.MEAN:
        total = day.today.get(one.name) if day else None
        cells.append(NOTHING if total is None else _total(kind, total, spoken))
    beside = [
        f"{field_name(name, spoken)} {spoken.value(field, value)}"
        for name, field in kind.fields.items()
        if name not in (kind.state, *UNSHOWN) and (value := _fresh(one, name, now_ms)) is not None
    ]
    cells.append(", ".join(beside[:FIELDS_SHOWN]) or NOTHING)
    cells.append({"age": one.time_ms} if one.time_ms else spoken.say("tile.never"))
    return cells


def _fresh(one: Device, field: str, now_ms: int) -> Value | None:
    timed = one.fields.get(field)
    if timed is None or now_ms - timed.time_ms > one.expiry_s * 1000:
        return None
    return timed.value


def _total(kind: Kind, total: float, spoken: Spoken) -> str:
    field = kind.fields[kind.state]
    return f"{spoken.number(total)} {field.unit}".strip()


def _is_share(field: Field) -> bool:
    return field.high == 1 and not field.unit and field.type is FieldType.FLOAT
