"""What a panel asks the database: InfluxQL with Grafana's macros. Pure.

Identifiers are written so that they can be checked against the kinds: `"free"::field`,
`"site"::tag`, `AS "name"`; a bare `"name"` is one that the same statement has named, or a tag in
`GROUP BY`. Three spans of time:

* `LATELY`: the last minutes before the end of the range. What a number "now" is made of: when the
  watch has been silent for longer, the panel says so and doesn't show an old number.
* `RANGE`: Grafana's own, the whole range on the screen.
* `LISTED`: the registry's points come each hour.
"""

from __future__ import annotations

import msgspec

from ingest.stores import Bucket

PLACE = '"site"::tag =~ /^${site:regex}$/ AND "zone"::tag =~ /^${zone:regex}$/'
"""The variables' choice. `regex` escapes what is odd in a value; "All" is `.*`."""

SITE = '"site"::tag =~ /^${site:regex}$/'
LATELY = "time > ${__to}ms - 3m AND time <= ${__to}ms"
LISTED = "time > ${__to}ms - 2h AND time <= ${__to}ms"
RANGE = "$timeFilter"
STEP = "time($__interval)"

SOURCES = {
    Bucket.CITY: "gampong-readings",
    Bucket.HOURLY: "gampong-hours",
    Bucket.HEALTH: "gampong-health",
}
"""Bucket → uid of its data source: in InfluxQL a bucket is a database of the same name."""


class Ask(msgspec.Struct, frozen=True):
    """One question.

    Args:
        bucket: where it is asked.
        kind: the measurement it is about.
        text: the statement.
        legend: name of a series, with Grafana's `$tag_site`; empty for tables.
    """

    bucket: Bucket
    kind: str
    text: str
    legend: str = ""

    @property
    def table(self) -> bool:
        """Whether the answer is rows rather than series."""
        return not self.legend


def zones_now(kind: str, *fields: str) -> Ask:
    """Counts of a kind's zones now, added up: one row."""
    inner = ", ".join(f'last("{name}"::field) AS "{name}"' for name in fields)
    outer = ", ".join(f'sum("{name}") AS "{name}"' for name in fields)
    text = (
        f'SELECT {outer} FROM (SELECT {inner} FROM "{kind}_zone" WHERE {LATELY} AND {PLACE}'
        ' GROUP BY "site", "zone")'
    )
    return Ask(Bucket.HEALTH, f"{kind}_zone", text)


def zones_over_time(kind: str, field: str, legend: str) -> Ask:
    """One count of a kind's zones, added up at each step."""
    text = (
        f'SELECT sum("{field}") FROM (SELECT last("{field}"::field) AS "{field}"'
        f' FROM "{kind}_zone" WHERE {RANGE} AND {PLACE} GROUP BY {STEP}, "site", "zone" fill(none))'
        f" WHERE {RANGE} GROUP BY {STEP} fill(none)"
    )
    return Ask(Bucket.HEALTH, f"{kind}_zone", text, legend)


def sites_now(kind: str, fields: dict[str, str]) -> Ask:
    """Counts of a kind now, added up over the sites: field → its name in the answer."""
    outer = ", ".join(f'sum("{field}") AS "{name}"' for field, name in fields.items())
    newest = _newest_point(f"{kind}_now", (*fields, "devices"), SITE, '"site"')
    return Ask(Bucket.HEALTH, f"{kind}_now", f"SELECT {outer} FROM ({newest}) ORDER BY time DESC")


def sites_over_time(kind: str, field: str) -> Ask:
    """One count of each site at each step: few series and no sums, whatever the city's size."""
    value = f'last("{field}"::field)'
    return over_time(Bucket.HEALTH, f"{kind}_now", value, "$tag_site", ("site",), SITE)


def zones_listed(kind: str, *fields: str) -> Ask:
    """Each zone now: a row with its fields, for maps and tables."""
    text = _newest_point(f"{kind}_zone", fields, PLACE, '"site", "zone"')
    return Ask(Bucket.HEALTH, f"{kind}_zone", text)


def _newest_point(measurement: str, fields: tuple[str, ...], place: str, group: str) -> str:
    """One whole point a group: `last` would take a field that the newest point has no more, as the
    share of a zone of which nothing is known now, from an older one."""
    names = ", ".join(f'"{name}"::field AS "{name}"' for name in fields)
    where = f"{LATELY} AND {place}"
    return (
        f'SELECT {names} FROM "{measurement}" WHERE {where} GROUP BY {group}'
        " ORDER BY time DESC LIMIT 1"
    )


def devices_listed(
    bucket: Bucket,
    kind: str,
    fields: tuple[str, ...],
    span: str = LATELY,
    where: str = "",
    by: tuple[str, ...] = ("device",),
) -> Ask:
    """Each device's newest values: a row with those of its tags."""
    names = ", ".join(f'last("{name}"::field) AS "{name}"' for name in fields)
    more = f" AND {where}" if where else ""
    text = f'SELECT {names} FROM "{kind}" WHERE {span} AND {PLACE}{more} GROUP BY {_names(by)}'
    return Ask(bucket, kind, text)


def of_kind(kind: str) -> str:
    """Only points about devices of that kind, in `device_registry` and `device_health`."""
    return f"\"kind\"::field = '{kind}'"


def over_time(
    bucket: Bucket,
    kind: str,
    value: str,
    legend: str,
    by: tuple[str, ...],
    place: str = PLACE,
) -> Ask:
    """A value at each step; `value` is an aggregate of fields: `mean("latency_ms"::field)`."""
    group = ", ".join((STEP, *(f'"{name}"' for name in by)))
    where = f"{RANGE} AND {place}" if place else RANGE
    text = f'SELECT {value} FROM "{kind}" WHERE {where} GROUP BY {group} fill(none)'
    return Ask(bucket, kind, text, legend)


def site_hours(kind: str, value: str, legend: str) -> Ask:
    """A value of a site's hours, for long ranges: a few series whatever the city's size. A site's
    point has no zone."""
    return over_time(Bucket.HOURLY, f"{kind}_site", value, legend, ("site",), SITE)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)
