"""Parking: no room, a bay that isn't heard or can't be believed, money that is missing."""

from __future__ import annotations

from collections.abc import Mapping

from devices.reading import Value
from ingest.rules.rule import NO, YES, Rule, Severity, Subject, Text, is_one_of

KNOWN_SHARE_MIN = 0.5
"""A zone of which fewer bays are known isn't judged: the others may be free."""


def occupied_share(fields: Mapping[str, Value]) -> float | None:
    """Occupied of the known bays."""
    counts = [fields.get(name) for name in ("free", "occupied", "unknown")]
    numbers = [float(count) for count in counts if count is not None and not isinstance(count, str)]
    if len(numbers) < 3:
        return None
    free, occupied, unknown = numbers
    known, bays = free + occupied, free + occupied + unknown
    return occupied / known if known and known >= KNOWN_SHARE_MIN * bays else None


def paid_share(fields: Mapping[str, Value]) -> float | None:
    """Received of expected, of a day that enough was expected of."""
    share = fields.get("share")
    if share is None or isinstance(share, str) or fields.get("judged") != 1:
        return None
    return float(share)


RULES = (
    Rule(
        id="zone_full",
        kind="parking_spot",
        source="parking_spot_zone",
        fields=("free", "occupied", "unknown"),
        measure=occupied_share,
        unit="%",
        fires=0.95,
        clears=0.85,
        for_s=300,
        severity=Severity.INFO,
        subject=Subject.ZONE,
        title=Text(id="Zona parkir penuh", en="Parking zone full"),
        summary=Text(
            id="Lebih dari 95 % petak parkir di zona ini terisi.",
            en="More than 95 % of the zone's bays are taken.",
        ),
        advice=Text(id="Arahkan kendaraan ke zona lain.", en="Send vehicles to another zone."),
    ),
    Rule(
        id="bay_stuck",
        kind="parking_spot",
        source="parking_spot",
        fields=("quality",),
        measure=is_one_of("quality", "stuck"),
        fires=YES,
        clears=NO,
        severity=Severity.INFO,
        title=Text(id="Sensor petak parkir macet", en="Bay sensor stuck"),
        summary=Text(
            id="Jarak yang diukur sensor tidak berubah selama sehari.",
            en="The distance that the sensor measures hasn't changed for a day.",
        ),
        advice=Text(
            id="Lihat petaknya: jika kosong, bersihkan atau ganti sensornya.",
            en="Look at the bay: if it is empty, clean or replace the sensor.",
        ),
    ),
    Rule(
        id="bay_silent",
        kind="parking_spot",
        source="device_health",
        fields=("state",),
        measure=is_one_of("state", "silent"),
        fires=YES,
        clears=NO,
        for_s=600,
        device_kinds=("parking_spot",),
        severity=Severity.WARNING,
        title=Text(id="Sensor petak parkir diam", en="Bay silent"),
        summary=Text(
            id="Gateway terhubung, tetapi sensor ini tidak mengirim.",
            en="The gateway is there, but nothing comes from this sensor.",
        ),
        advice=Text(
            id="Periksa baterai, kabel dan antena sensor.",
            en="Check the sensor's battery, cable and antenna.",
        ),
    ),
    Rule(
        id="payments_low",
        kind="parking_spot",
        source="revenue",
        fields=("share", "judged"),
        measure=paid_share,
        unit="%",
        fires=0.70,
        clears=0.85,
        above=False,
        severity=Severity.WARNING,
        subject=Subject.ZONE,
        title=Text(id="Penerimaan parkir rendah", en="Payments under expectation"),
        summary=Text(
            id="Pembayaran kemarin di bawah 70 % dari yang diharapkan menurut petak yang terisi.",
            en="Yesterday's payments were under 70 % of what occupied bays should have brought.",
        ),
        advice=Text(
            id="Bandingkan dengan hari lain, lalu periksa juru parkir dan terminal di zona ini.",
            en="Compare with other days, then see the zone's attendants and terminals.",
        ),
    ),
)
