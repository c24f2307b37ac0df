"""The WiFi page's numbers, rows and charts from the live city and the corners' hours. Pure.

What is too old to be believed is no number: it is a dash, and its corner counts as unknown.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from dashboards.analysis.availability import Month
from dashboards.analysis.corner_hours import Hour, Hours
from dashboards.analysis.spans import HOUR_MS
from dashboards.device import Device
from dashboards.headline import tiles
from dashboards.operators.corner_book import DAY_MS, Picture
from dashboards.operators.parts import Cell, Chart, Number, Part, Series, TableRow
from dashboards.operators.spoken import NOTHING, Spoken
from dashboards.states import State
from devices.kinds import WIFI_ACCESS_POINT
from devices.reading import Value

KIND = WIFI_ACCESS_POINT.name
SHOWN_H = 24
TYPICAL_DAYS = 7
LINES_MAX = 6
"""Corners with a line of their own: the slowest."""

SLOW_MS, SLOW_DNS_MS, LOSSY, BUSY = 150.0, 500.0, 0.05, 0.8
"""What is marked as bad: what a visitor notices."""

_HARM = (State.AP_DOWN, State.PORTAL_DOWN, State.UNKNOWN, State.UP, State.CLOSED)


class Shown(msgspec.Struct, frozen=True):
    """All of the page in one language."""

    numbers: list[Number]
    corners: list[TableRow]
    people: Chart
    traffic: Chart
    latency: Chart
    promise: list[TableRow]
    counting: str


def corners_of(devices: Iterable[Device]) -> list[Device]:
    """The corners on the board, by name."""
    return sorted((one for one in devices if one.kind == KIND), key=lambda one: one.name)


def shown(
    devices: Sequence[Device],
    picture: Picture | None,
    now_ms: int,
    promised: float,
    spoken: Spoken,
    zone: tzinfo,
) -> Shown:
    """The page now; without a picture its hours are still to be read."""
    hours = picture.hours if picture else {}
    return Shown(
        [
            _online(devices, now_ms, spoken),
            _kept(picture, now_ms, promised, spoken, zone),
            _passed(hours, picture.read_ms if picture else 0, now_ms, spoken, zone),
            _felt(devices, now_ms, spoken),
        ],
        _rows(devices, now_ms, spoken),
        _people_chart(hours, now_ms, spoken, zone),
        _traffic_chart(hours, now_ms, spoken, zone),
        _latency_chart(hours, devices, now_ms, spoken, zone),
        _promise(devices, picture, promised, spoken),
        _counting(picture, spoken),
    )


def fresh(device: Device, field: str, now_ms: int) -> Value | None:
    """A field's value while it may be believed."""
    timed = device.fields.get(field)
    if timed is None or now_ms - timed.time_ms > device.expiry_s * 1000:
        return None
    return timed.value


def _number_of(device: Device, field: str, now_ms: int) -> float | None:
    value = fresh(device, field, now_ms)
    return None if value is None or isinstance(value, str) else float(value)


def _online(devices: Sequence[Device], now_ms: int, spoken: Spoken) -> Number:
    (tile,) = [one for one in tiles(devices, now_ms) if one.kind == KIND]
    states = [Part(state, spoken.say(f"state.{state}"), n) for state, n in tile.states.items() if n]
    return Number(
        "online",
        spoken.say("tile.wifi_access_point"),
        spoken.number(tile.number),
        spoken.say("tile.at_corners", spoken.number(tile.total)),
        states,
        age=tile.newest_ms,
        never=spoken.say("tile.never"),
    )


def _kept(
    picture: Picture | None, now_ms: int, promised: float, spoken: Spoken, zone: tzinfo
) -> Number:
    local = datetime.fromtimestamp(now_ms / 1000, zone)
    own = [
        month
        for each in (picture.months if picture else {}).values()
        for month in each
        if (month.year, month.month) == (local.year, local.month)
    ]
    known_h = sum(month.known_h for month in own)
    share = (
        sum((month.internet or 0.0) * month.known_h for month in own) / known_h if known_h else None
    )
    kept = Counter(month.keeps(promised) for month in own)
    notes = [
        spoken.say(f"wifi.{word}", spoken.number(kept[says]))
        for says, word in ((True, "n_kept"), (False, "n_broken"), (None, "n_unknown"))
        if kept[says]
    ]
    return Number(
        "internet",
        spoken.say("wifi.internet_month", spoken.month(local.year, local.month)),
        spoken.share(share, 2),
        spoken.say("wifi.promised", spoken.share(promised, 1)),
        notes=notes,
        age=picture.read_ms if picture else 0,
        never=spoken.say("tile.never"),
        bad=share is not None and share < promised,
    )


def _passed(
    hours: Mapping[str, Hours], read_ms: int, now_ms: int, spoken: Spoken, zone: tzinfo
) -> Number:
    today = datetime.fromtimestamp(now_ms / 1000, zone).replace(hour=0, minute=0, second=0)
    total = Hour()
    for each in hours.values():
        for start_ms, hour in each.items():
            if start_ms >= today.replace(microsecond=0).timestamp() * 1000:
                total.add(hour)
    known = total.rx_bytes + total.tx_bytes if hours else None
    notes = [
        spoken.say("wifi.n_to", spoken.bytes(total.tx_bytes)),
        spoken.say("wifi.n_from", spoken.bytes(total.rx_bytes)),
    ]
    return Number(
        "traffic",
        spoken.say("wifi.traffic_today"),
        spoken.bytes(known),
        notes=notes if hours else (),
        age=read_ms,
        never=spoken.say("tile.never"),
    )


def _felt(devices: Sequence[Device], now_ms: int, spoken: Spoken) -> Number:
    def middle(field: str) -> float | None:
        values = [v for one in devices if (v := _number_of(one, field, now_ms)) is not None]
        return statistics.median(values) if values else None

    latency = middle("latency_ms")
    newest = (one.fields["latency_ms"].time_ms for one in devices if "latency_ms" in one.fields)
    return Number(
        "felt",
        spoken.say("wifi.felt"),
        _ms(latency, spoken),
        spoken.say("wifi.latency_median"),
        notes=[
            f"{spoken.say('field.dns_ms')} {_ms(middle('dns_ms'), spoken)}",
            f"{spoken.say('field.loss_ratio')} {spoken.share(middle('loss_ratio'), 1)}",
        ],
        age=max(newest, default=0),
        never=spoken.say("tile.never"),
        bad=latency is not None and latency > SLOW_MS,
    )


def _ms(value: float | None, spoken: Spoken) -> str:
    if value is None:
        return NOTHING
    return f"{spoken.number(value, 1 if value < 10 else 0)} ms"


def _rows(devices: Sequence[Device], now_ms: int, spoken: Spoken) -> list[TableRow]:
    in_order = sorted(devices, key=lambda one: (_HARM.index(one.state), one.name))
    return [TableRow(one.id, _row(one, now_ms, spoken)) for one in in_order]


def _row(one: Device, now_ms: int, spoken: Spoken) -> list[Cell]:
    def marked(field: str, text: str, limit: float) -> Cell:
        value = _number_of(one, field, now_ms)
        return {"t": text, "bad": value is not None and value > limit}

    def number(field: str) -> float | None:
        return _number_of(one, field, now_ms)

    portal = fresh(one, "portal", now_ms)
    place = f"{one.tags.get('site', '')} · {one.tags.get('zone', '')}"
    return [
        {"t": one.label or one.name, "note": place},
        {"t": spoken.say(f"state.{one.state}"), "state": one.state},
        spoken.number(number("clients")) if one.state is not State.AP_DOWN else NOTHING,
        {
            "t": NOTHING if portal is None else spoken.say(f"value.{portal}"),
            "bad": portal == "down",
        },
        marked("dns_ms", _ms(number("dns_ms"), spoken), SLOW_DNS_MS),
        marked("latency_ms", _ms(number("latency_ms"), spoken), SLOW_MS),
        marked("loss_ratio", spoken.share(number("loss_ratio"), 1), LOSSY),
        marked("channel_utilization", spoken.share(number("channel_utilization")), BUSY),
        {"age": one.time_ms} if one.time_ms else spoken.say("tile.never"),
    ]


def last_hours(now_ms: int, zone: tzinfo) -> list[int]:
    """Starts of the last hours on the clock, the running one last."""
    offset = datetime.fromtimestamp(now_ms / 1000, zone).utcoffset()
    offset_ms = int(offset.total_seconds() * 1000) if offset else 0
    start_ms = now_ms - (now_ms + offset_ms) % HOUR_MS
    return [start_ms - back * HOUR_MS for back in range(SHOWN_H - 1, -1, -1)]


def people_at(hours: Mapping[str, Hours], start_ms: int) -> float | None:
    """People online at all corners in that hour, the mean; None when nobody knows of any."""
    said = [each[start_ms].people for each in hours.values() if start_ms in each]
    known = [people for people in said if people is not None]
    return sum(known) if known else None


def typical_at(hours: Mapping[str, Hours], start_ms: int) -> float | None:
    """The same hour of the seven days before, the mean of those that are known."""
    days = range(1, TYPICAL_DAYS + 1)
    said = [people_at(hours, start_ms - day * DAY_MS) for day in days]
    known = [people for people in said if people is not None]
    return statistics.fmean(known) if known else None


def _people_chart(hours: Mapping[str, Hours], now_ms: int, spoken: Spoken, zone: tzinfo) -> Chart:
    starts = last_hours(now_ms, zone)
    return Chart(
        _labels(starts, zone),
        [
            Series(spoken.say("wifi.online"), [_round(people_at(hours, at)) for at in starts]),
            Series(
                spoken.say("wifi.typical"),
                [_round(typical_at(hours, at)) for at in starts],
                "line",
                1,
            ),
        ],
        digits=1,
    )


def _traffic_chart(hours: Mapping[str, Hours], now_ms: int, spoken: Spoken, zone: tzinfo) -> Chart:
    starts = last_hours(now_ms, zone)

    def summed(field: str) -> list[float | None]:
        return [
            sum(getattr(each[at], field) for each in hours.values() if at in each)
            if any(at in each for each in hours.values())
            else None
            for at in starts
        ]

    to, back = summed("tx_bytes"), summed("rx_bytes")
    size, unit = (1e9, "GB") if max((v for v in to if v), default=0) >= 1e9 else (1e6, "MB")
    return Chart(
        _labels(starts, zone),
        [
            Series(spoken.say(f"wifi.{key}"), [_round(v, size) for v in one], "bar", colour, "all")
            for key, one, colour in (("to", to, 0), ("from", back, 1))
        ],
        unit,
        1,
    )


def _latency_chart(
    hours: Mapping[str, Hours], devices: Sequence[Device], now_ms: int, spoken: Spoken, zone: tzinfo
) -> Chart:
    starts = last_hours(now_ms, zone)
    labels = {one.name: one.label or one.name for one in devices}
    lines = {
        device: [each[at].felt("latency_ms") if at in each else None for at in starts]
        for device, each in hours.items()
    }
    slowest = sorted(lines, key=lambda device: -max((v for v in lines[device] if v), default=0))
    return Chart(
        _labels(starts, zone),
        [
            Series(labels.get(device, device), [_round(v) for v in lines[device]], "line", nth)
            for nth, device in enumerate(slowest[:LINES_MAX])
        ],
        "ms",
    )


def _labels(starts: Sequence[int], zone: tzinfo) -> list[str]:
    return [f"{datetime.fromtimestamp(at / 1000, zone):%H:%M}" for at in starts]


def _round(value: float | None, size: float = 1.0) -> float | None:
    return None if value is None else round(value / size, 2)


def _promise(
    devices: Sequence[Device], picture: Picture | None, promised: float, spoken: Spoken
) -> list[TableRow]:
    labels = {one.name: one.label or one.name for one in devices}
    found = [
        (device, month)
        for device, each in (picture.months if picture else {}).items()
        for month in each
    ]
    found.sort(key=lambda one: (-one[1].year, -one[1].month, _share(one[1]), one[0]))
    return [
        TableRow(
            f"{device} {month.year}-{month.month:02}",
            _month_row(labels.get(device, device), month, promised, spoken),
        )
        for device, month in found
    ]


def _share(month: Month) -> float:
    return 2.0 if month.internet is None else month.internet


def _month_row(label: str, month: Month, promised: float, spoken: Spoken) -> list[Cell]:
    kept = month.keeps(promised)
    words = {True: "kept", False: "broken", None: "not_known"}
    marks = {True: "✓", False: "✗", None: "?"}
    return [
        label,
        spoken.month(month.year, month.month),
        spoken.share(month.internet, 2),
        spoken.share(month.access_point, 2),
        f"{spoken.number(month.unknown_h, 1)} {spoken.say('unit.h')}",
        {"t": spoken.say(f"wifi.{words[kept]}"), "mark": marks[kept], "bad": kept is False},
    ]


def _counting(picture: Picture | None, spoken: Spoken) -> str:
    """From when on the months are counted, while they aren't whole."""
    if picture is None:
        return spoken.say("wifi.reading")
    if picture.whole:
        return spoken.say("wifi.since", spoken.day(picture.wanted_ms))
    return spoken.say("wifi.counting", spoken.day(picture.from_ms))
