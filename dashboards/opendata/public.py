"""Which fields anyone may see, and how counts of people are rounded. Pure.

Left out of every kind: radio, battery, firmware and raw distances (operation, not the city), bytes
of a WiFi corner (with one visitor they are that visitor's), whether somebody is in a room, and
gateways. A count of people is the nearest multiple of `people_step` (half of it goes up): with 5,
one or two people are told as 0, three to seven as 5. Every count is, large ones too, so that
subtracting one answer from another doesn't bring the small one back.
"""

from __future__ import annotations

from collections.abc import Mapping

from devices.reading import Value

_AIR = ("temperature_c", "relative_humidity")
PUBLIC: dict[str, tuple[str, ...]] = {
    "parking_spot": ("occupied",),
    "waste_container": ("filling_level", "status", "temperature_c"),
    "wifi_access_point": ("up", "clients", "latency_ms", "loss_ratio", "dns_ms", "portal"),
    "people_counter": ("people_count", "people_count_max", "period_in", "period_out"),
    "traffic_counter": ("vehicle_count",),
    "environment": (
        *_AIR,
        *("atmospheric_pressure_hpa", "illuminance_lux", "co2_ppm", "tvoc_ppb"),
        *("sound_peak_db", "sound_average_db"),
    ),
    "energy_meter": ("active_power_w", "active_energy_wh"),
    "water_level": ("level_m",),
    "soil_moisture": ("soil_moisture_vwc", "soil_temperature_c", "soil_conductivity_us_cm"),
}
"""Kind → fields that may be shown, of the state and of readings."""

PEOPLE = frozenset({"clients", "people_count", "people_count_max", "period_in", "period_out"})
"""Fields that count people."""

_SUMMARIES = ("mean", "min", "max", "count")


def fields_of(kind: str, *, summed: bool) -> tuple[str, ...]:
    """The public fields of a reading, or of an hour or day; texts have no sums."""
    if not summed:
        return PUBLIC[kind]
    numbers = (name for name in PUBLIC[kind] if name not in ("status", "portal"))
    return tuple(f"{name}_{summary}" for name in numbers for summary in _SUMMARIES)


def rounded(value: float, step: int) -> int:
    """The nearest multiple of `step`; halves go up."""
    return int((value + step / 2) // step) * step


def shown(fields: Mapping[str, Value], step: int) -> dict[str, Value]:
    """Fields as the public sees them; `*_count` is how many readings, not people."""
    return {name: _shown(name, value, step) for name, value in fields.items()}


def _shown(name: str, value: Value, step: int) -> Value:
    measured, _, summary = name.rpartition("_")
    people = name in PEOPLE or (summary in _SUMMARIES[:3] and measured in PEOPLE)
    return rounded(value, step) if people and not isinstance(value, str) else value
