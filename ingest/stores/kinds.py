"""The measurements the cloud itself writes, beside the devices' kinds.

They carry the same four tags as readings (`device`, `gateway`, `site`, `zone`), so that every
panel and query works on them alike; where a point is about a gateway, `device` is its name and
`zone` is `main`. `rolled_up` derives what hourly and daily points of a kind look like.
"""

from __future__ import annotations

from devices.kinds import FLOAT, INTEGER, KINDS, TEXT, Field, FieldType, Kind

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
    ),
)

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
        Field("balanced", INTEGER, "1 when the ledger balances", "", 0, 1),
        Field("outbox_bytes", INTEGER, "bytes the outbox takes", "B", 0, _COUNT_MAX),
        Field("outbox_share", FLOAT, "of what it may take", "", 0, 1),
        Field("parked", INTEGER, "batches set aside as poison", "", 0, _COUNT_MAX),
        Field("gaps", INTEGER, "unclean restarts that lost open readings", "", 0, _COUNT_MAX),
        Field("clock", TEXT, "how the gateway's clock is trusted"),
        Field("version", TEXT, "version of the agent"),
    ),
)

GATEWAY_BATCH = Kind(
    name="gateway_batch",
    about="one point a stored batch, at its seal time: completeness is a query over them",
    state="sequence",
    heartbeat_s=60,
    expiry_s=180,
    fields=_fields(
        Field("epoch", TEXT, "the outbox's epoch, hexadecimal"),
        Field("sequence", INTEGER, "the batch's number in its epoch", "", 0, _COUNT_MAX),
        Field("readings", INTEGER, "lines in it", "", 0, _COUNT_MAX),
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

DEVICE_REGISTRY = Kind(
    name="device_registry",
    about="what the inventories say, written when they change and each hour: panels' places",
    state="kind",
    heartbeat_s=3600,
    expiry_s=2 * 86_400,
    fields=_fields(
        Field("kind", TEXT, "kind of the device, or gateway"),
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
    for kind in (DEVICE_HEALTH, GATEWAY_HEALTH, GATEWAY_BATCH, ROLLUP_DUE, DEVICE_REGISTRY)
}


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


STORED_KINDS: dict[str, Kind] = {**KINDS, **CLOUD_KINDS}
"""Everything a store can be asked for in the buckets `city` and `city_health`."""

ROLLED_UP_KINDS: dict[str, Kind] = {name: rolled_up(kind) for name, kind in KINDS.items()}
"""Everything a store can be asked for in `city_hourly`."""
