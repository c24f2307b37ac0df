"""What each panel must show, from the truth alone: for every question of every panel, a function of
the week that gives the whole answer. A panel without an entry here fails the test.

An answer is `{(series or row, time): {column: value}}`; the time is 0 for tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise

from ingest.stores.zone_kinds import ZONE_STATES
from tests.dashboards.grafana.week import (
    BAY,
    BIN,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    STATES,
    WIFI,
    Device,
    Week,
)

Cell = float | int | str | None
Answer = dict[tuple[tuple[str, ...], int], dict[str, Cell]]
Truth = Callable[[Week], Answer]


def span(week: Week) -> tuple[int, int]:
    """The screen: the last 24 hours."""
    return week.now_ms - DAY_MS, week.now_ms


def _one(row: dict[str, Cell]) -> Answer:
    return {((), 0): row}


def counts(kind: str, *states: str) -> Truth:
    return lambda w: _one({state: w.count(kind, state, w.now_ms) for state in states})


def clients_now(week: Week) -> Answer:
    return _one({"clients": week.clients(week.now_ms)})


def unknown_now(kind: str) -> Truth:
    return lambda w: _one({kind: w.count(kind, "unknown", w.now_ms)})


def newest_age(week: Week) -> Answer:
    return _one({"age_s": min(week.age_s(device, week.now_ms) for device in week.devices)})


def _zones(week: Week, kind: str) -> Iterable[tuple[str, str]]:
    return sorted({(device.site, device.zone) for device in week.of(kind)})


def _middle(devices: list[Device]) -> dict[str, Cell]:
    return {
        "latitude": sum(device.latitude for device in devices) / len(devices),
        "longitude": sum(device.longitude for device in devices) / len(devices),
    }


def zone_row(week: Week, kind: str, site: str, zone: str, time_ms: int) -> dict[str, Cell]:
    """All that is said of a zone."""
    states = {s: week.count(kind, s, time_ms, site=site, zone=zone) for s in ZONE_STATES[kind]}
    devices = week.of(kind, site=site, zone=zone)
    row: dict[str, Cell] = {**states, "devices": len(devices), **_middle(devices)}
    if kind == BAY:
        known = states["free"] + states["occupied"]
        row["occupied_share"] = states["occupied"] / known if known else None
    elif kind == BIN:
        levels = [
            float(level)
            for device in devices
            if week.shows(device, time_ms) not in ("unknown", "closed")
            and (level := week.fresh(device, time_ms, "filling_level")) is not None
        ]
        row["filling_level"] = sum(levels) / len(levels) if levels else None
    else:
        believed = any(week.shows(d, time_ms) not in ("unknown", "closed") for d in devices)
        row["clients"] = week.clients(time_ms, site=site, zone=zone) if believed else None
    return row


def zones(kind: str) -> Truth:
    return lambda w: {
        ((site, zone), 0): zone_row(w, kind, site, zone, w.now_ms) for site, zone in _zones(w, kind)
    }


def every_minute(week: Week) -> range:
    start_ms, stop_ms = span(week)
    return range(start_ms, stop_ms + 1, MINUTE_MS)


def count_lines(kind: str, state: str) -> Truth:
    """How many of the city show that, minute by minute."""
    return lambda w: {((), t): {"sum": w.count(kind, state, t)} for t in every_minute(w)}


def site_lines(kind: str, state: str) -> Truth:
    """How many of each site show that; for `clients`, how many people are there."""

    def truth(week: Week) -> Answer:
        found: Answer = {}
        for time_ms in every_minute(week):
            for site in sorted({device.site for device in week.of(kind)}):
                value = (
                    _clients_known(week, time_ms, site)
                    if state == "clients"
                    else week.count(kind, state, time_ms, site=site)
                )
                if value is not None:
                    found[(site,), time_ms] = {"last": value}
        return found

    return truth


def _clients_known(week: Week, time_ms: int, site: str) -> int | None:
    devices = week.of(WIFI, site=site)
    if all(week.shows(device, time_ms) == "unknown" for device in devices):
        return None
    return week.clients(time_ms, site=site)


def _hours(week: Week) -> Iterable[int]:
    start_ms, stop_ms = span(week)
    first = -(-start_ms // HOUR_MS) * HOUR_MS
    return range(first, stop_ms - HOUR_MS + 1, HOUR_MS)


def site_hours(kind: str, field: str, which: str) -> Truth:
    """Of the devices' hours: the mean of their means, or the highest of all."""

    def truth(week: Week) -> Answer:
        found: Answer = {}
        for hour_ms in _hours(week):
            for site in sorted({device.site for device in week.of(kind)}):
                own = [
                    hour
                    for device in week.of(kind, site=site)
                    if (hour := week.hour(device, field, hour_ms))
                ]
                if own:
                    mean = sum(each[0] for each in own) / len(own)
                    value = mean if which == "mean" else max(each[2] for each in own)
                    found[((site,), hour_ms)] = {which: value}
        return found

    return truth


def arrivals(week: Week) -> Answer:
    """Bays that were free and then taken, by the hour; the first reading on the screen is none."""
    start_ms, stop_ms = span(week)
    first = start_ms - start_ms % HOUR_MS
    sites = sorted({device.site for device in week.of(BAY)})
    found = {(s, t): 0 for s in sites for t in range(first, stop_ms + 1, HOUR_MS)}
    for device in week.of(BAY):
        said = [r for r in week.readings[device.name] if start_ms <= r.time_ms <= stop_ms]
        for before, after in pairwise(said):
            if (before.fields["occupied"], after.fields["occupied"]) == (0, 1):
                found[device.site, after.time_ms - after.time_ms % HOUR_MS] += 1
    # An hour without any change of a site has no row to be counted, and is filled with 0.
    return {((site,), time_ms): {"sum": value} for (site, time_ms), value in found.items()}


def state_lines(kind: str) -> Truth:
    return lambda w: {
        ((device.name,), t): {"last": w.shows(device, t)}
        for device in w.of(kind)
        for t in every_minute(w)
    }


def device_labels(kind: str, *columns: str) -> Truth:
    def row(device: Device) -> dict[str, Cell]:
        known: dict[str, Cell] = {
            "label": device.label,
            "latitude": device.latitude,
            "longitude": device.longitude,
        }
        return {name: known[name] for name in columns}

    def truth(week: Week) -> Answer:
        zoned = "latitude" not in columns
        return {((d.name, d.zone) if zoned else (d.name,), 0): row(d) for d in week.of(kind)}

    return truth


def device_health(kind: str, *columns: str) -> Truth:
    def row(week: Week, device: Device) -> dict[str, Cell]:
        known: dict[str, Cell] = {
            "shows": week.shows(device, week.now_ms),
            "state": week.heard(device, week.now_ms),
            "age_s": week.age_s(device, week.now_ms),
        }
        return {name: known[name] for name in columns}

    return lambda w: {((d.name,), 0): row(w, d) for d in w.of(kind)}


def newest_values(kind: str, *fields: str, zone: bool = False) -> Truth:
    """The newest of two hours of each field; a device that said nothing has no row."""

    def truth(week: Week) -> Answer:
        found: Answer = {}
        for device in week.of(kind):
            row: dict[str, Cell] = {}
            for field in fields:
                last = week.newest(device.name, week.now_ms, field)
                lately = last is not None and last.time_ms > week.now_ms - 2 * HOUR_MS
                row[field] = last.fields[field] if last and lately else None
            if any(value is not None for value in row.values()):
                found[(device.name, device.zone) if zone else (device.name,), 0] = row
        return found

    return truth


def zone_fill_lines(week: Week) -> Answer:
    found: Answer = {}
    for site, zone in _zones(week, BIN):
        for time_ms in every_minute(week):
            level = zone_row(week, BIN, site, zone, time_ms)["filling_level"]
            if level is not None:
                found[(site, zone), time_ms] = {"mean": level}
    return found


def readings_lines(kind: str, field: str, tag: str, step_ms: int, which: str = "mean") -> Truth:
    """Mean or highest of all readings of a step."""

    def truth(week: Week) -> Answer:
        start_ms, stop_ms = span(week)
        steps: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for device in week.of(kind):
            for one in week.readings[device.name]:
                if start_ms <= one.time_ms <= stop_ms and field in one.fields:
                    key = getattr(device, tag), one.time_ms - one.time_ms % step_ms
                    steps[key].append(float(one.fields[field]))
        return {
            ((name,), t): {which: max(own) if which == "max" else sum(own) / len(own)}
            for (name, t), own in steps.items()
        }

    return truth


def traffic(field: str) -> Truth:
    """Bits a second between the last counters of following steps; a restart counts for nothing."""

    def truth(week: Week) -> Answer:
        start_ms, stop_ms = span(week)
        step_ms = 2 * MINUTE_MS
        rates: defaultdict[int, float] = defaultdict(float)
        for device in week.of(WIFI):
            last: dict[int, float] = {}
            for one in week.readings[device.name]:
                if start_ms <= one.time_ms <= stop_ms and field in one.fields:
                    last[one.time_ms - one.time_ms % step_ms] = float(one.fields[field])
            times = sorted(last)
            for before, after in pairwise(times):
                if last[after] >= last[before]:
                    rates[after] += (last[after] - last[before]) / (after - before) * 1000 * 8
        return {((), t): {"sum": rate} for t, rate in rates.items()}

    return truth


def gateways_now(which: str, *fields: str) -> Truth:
    """Sum or highest over the gateways' last minute."""

    def joined(week: Week, field: str) -> float:
        values = [float(week.gateway_fields(g, week.now_ms)[field]) for g in week.gateways]
        return sum(values) if which == "sum" else max(values)

    return lambda w: _one({field: joined(w, field) for field in fields})


def gateways_online(week: Week) -> Answer:
    online = sum(not week.is_away(gateway, week.now_ms) for gateway in week.gateways)
    return _one({"online": online, "gateways": len(week.gateways)})


def gateway_lines(field: str, column: str = "last") -> Truth:
    return lambda w: {
        ((gateway,), t): {column: w.gateway_fields(gateway, t)[field]}
        for gateway in w.gateways
        for t in every_minute(w)
    }


def gateway_steps(field: str, which: str, step_ms: int, by_site: bool) -> Truth:
    """The lowest or highest of a gateway's (or a site's) minutes of a step."""

    def truth(week: Week) -> Answer:
        steps: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        for gateway in week.gateways:
            name = week.site_of[gateway] if by_site else gateway
            for t in every_minute(week):
                steps[name, t - t % step_ms].append(float(week.gateway_fields(gateway, t)[field]))
        chosen = max if which == "max" else min
        return {((name,), t): {which: chosen(own)} for (name, t), own in steps.items()}

    return truth


def gateway_places(week: Week) -> Answer:
    return {
        ((gateway,), 0): {"label": f"Gateway {nth}", "latitude": 5.5 + nth, "longitude": 95.3}
        for nth, gateway in enumerate(week.gateways)
    }


def gateway_states(week: Week) -> Answer:
    fields = ("online", "waiting")
    return {
        ((g,), 0): {name: week.gateway_fields(g, week.now_ms)[name] for name in fields}
        for g in week.gateways
    }


def attention(week: Week) -> Answer:
    places = {device.name: device for device in week.devices}
    return {
        ((name, places[name].site, places[name].zone), 0): {
            "worst_severity": severity,
            "worst": rule,
            "worst_level": level,
            "worst_since_ms": week.now_ms - HOUR_MS,
        }
        for name, rule, level, severity in STATES
        if level
    }


def lag(week: Week) -> Answer:
    start_ms, stop_ms = span(week)
    return {
        ((gateway,), t): {"max": week.lag_ms(gateway, t)}
        for gateway in week.gateways
        for t in range(start_ms, stop_ms, MINUTE_MS)
    }


def completeness(week: Week) -> Answer:
    start_ms, stop_ms = span(week)
    columns = ("share", "missing", "waiting", "why")
    return {
        ((gateway,), 0): {name: week.completeness(gateway, day)[name] for name in columns}
        for gateway in week.gateways
        for day in week.days()
        if start_ms <= day <= stop_ms
    }


def radio_share(week: Week) -> Answer:
    start_ms, stop_ms = span(week)
    return {
        ((gateway,), day): {"mean": week.completeness(gateway, day)["radio_share"]}
        for gateway in week.gateways
        for day in week.days()
        if start_ms <= day <= stop_ms
    }


def refused(week: Week) -> Answer:
    """What the ledger's last word of ten minutes says more than that of the ten before, those
    before the screen too."""
    step_ms = 10 * MINUTE_MS
    first_ms = every_minute(week)[0] - step_ms
    found: Answer = {}
    for gateway in week.gateways:
        last: dict[int, int] = {}
        for t in range(first_ms, week.now_ms + 1, MINUTE_MS):
            last[t - t % step_ms] = int(week.gateway_fields(gateway, t)["refused"])
        times = sorted(last)
        for before, after in pairwise(times):
            found[((gateway,), after)] = {"non_negative_difference": last[after] - last[before]}
    return found


def ingestor(field: str) -> Truth:
    def value(t: int) -> float:
        return t // MINUTE_MS % 9 if field == "in_hand" else (t // MINUTE_MS % 100) / 100

    return lambda w: {(("cloud-1",), t): {"last": value(t)} for t in every_minute(w)}


_TABLES = {
    BAY: ("battery_v", "rssi_dbm", "quality"),
    BIN: ("filling_level", "temperature_c", "status", "battery_v"),
    WIFI: ("clients", "portal", "latency_ms", "loss_ratio", "channel_utilization"),
}


def _table(kind: str) -> tuple[Truth, ...]:
    return (
        device_labels(kind, "label"),
        device_health(kind, "shows", "state", "age_s"),
        newest_values(kind, *_TABLES[kind]),
    )


def _map(kind: str) -> tuple[Truth, ...]:
    return (
        device_labels(kind, "label", "latitude", "longitude"),
        device_health(kind, "shows", "age_s"),
    )


def _states(kind: str, *states: str) -> tuple[Truth, ...]:
    return tuple(count_lines(kind, state) for state in states)


_WEAKEST = ("rssi_dbm", "snr_db", "spreading_factor", "gateways_heard", "battery_v", "quality")
_STEP_15 = 15 * MINUTE_MS


def _radio(field: str) -> tuple[Truth, ...]:
    return tuple(readings_lines(kind, field, "zone", _STEP_15) for kind in (BAY, BIN))


EXPECTED: dict[str, list[tuple[str, tuple[Truth, ...]]]] = {
    "gampong-city": [
        ("Parking bays", (counts(BAY, "free", "occupied"),)),
        ("Bins to be emptied", (counts(BIN, "full", "burning"),)),
        ("People online", (clients_now,)),
        ("Gateways online", (gateways_online,)),
        ("State unknown", tuple(unknown_now(kind) for kind in (BAY, BIN, WIFI))),
        ("Newest reading", (newest_age,)),
        ("Zones", (zones(BAY), zones(BIN), zones(WIFI))),
        ("What needs attention", (attention,)),
        ("Bays occupied", (site_lines(BAY, "occupied"),)),
        ("People online", (site_lines(WIFI, "clients"),)),
        ("State unknown", tuple(count_lines(kind, "unknown") for kind in (BAY, BIN, WIFI))),
        ("Parking occupied", (site_hours(BAY, "occupied", "mean"),)),
        ("Bins, how full", (site_hours(BIN, "filling_level", "mean"),)),
        ("WiFi, busiest corner", (site_hours(WIFI, "clients", "max"),)),
    ],
    "gampong-parking": [
        ("Bays", (counts(BAY, *ZONE_STATES[BAY]),)),
        ("Bays of the site", _map(BAY)),
        ("Zones", (zones(BAY),)),
        ("Bays by state", _states(BAY, "free", "occupied", "unknown")),
        ("Arrivals an hour", (arrivals,)),
        ("Each bay", (state_lines(BAY),)),
        ("Occupied by hour", (site_hours(BAY, "occupied", "mean"),)),
        ("Bays, the most silent first", _table(BAY)),
    ],
    "gampong-waste": [
        ("Bins", (counts(BIN, *ZONE_STATES[BIN]),)),
        ("Bins, the fullest first", _table(BIN)),
        ("Bins of the site", _map(BIN)),
        ("How full, by zone", (zone_fill_lines,)),
        ("Bins by state", _states(BIN, "burning", "full", "filling", "unknown")),
        ("Hottest bin", (readings_lines(BIN, "temperature_c", "site", _STEP_15, "max"),)),
        ("Each bin", (state_lines(BIN),)),
        ("Fullest bin by hour", (site_hours(BIN, "filling_level", "max"),)),
        ("How full by hour", (site_hours(BIN, "filling_level", "mean"),)),
    ],
    "gampong-wifi": [
        ("Corners", (counts(WIFI, *ZONE_STATES[WIFI]),)),
        ("Corners, the busiest first", _table(WIFI)),
        ("Corners of the site", _map(WIFI)),
        ("People online", (site_lines(WIFI, "clients"),)),
        ("People online by hour", (site_hours(WIFI, "clients", "mean"),)),
        ("Each corner", (state_lines(WIFI),)),
        ("Latency", (readings_lines(WIFI, "latency_ms", "name", MINUTE_MS),)),
        ("Probes lost", (readings_lines(WIFI, "loss_ratio", "name", MINUTE_MS),)),
        ("Channel busy", (readings_lines(WIFI, "channel_utilization", "name", MINUTE_MS),)),
        ("Traffic", (traffic("rx_bytes"), traffic("tx_bytes"))),
    ],
    "gampong-gateways": [
        ("Gateways online", (gateways_online,)),
        ("Readings waiting", (gateways_now("sum", "waiting"),)),
        ("Farthest behind", (gateways_now("max", "oldest_waiting_s"),)),
        ("Fullest outbox", (gateways_now("max", "outbox_share"),)),
        ("Dropped, ever", (gateways_now("sum", "dropped"),)),
        ("Rejected, ever", (gateways_now("sum", "rejected"),)),
        ("Gateways", (gateway_places, gateway_states)),
        ("What needs attention", (attention,)),
        ("Online", (gateway_steps("online", "min", 5 * MINUTE_MS, by_site=False),)),
        ("Waiting", (gateway_steps("waiting", "max", MINUTE_MS, by_site=True),)),
        ("Outbox", (gateway_steps("outbox_share", "max", MINUTE_MS, by_site=True),)),
        ("Seal to stored", (lag,)),
        ("Completeness, by day", (completeness,)),
        ("Ingestors, in hand", (ingestor("in_hand"),)),
        ("Dead letters", (ingestor("dead_letters_share"),)),
    ],
    "gampong-radio": [
        ("Signal", _radio("rssi_dbm")),
        ("Signal above noise", _radio("snr_db")),
        ("Bays, the weakest signal first", (newest_values(BAY, *_WEAKEST, zone=True),)),
        ("Bins, the weakest signal first", (newest_values(BIN, *_WEAKEST, zone=True),)),
        ("Uplinks that arrived, by day", (radio_share,)),
        ("Battery", _radio("battery_v")),
        ("Frames refused", (refused,)),
        ("Reads that failed", (gateway_lines("link_error_share", "max"),)),
    ],
}
"""Dashboard → its panels in order, each with the truth of its questions."""
