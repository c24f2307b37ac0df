"""Water: evacuation is warned of, whatever else is going on."""

from __future__ import annotations

from ingest.rules.rule import Rule, Severity, Text, number

RULES = (
    Rule(
        id="water_high",
        kind="water_level",
        source="water_level",
        fields=("level_m",),
        measure=number("level_m"),
        unit="m",
        fires=2.0,
        clears=1.7,
        severity=Severity.CRITICAL,
        always_told=True,
        title=Text(id="Air tinggi", en="Water high"),
        summary=Text(
            id="Muka air di atas batas siaga tempat ini.",
            en="The water stands above this place's alert level.",
        ),
        advice=Text(
            id="Hubungi BPBD dan ikuti rencana evakuasi.",
            en="Call the disaster agency (BPBD) and follow the evacuation plan.",
        ),
    ),
)
"""The limits are an example: each river has its own (`[[alerts.limit]]` in docs/operator.md)."""
