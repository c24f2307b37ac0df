"""Bins: full, soon full, on fire, moved."""

from __future__ import annotations

from collections.abc import Mapping

from devices.reading import Value
from ingest.rules.rule import NO, YES, Rule, Severity, Text, either, is_one_of, number

TILT_DEG = 45.0
"""A bin that leans so far lies, or its lid hangs open; on a slope a truck stands at 6°."""


def _tilted(fields: Mapping[str, Value]) -> float | None:
    tilt = number("tilt_deg")(fields)
    return None if tilt is None else float(abs(tilt) > TILT_DEG)


RULES = (
    Rule(
        id="bin_burning",
        kind="waste_container",
        source="waste_container",
        fields=("status",),
        measure=is_one_of("status", "burning"),
        fires=YES,
        clears=NO,
        severity=Severity.CRITICAL,
        latches=True,
        always_told=True,
        title=Text(id="Bak sampah terbakar", en="Bin on fire"),
        summary=Text(
            id="Suhu di dalam bak sampah setinggi api.", en="It is as hot as a fire inside the bin."
        ),
        advice=Text(
            id="Telepon pemadam kebakaran (113), lalu kirim petugas. Jangan buka tutupnya.",
            en="Call the fire service (113), then send somebody. Don't open the lid.",
        ),
    ),
    Rule(
        id="bin_moved",
        kind="waste_container",
        source="waste_container",
        fields=("status", "tilt_deg"),
        measure=either(is_one_of("status", "moved", "dropped"), _tilted),
        fires=YES,
        clears=NO,
        severity=Severity.WARNING,
        latches=True,
        title=Text(id="Bak sampah bergeser atau miring", en="Bin moved or tilted"),
        summary=Text(
            id="Bak sampah dipindahkan, dijatuhkan atau miring.",
            en="The bin was moved, dropped or tilted.",
        ),
        advice=Text(
            id="Kirim petugas untuk menegakkan bak sampah, lalu tandai sudah ditangani.",
            en="Send somebody to set it up again, then acknowledge.",
        ),
    ),
    Rule(
        id="bin_full",
        kind="waste_container",
        source="waste_container",
        fields=("filling_level",),
        measure=number("filling_level"),
        unit="%",
        fires=0.85,
        clears=0.70,
        severity=Severity.WARNING,
        title=Text(id="Bak sampah penuh", en="Bin full"),
        summary=Text(id="Isi bak sampah di atas 85 %.", en="The bin is more than 85 % full."),
        advice=Text(
            id="Masukkan ke rute pengangkutan berikutnya.", en="Put it on the next collection."
        ),
    ),
    Rule(
        id="bin_overdue",
        kind="waste_container",
        source="bin_forecast",
        fields=("hours_to_full",),
        measure=number("hours_to_full"),
        unit="h",
        fires=12.0,
        clears=18.0,
        above=False,
        severity=Severity.INFO,
        title=Text(id="Bak sampah segera penuh", en="Bin full before long"),
        summary=Text(
            id="Dengan laju sekarang, bak sampah penuh dalam kurang dari 12 jam.",
            en="At its present rate the bin will be full in less than 12 hours.",
        ),
        advice=Text(
            id="Angkut sebelum penuh, jika rute melewatinya.",
            en="Collect it before then, if a route passes by.",
        ),
    ),
)
