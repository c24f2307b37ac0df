"""The measurements the cloud itself writes, beside the devices' kinds.

They carry the same four tags as readings (`device`, `gateway`, `site`, `zone`), so that every
panel and query works on them alike; where a point is about a gateway, `device` is its name and
`zone` is `main`. `rolled_up` derives what hourly and daily points of a kind look like.
"""

from __future__ import annotations

import msgspec

from devices.kinds import FLOAT, INTEGER, KINDS, TEXT, Field, FieldType, Kind
from ingest.rules.kinds import (
    BIN_FORECAST,
    DEVICE_INCIDENT,
    RULE_CHANGE,
    RULE_STATE,
    WATCH_HEALTH,
)
from ingest.stores.zone_kinds import ZONE_KINDS

_COUNT_MAX = 2.0**53


def _fields(*fields: Field) -> dict[str, Field]:
    return {field.name: field for field in fields}


DEVICE_HEALTH = Kind(
    name="device_health",
    about="each minute, for every registered device: is it heard?",
    state="state",
    heartbeat_s=60,
    expiry_s=180,
    fields=_fields(
        Field("age_s", FLOAT, "age of the newest reading", "s", 0, 1e10),
        Field(
            "state",
            TEXT,
            "what the age means",
            choices=("ok", "silent", "delayed", "gateway_offline", "maintenance"),
        ),
        Field("kind", TEXT, "kind of the device"),
        Field("shows", TEXT, "what a page shows: free, full, up, unknown"),
        Field("read_errors", INTEGER, "failed reads since its gateway started", "", 0, _COUNT_MAX),
    ),
)

DROPPED_FOR = ("full", "damaged")
"""Every reason for which an outbox lets readings go."""

GATEWAY_HEALTH = Kind(
    name="gateway_health",
    about="each minute, for every gateway: its last status",
    state="online",
    heartbeat_s=60,
    expiry_s=180,
    fields=_fields(
        Field("online", INTEGER, "1 when a status came within three minutes", "", 0, 1),
        Field("age_s", FLOAT, "age of the last status", "s", 0, 1e10),
        Field("waiting", INTEGER, "readings accepted, not yet confirmed", "", 0, _COUNT_MAX),
        Field("oldest_waiting_s", FLOAT, "age of the oldest of them", "s", 0, 1e10),
        Field("accepted", INTEGER, "readings accepted, ever", "", 0, _COUNT_MAX),
        Field("stored", INTEGER, "readings confirmed as stored, ever", "", 0, _COUNT_MAX),
        Field("refused", INTEGER, "readings refused, ever", "", 0, _COUNT_MAX),
        Field("rejected", INTEGER, "readings rejected, ever", "", 0, _COUNT_MAX),
        Field("dropped", INTEGER, "readings dropped, ever", "", 0, _COUNT_MAX),
        *(
            Field(f"dropped_{reason}", INTEGER, f"dropped for {reason}, ever", "", 0, _COUNT_MAX)
            for reason in DROPPED_FOR
        ),
        Field("balanced", INTEGER, "1 when the ledger balances", "", 0, 1),
        Field("outbox_bytes", INTEGER, "bytes the outbox takes", "B", 0, _COUNT_MAX),
        Field("outbox_share", FLOAT, "of what it may take", "", 0, 1),
        Field("parked", INTEGER, "batches set aside as poison", "", 0, _COUNT_MAX),
        Field("gaps", INTEGER, "unclean restarts that lost open readings", "", 0, _COUNT_MAX),
        Field(
            "backlog_growing_s", FLOAT, "age of what waits, while it grows; else 0", "s", 0, 1e10
        ),
        Field("links", INTEGER, "links of the gateway", "", 0, _COUNT_MAX),
        Field("links_down", INTEGER, "of these: down", "", 0, _COUNT_MAX),
        Field("link_errors", INTEGER, "errors of all links since its start", "", 0, _COUNT_MAX),
        Field("link_error_share", FLOAT, "failed of the last hour's reads", "", 0, 1),
        Field("card_life_used", FLOAT, "of the card's life, where the card tells", "", 0, 2),
        Field("temperature_c", FLOAT, "the gateway's own, where it tells", "°C", -60, 200),
        Field("uplink_bytes", INTEGER, "over the SIM this month", "B", 0, _COUNT_MAX),
        Field("uplink_share", FLOAT, "of the SIM's quota of this month", "", 0, 1000),
        Field("over_limit", INTEGER, "1 while it says more than it may", "", 0, 1),
        Field("clock", TEXT, "how the gateway's clock is trusted"),
        Field(
            "certificate",
            TEXT,
            "what the gateway's alarms say of its certificate",
            choices=("ok", "ending", "over"),
        ),
        Field("version", TEXT, "version of the agent"),
    ),
)

GATEWAY_BATCH = Kind(
    name="gateway_batch",
    about="one point a settled batch, in `city`, at its seal time: completeness is made of them",
    state="sequence",
    heartbeat_s=60,
    expiry_s=180,
    fields=_fields(
        Field("epoch", TEXT, "the outbox's epoch, hexadecimal"),
        Field("sequence", INTEGER, "the batch's number in its epoch", "", 0, _COUNT_MAX),
        Field("readings", INTEGER, "lines in it, 0 when it can't be opened", "", 0, _COUNT_MAX),
        Field("rejected", INTEGER, "of these, dead-lettered", "", 0, _COUNT_MAX),
        Field("lag_ms", INTEGER, "from seal to stored", "ms", -_COUNT_MAX, _COUNT_MAX),
    ),
)

ROLLUP_DUE = Kind(
    name="rollup_due",
    about="late data touched an hour; the point's time is the arrival",
    state="hour_ms",
    heartbeat_s=3600,
    expiry_s=7200,
    fields=_fields(Field("hour_ms", INTEGER, "start of that hour", "ms", 0, _COUNT_MAX)),
)

GATEWAY_COMPLETENESS = Kind(
    name="gateway_completeness",
    about="a gateway's day (UTC, its start is the point's time): how much of it is in the store",
    state="share",
    heartbeat_s=3600,
    expiry_s=2 * 86_400,
    fields=_fields(
        Field("share", FLOAT, "of the batches that should be there: stored", "", 0, 1),
        Field("sealed", INTEGER, "batches sealed that day, as far as is known", "", 0, _COUNT_MAX),
        Field("stored", INTEGER, "of these: in the store", "", 0, _COUNT_MAX),
        Field("rejected", INTEGER, "of these: dead-lettered whole", "", 0, _COUNT_MAX),
        Field("waiting", INTEGER, "of these: still on the gateway", "", 0, _COUNT_MAX),
        Field("missing", INTEGER, "of these: nowhere", "", 0, _COUNT_MAX),
        Field("gaps", INTEGER, "ranges of numbers that are missing", "", 0, _COUNT_MAX),
        Field("missing_ranges", TEXT, "the first of them, e.g. 17-19 40 +3"),
        Field("why", TEXT, "what the gateway's ledger says about the missing ones"),
        Field("readings", INTEGER, "readings stored", "", 0, _COUNT_MAX),
        Field("readings_rejected", INTEGER, "readings dead-lettered", "", 0, _COUNT_MAX),
        Field("radio_expected", INTEGER, "LoRaWAN uplinks by their counters", "", 0, _COUNT_MAX),
        Field("radio_heard", INTEGER, "of these: stored", "", 0, _COUNT_MAX),
        Field("radio_share", FLOAT, "heard of expected", "", 0, 1),
        Field("radio_unsure", INTEGER, "uplinks that pipeline or radio lost", "", 0, _COUNT_MAX),
        Field("dropped_ever", INTEGER, "readings dropped, by the ledger", "", 0, _COUNT_MAX),
        Field("card_life_used", FLOAT, "of the card's life by then, where it tells", "", 0, 2),
        Field("epoch", TEXT, "the outbox's epoch when the day was last the newest"),
        Field("newest", INTEGER, "the highest number it had given out then", "", 0, _COUNT_MAX),
        Field("newest_ms", INTEGER, "when it said so", "ms", 0, _COUNT_MAX),
        Field("epoch_before", TEXT, "another epoch that ended on that day"),
        Field("newest_before", INTEGER, "the highest number seen of it", "", 0, _COUNT_MAX),
        Field("newest_before_ms", INTEGER, "when that was said", "ms", 0, _COUNT_MAX),
        Field("unfinished", INTEGER, "1 while the day or its backlog runs on", "", 0, 1),
    ),
)

REVENUE = Kind(
    name="revenue",
    about="a parking zone's day (local midnight is the point's time): expected and received",
    state="share",
    heartbeat_s=3600,
    expiry_s=2 * 86_400,
    fields=_fields(
        Field("expected_idr", FLOAT, "occupied hours by the tariffs", "IDR", 0, _COUNT_MAX),
        Field("received_idr", INTEGER, "payments settled that day", "IDR", 0, _COUNT_MAX),
        Field("share", FLOAT, "received of expected", "", 0, _COUNT_MAX),
        Field("judged", INTEGER, "1 when enough was expected to judge by", "", 0, 1),
    ),
)

REJECTED_FOR = (
    *("grammar", "unknown_kind", "unknown_field", "type", "range", "duplicate_field", "time"),
    *("claim", "too_many_new", "type_conflict", "retention", "refused", "server_error"),
    *("not_zstd", "truncated", "too_large", "digest", "text"),
)
"""Every reason for a dead letter: the guard's, the database's, and those of whole batches."""

INGESTOR_HEALTH = Kind(
    name="ingestor_health",
    about="each minute, for every ingestor: what it did since it started",
    state="in_hand",
    heartbeat_s=60,
    expiry_s=180,
    fields=_fields(
        Field("uptime_s", FLOAT, "since it started", "s", 0, 1e10),
        Field("in_hand", INTEGER, "batches whose fate isn't known yet", "", 0, _COUNT_MAX),
        Field("received", INTEGER, "messages", "", 0, _COUNT_MAX),
        Field("stored", INTEGER, "readings", "", 0, _COUNT_MAX),
        Field("rejected", INTEGER, "readings, and batches that can't be read", "", 0, _COUNT_MAX),
        Field("kept", INTEGER, "writes that the database didn't take", "", 0, _COUNT_MAX),
        Field("held", INTEGER, "batches sent back to wait", "", 0, _COUNT_MAX),
        Field("noise", INTEGER, "messages that name no batch", "", 0, _COUNT_MAX),
        Field("over_limit", INTEGER, "gateways that sent more than they may", "", 0, _COUNT_MAX),
        Field("notes_waiting", INTEGER, "notes that aren't written yet", "", 0, _COUNT_MAX),
        Field("notes_dropped", INTEGER, "notes given up", "", 0, _COUNT_MAX),
        Field("dead_letters_bytes", INTEGER, "that wait for a replay", "B", 0, _COUNT_MAX),
        Field("dead_letters_share", FLOAT, "of what the file may take", "", 0, 1),
        *(
            Field(f"rejected_{reason}", INTEGER, f"rejected for {reason}", "", 0, _COUNT_MAX)
            for reason in REJECTED_FOR
        ),
    ),
)

INGESTOR_PROBE = Kind(
    name="ingestor_probe",
    about="an ingestor's own line beside readings: taken, it shows that the database is well",
    state="alive",
    heartbeat_s=3600,
    expiry_s=7200,
    fields=_fields(Field("alive", INTEGER, "always 1", "", 0, 1)),
)

ARRIVAL = Kind(
    name="arrival",
    about="readings of a gateway were stored; the point's time is the arrival, in `city`",
    state="oldest_ms",
    heartbeat_s=60,
    expiry_s=180,
    fields=_fields(
        Field("oldest_ms", INTEGER, "none of them is older than this", "ms", 0, _COUNT_MAX),
    ),
)

REMOVED, GATEWAY_REMOVED = "removed", "gateway_removed"
"""What the registry says as a kind once no inventory names the device there any more, or the
gateway is retired or at another site."""

DEVICE_REGISTRY = Kind(
    name="device_registry",
    about="what the inventories say, written when they change and each hour: panels' places",
    state="kind",
    heartbeat_s=3600,
    expiry_s=2 * 86_400,
    fields=_fields(
        Field("kind", TEXT, "kind of the device, gateway, removed or gateway_removed"),
        Field("driver", TEXT, "driver that decodes it"),
        Field("label", TEXT, "what people call it"),
        Field("latitude", FLOAT, "WGS 84", "°", -90, 90),
        Field("longitude", FLOAT, "WGS 84", "°", -180, 180),
        Field("heartbeat_s", FLOAT, "how often it is expected", "s", 0, 1e10),
        Field("expiry_s", FLOAT, "age at which its state is unknown", "s", 0, 1e10),
        Field("maintenance", INTEGER, "1 while it is closed for work", "", 0, 1),
    ),
)

CLOUD_KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        DEVICE_HEALTH,
        GATEWAY_HEALTH,
        GATEWAY_BATCH,
        ROLLUP_DUE,
        ARRIVAL,
        DEVICE_REGISTRY,
        INGESTOR_HEALTH,
        INGESTOR_PROBE,
        *ZONE_KINDS.values(),
        RULE_STATE,
        WATCH_HEALTH,
        BIN_FORECAST,
    )
}

PER_GATEWAY = frozenset(CLOUD_KINDS) - {
    *(DEVICE_HEALTH.name, DEVICE_REGISTRY.name, RULE_STATE.name, BIN_FORECAST.name),
}
"""Kinds with one series a gateway (or ingestor): few, whatever the city's size."""


def rolled_up(kind: Kind) -> Kind:
    """What an hour of this kind looks like: mean, min, max and count of each number field."""
    fields: dict[str, Field] = {}
    for field in kind.fields.values():
        if field.type is FieldType.TEXT:
            continue
        for suffix in ("mean", "min", "max"):
            name = f"{field.name}_{suffix}"
            fields[name] = Field(name, FLOAT, field.about, field.unit, field.low, field.high)
        name = f"{field.name}_count"
        fields[name] = Field(name, INTEGER, f"values of {field.name}", "", 0, _COUNT_MAX)
    return Kind(kind.name, kind.about, f"{kind.state}_mean", fields, 3600, 7200)


def of_sites(kind: Kind) -> Kind:
    """What an hour of a site looks like: `rolled_up`'s fields, made of the devices' hours.

    The mean is that of the devices' means, each counting once; min, max and count are of all. A
    city's week is a few series in place of one a device.
    """
    hour = rolled_up(kind)
    devices = Field("devices", INTEGER, "devices that said something", "", 0, _COUNT_MAX)
    return msgspec.structs.replace(
        hour,
        name=f"{kind.name}_site",
        about=f"an hour of a site: {kind.about}",
        fields={**hour.fields, devices.name: devices},
    )


def of_days(kind: Kind) -> Kind:
    """What a day looks like, of devices or of sites: the same fields as its hours."""
    return msgspec.structs.replace(kind, name=f"{kind.name}_day", about=f"a day: {kind.about}")


STORED_KINDS: dict[str, Kind] = {**KINDS, **CLOUD_KINDS}
"""Everything a store can be asked for in the buckets `city` and `city_health`."""

HOUR_KINDS: dict[str, Kind] = {
    **{name: rolled_up(kind) for name, kind in KINDS.items()},
    **{f"{name}_site": of_sites(kind) for name, kind in KINDS.items()},
}
"""What an hour is, of a device and of a site."""

ROLLED_UP_KINDS: dict[str, Kind] = {
    **HOUR_KINDS,
    **{f"{name}_day": of_days(kind) for name, kind in HOUR_KINDS.items()},
    GATEWAY_COMPLETENESS.name: GATEWAY_COMPLETENESS,
    REVENUE.name: REVENUE,
    DEVICE_INCIDENT.name: DEVICE_INCIDENT,
    RULE_CHANGE.name: RULE_CHANGE,
}
"""Everything a store can be asked for in `city_hourly`."""
