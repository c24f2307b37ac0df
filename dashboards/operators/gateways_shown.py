"""The gateways page's numbers, cards and chart from the live city and what gateways did. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo

import msgspec

from dashboards.analysis.spans import HOUR_MS
from dashboards.device import Device
from dashboards.operators.gateway_past import STEP_S, Past, hours_until_full
from dashboards.operators.parts import Card, Cell, Chart, Fact, Number, Part, Series
from dashboards.operators.spoken import NOTHING, Spoken
from dashboards.states import GATEWAY, State
from devices.reading import Value
from ingest.stores.kinds import DROPPED_FOR

LINES_MAX = 6
COMPLETE, FULL, WORN, FAILED = 0.999, 0.8, 0.8, 0.05
BEHIND_MS = 15 * 60_000
"""What is marked as bad: the alerts' own limits, and a quarter of an hour behind."""

_HARM = {State.OFFLINE: 0, State.UNKNOWN: 1, State.ONLINE: 2}
HOT_C = 80.0
"""From which on a Raspberry Pi slows down."""


class Shown(msgspec.Struct, frozen=True):
    """All of the page in one language."""

    numbers: list[Number]
    cards: list[Card]
    waiting: Chart


def gateways_of(devices: Iterable[Device]) -> list[Device]:
    """The gateways on the board, the worst first."""
    found = [one for one in devices if one.kind == GATEWAY]
    return sorted(
        found, key=lambda one: (_HARM.get(one.state, 1), -_number(one, "dropped"), one.name)
    )


def shown(
    gateways: Sequence[Device],
    past: Mapping[str, Past],
    labels: Mapping[str, str],
    now_ms: int,
    spoken: Spoken,
    zone: tzinfo,
) -> Shown:
    """The page now; `labels` are devices' by name, for those on cables."""
    cards = [_card(one, past.get(one.name, Past()), labels, now_ms, spoken) for one in gateways]
    return Shown(
        _numbers(gateways, past, now_ms, spoken),
        cards,
        _waiting_chart(gateways, past, now_ms, zone),
    )


def _numbers(
    gateways: Sequence[Device], past: Mapping[str, Past], now_ms: int, spoken: Spoken
) -> list[Number]:
    states = Counter(one.state for one in gateways)
    newest = max((heard_ms(one) for one in gateways), default=0)
    dropped = sum(_number(one, "dropped") for one in gateways)
    known = any("dropped" in one.fields for one in gateways)
    never = spoken.say("tile.never")
    return [
        Number(
            "online",
            spoken.say("tile.gateway"),
            spoken.number(states[State.ONLINE]) if gateways else NOTHING,
            spoken.say("tile.of", spoken.number(len(gateways))),
            [Part(state, spoken.say(f"state.{state}"), n) for state, n in states.items()],
            age=newest,
            never=never,
            bad=states[State.OFFLINE] > 0,
        ),
        _farthest(gateways, newest, now_ms, spoken),
        _least_complete(past, newest, spoken),
        Number(
            "dropped",
            spoken.say("gateways.dropped_ever"),
            spoken.number(dropped) if known else NOTHING,
            age=newest,
            never=never,
            bad=dropped > 0,
        ),
    ]


def _farthest(gateways: Sequence[Device], newest: int, now_ms: int, spoken: Spoken) -> Number:
    behind = {one.name: ms for one in gateways if (ms := _behind_ms(one, now_ms)) is not None}
    farthest = max(behind, key=lambda name: behind[name], default="")
    waiting = spoken.number(sum(_number(one, "waiting") for one in gateways))
    return Number(
        "behind",
        spoken.say("gateways.farthest"),
        spoken.span(behind[farthest]) if farthest else NOTHING,
        farthest,
        notes=[spoken.say("gateways.n_waiting", waiting)] if gateways else (),
        age=newest,
        never=spoken.say("tile.never"),
        bad=bool(farthest) and behind[farthest] > BEHIND_MS,
    )


def _least_complete(past: Mapping[str, Past], newest: int, spoken: Spoken) -> Number:
    shares = {
        name: share
        for name, each in past.items()
        if each.days and (share := each.days[-1].share) is not None
    }
    least = min(shares, key=lambda name: shares[name], default="")
    return Number(
        "complete",
        spoken.say("gateways.complete_today"),
        spoken.share(shares[least], 2) if least else NOTHING,
        spoken.say("gateways.least", least) if least else "",
        age=newest if least else 0,
        never=spoken.say("gateways.not_counted"),
        bad=bool(least) and shares[least] < COMPLETE,
    )


def _card(one: Device, past: Past, labels: Mapping[str, str], now_ms: int, spoken: Spoken) -> Card:
    cells: list[tuple[str, Cell]] = [
        ("behind", _behind_cell(one, now_ms, spoken)),
        ("waiting", _waiting_cell(one, spoken)),
        ("outbox", _outbox_cell(one, past, now_ms, spoken)),
        ("dropped", _dropped_cell(one, spoken)),
        ("rejected", _count_cell(one, "rejected", spoken)),
        ("complete", _complete_cell(past, spoken)),
        ("radio", _radio_cell(past, spoken)),
        ("bus", _bus_cell(one, past, labels, spoken)),
        ("links", _links_cell(one, spoken)),
        ("clock", _clock_cell(one, spoken)),
        ("card", _wear_cell(one, past, spoken)),
        ("temperature", _heat_cell(one, spoken)),
        ("uplink", _uplink_cell(one, spoken)),
        ("version", str(_value(one, "version") or NOTHING)),
        ("ledger", _ledger_cell(one, spoken)),
    ]
    return Card(
        one.name,
        one.label or one.name,
        one.state,
        spoken.say(f"state.{one.state}"),
        heard_ms(one),
        [Fact(key, spoken.say(f"gateways.{key}"), cell) for key, cell in cells],
    )


def heard_ms(one: Device) -> int:
    """When the gateway's own last word came, which all that the watch repeats of it is from; 0
    before the first."""
    age = one.fields.get("age_s")
    if age is None or isinstance(age.value, str):
        return 0
    return max(0, age.time_ms - int(1000 * float(age.value)))


def _behind_ms(one: Device, now_ms: int) -> int | None:
    """How old the newest batch that arrived is."""
    sealed = one.fields.get("sealed_ms")
    return None if sealed is None else max(0, now_ms - sealed.time_ms)


def _behind_cell(one: Device, now_ms: int, spoken: Spoken) -> Cell:
    behind_ms = _behind_ms(one, now_ms)
    lag = _value(one, "lag_ms")
    note = ""
    if lag is not None:
        took = spoken.number(float(lag) / 1000, 1)
        note = f"{spoken.say('gateway.lag')} {took} {spoken.say('unit.s')}"
    bad = behind_ms is not None and behind_ms > BEHIND_MS
    return {"t": spoken.span(behind_ms), "note": note, "bad": bad}


def _waiting_cell(one: Device, spoken: Spoken) -> Cell:
    waiting = _value(one, "waiting")
    if waiting is None:
        return NOTHING
    oldest_ms = 1000 * _number(one, "oldest_waiting_s")
    note = f"{spoken.say('gateway.oldest')} {spoken.span(oldest_ms)}" if waiting else ""
    return {"t": spoken.number(float(waiting)), "note": note, "bad": oldest_ms > BEHIND_MS}


def _outbox_cell(one: Device, past: Past, now_ms: int, spoken: Spoken) -> Cell:
    share = _value(one, "outbox_share")
    if share is None:
        return NOTHING
    hours = hours_until_full(past.shares, now_ms)
    note = spoken.say("gateways.not_filling")
    if hours is not None:
        note = spoken.say("gateways.full_in", spoken.span(hours * HOUR_MS))
    return {
        **{"t": spoken.share(float(share), 1), "bar": float(share), "note": note},
        "bad": float(share) > FULL,
    }


def _dropped_cell(one: Device, spoken: Spoken) -> Cell:
    dropped = _value(one, "dropped")
    if dropped is None:
        return NOTHING
    reasons = [
        f"{spoken.say(f'dropped.{reason}')} {spoken.number(_number(one, f'dropped_{reason}'))}"
        for reason in DROPPED_FOR
        if _number(one, f"dropped_{reason}")
    ]
    return {"t": spoken.number(float(dropped)), "note": ", ".join(reasons), "bad": bool(dropped)}


def _count_cell(one: Device, field: str, spoken: Spoken) -> Cell:
    value = _value(one, field)
    if value is None:
        return NOTHING
    return {"t": spoken.number(float(value)), "bad": bool(value)}


def _complete_cell(past: Past, spoken: Spoken) -> Cell:
    if not past.days:
        return spoken.say("gateways.not_counted")
    today = past.days[-1]
    known = [day.share for day in past.days if day.share is not None]
    least = spoken.say("gateways.least_of_days", spoken.share(min(known, default=None), 2))
    why = f" · {today.why}" if today.why else ""
    missing = (
        spoken.say("gateways.n_missing", spoken.number(today.missing)) if today.missing else ""
    )
    return {
        "t": spoken.share(today.share, 2),
        "note": " · ".join(filter(None, (least, missing))) + why,
        "bad": today.share is not None and today.share < COMPLETE,
    }


def _radio_cell(past: Past, spoken: Spoken) -> Cell:
    expected = sum(day.radio_expected for day in past.days)
    if not expected:
        return NOTHING
    lost = expected - sum(day.radio_heard for day in past.days)
    note = spoken.say("gateways.of_uplinks", f"{spoken.number(lost)} / {spoken.number(expected)}")
    return {"t": spoken.share(lost / expected, 2), "note": note}


def _bus_cell(one: Device, past: Past, labels: Mapping[str, str], spoken: Spoken) -> Cell:
    share = _value(one, "link_error_share")
    worst = [f"{labels.get(name, name)} {spoken.number(n)}" for name, n in past.errors]
    return {
        "t": spoken.share(None if share is None else float(share), 1),
        "note": ", ".join(worst),
        "bad": share is not None and float(share) > FAILED,
    }


def _links_cell(one: Device, spoken: Spoken) -> Cell:
    links, down = _value(one, "links"), int(_number(one, "links_down"))
    if links is None:
        return NOTHING
    note = spoken.say("gateways.n_down", spoken.number(down)) if down else ""
    return {"t": spoken.number(float(links)), "note": note, "bad": down > 0}


def _clock_cell(one: Device, spoken: Spoken) -> Cell:
    clock = _value(one, "clock")
    if clock is None:
        return NOTHING
    return {"t": spoken.say(f"clock.{clock}"), "bad": clock == "untrusted"}


def _wear_cell(one: Device, past: Past, spoken: Spoken) -> Cell:
    used = _value(one, "card_life_used")
    if used is None:
        return spoken.say("gateways.card_silent")
    years = past.card.years_left if past.card else None
    note = spoken.say("gateways.no_step")
    if years is not None:
        note = spoken.say("gateways.years_left", spoken.number(years, 1))
    return {
        **{"t": spoken.share(float(used)), "bar": float(used), "note": note},
        "bad": float(used) > WORN,
    }


def _ledger_cell(one: Device, spoken: Spoken) -> Cell:
    balanced = _value(one, "balanced")
    if balanced is None:
        return NOTHING
    word = "balanced" if balanced else "unbalanced"
    return {"t": spoken.say(f"gateway.{word}"), "bad": not balanced}


def _heat_cell(one: Device, spoken: Spoken) -> Cell:
    degrees = _value(one, "temperature_c")
    if degrees is None:
        return NOTHING
    return {"t": f"{spoken.number(float(degrees))} °C", "bad": float(degrees) >= HOT_C}


def _uplink_cell(one: Device, spoken: Spoken) -> Cell:
    """What went over the SIM this month, where an interface is named."""
    sent, share = _value(one, "uplink_bytes"), _value(one, "uplink_share")
    if sent is None:
        return NOTHING
    if share is None:
        return spoken.bytes(float(sent))
    note = spoken.say("gateways.of_quota", spoken.share(float(share)))
    return {"t": spoken.bytes(float(sent)), "note": note, "bad": float(share) > FULL}


def _waiting_chart(
    gateways: Sequence[Device], past: Mapping[str, Past], now_ms: int, zone: tzinfo
) -> Chart:
    """The last day's readings waiting, of the gateways with the most."""
    step_ms = STEP_S * 1000
    last_ms = now_ms - now_ms % step_ms
    starts = range(last_ms - 24 * HOUR_MS + step_ms, last_ms + 1, step_ms)
    most = sorted(
        gateways,
        key=lambda one: -max((v for _, v in past.get(one.name, Past()).waiting), default=0),
    )
    series = []
    for nth, one in enumerate(most[:LINES_MAX]):
        points = dict(past.get(one.name, Past()).waiting)
        data = [points.get(start) for start in starts]
        series.append(Series(one.label or one.name, data, "line", nth))
    return Chart([f"{datetime.fromtimestamp(at / 1000, zone):%H:%M}" for at in starts], series)


def _value(one: Device, field: str) -> Value | None:
    timed = one.fields.get(field)
    return None if timed is None else timed.value


def _number(one: Device, field: str) -> float:
    value = _value(one, field)
    return 0.0 if value is None or isinstance(value, str) else float(value)
