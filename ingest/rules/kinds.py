"""The measurements that judging writes, beside those of `ingest.stores.kinds`.

They carry the four tags of every point; `device` is the name of what a rule is about. A rule is a
*field* of these measurements, so that a device's whole state is one point and a query for one rule
reads one column.

* `rule_state` (bucket `city_health`) is what holds now. It is written again and again, so a week is
  enough: each minute for what isn't clear, each hour for all.
* `device_incident` (bucket `city_hourly`, kept for years) is what happened: an unacknowledged fire
  must outlive a week. Its time is the reading's own, so that it is found twice without harm.
* `rule_change` (bucket `city_hourly`) is the history; its time is when the watch found it.
"""

from __future__ import annotations

from devices.kinds import FLOAT, INTEGER, TEXT, Field, Kind
from ingest.rules import RULES
from ingest.rules.rule import Level, Rule

_MAX = 2.0**53
_VALUE_MAX = 1e15


def _fields(*fields: Field) -> dict[str, Field]:
    return {field.name: field for field in fields}


def _state_of(rule: Rule) -> tuple[Field, ...]:
    name = rule.id
    return (
        Field(name, INTEGER, f"{rule.title.en}: 0 clear to 3 told", "", Level.CLEAR, Level.TOLD),
        Field(f"{name}_since_ms", INTEGER, "since when, by the readings", "ms", 0, _MAX),
        Field(f"{name}_judged_ms", INTEGER, "time of the newest reading judged", "ms", 0, _MAX),
        Field(f"{name}_value", FLOAT, "what it was then", "", -_VALUE_MAX, _VALUE_MAX),
    )


def _incident_of(rule: Rule) -> tuple[Field, ...]:
    name = rule.id
    return (
        Field(name, TEXT, rule.title.en, choices=("open", "acknowledged")),
        Field(f"{name}_last_ms", INTEGER, "the newest reading that said so", "ms", 0, _MAX),
        Field(f"{name}_found_ms", INTEGER, "when the watch found it", "ms", 0, _MAX),
        Field(f"{name}_who", TEXT, "who acknowledged it"),
        Field(f"{name}_why", TEXT, "and what they said"),
    )


RULE_STATE = Kind(
    name="rule_state",
    about="what each rule says of its subject now",
    state="bin_full",
    heartbeat_s=3600,
    expiry_s=7200,
    fields=_fields(
        Field("worst", TEXT, "the worst that isn't clear, or none", choices=("none", *RULES)),
        Field("worst_level", INTEGER, "its level", "", Level.CLEAR, Level.TOLD),
        Field("worst_severity", INTEGER, "0 none, 1 info, 2 warning, 3 critical", "", 0, 3),
        Field("worst_since_ms", INTEGER, "since when, by the readings", "ms", 0, _MAX),
        *(field for rule in RULES.values() if not rule.no_data_fires for field in _state_of(rule)),
    ),
)

DEVICE_INCIDENT = Kind(
    name="device_incident",
    about="an event at a device, open until somebody acknowledges it",
    state="bin_burning",
    heartbeat_s=3600,
    expiry_s=7200,
    fields=_fields(
        *(field for rule in RULES.values() if rule.latches for field in _incident_of(rule))
    ),
)

CHANGES = ("fires", "clears", "incident", "acknowledged", "silenced", "ended", "retired")
"""Every word of the history."""

RULE_CHANGE = Kind(
    name="rule_change",
    about="the history of alerts: what changed, found by the watch at the point's time",
    state="became",
    heartbeat_s=3600,
    expiry_s=7200,
    fields=_fields(
        Field("rule", TEXT, "which rule; a silence may be of all", choices=("all", *RULES)),
        Field("became", TEXT, "what became of it", choices=CHANGES),
        Field("at_ms", INTEGER, "the reading's own time", "ms", 0, _MAX),
        Field("value", FLOAT, "what it was", "", -_VALUE_MAX, _VALUE_MAX),
        Field("until_ms", INTEGER, "end of a silence", "ms", 0, _MAX),
        Field("who", TEXT, "who did it; empty for the watch"),
        Field("why", TEXT, "and what they said"),
    ),
)

WATCH_HEALTH = Kind(
    name="watch_health",
    about="each minute: the watch is there",
    state="uptime_s",
    heartbeat_s=60,
    expiry_s=180,
    fields=_fields(
        Field("uptime_s", FLOAT, "since it started", "s", 0, 1e10),
        Field("listening", INTEGER, "1 while it is connected to the broker", "", 0, 1),
        Field("gateways", INTEGER, "registered gateways", "", 0, _MAX),
        Field("devices", INTEGER, "registered devices", "", 0, _MAX),
        Field("firing", INTEGER, "rules that fire and are told", "", 0, _MAX),
        Field("muted", INTEGER, "rules that fire and aren't told", "", 0, _MAX),
        Field("messages_sent", INTEGER, "messages taken by a receiver", "", 0, _MAX),
        Field("messages_failed", INTEGER, "tries that no receiver took", "", 0, _MAX),
        Field("news_waiting", INTEGER, "changes that are still to be told", "", 0, _MAX),
        Field("news_dropped", INTEGER, "changes that were never told in detail", "", 0, _MAX),
    ),
)

BIN_FORECAST = Kind(
    name="bin_forecast",
    about="when a bin will be full at the rate of the hours since it was last emptied",
    state="hours_to_full",
    heartbeat_s=3600,
    expiry_s=7200,
    fields=_fields(
        Field("hours_to_full", FLOAT, "until it is 85 % full", "h", 0, 1e6),
        Field("rate_per_h", FLOAT, "of its whole, an hour", "", -1e6, 1e6),
    ),
)
