"""How warm the gateway itself is, where its kernel tells.

In: Linux's thermal zones (`/sys/class/thermal/thermal_zone*/temp`, millidegrees; the kernel's
Documentation/driver-api/thermal/sysfs-api.rst). A Raspberry Pi slows down from 80 °C on.
"""

from __future__ import annotations

from pathlib import Path

LOWEST_C, HIGHEST_C = -60.0, 200.0


def temperature_c(root: Path = Path("/")) -> float | None:
    """The warmest zone in whole degrees; None when there is none that says anything sensible."""
    found = []
    for zone in (root / "sys/class/thermal").glob("thermal_zone*/temp"):
        try:
            degrees = int(zone.read_text()) / 1000
        except (OSError, ValueError):
            continue  # a zone that is switched off answers with an error
        if LOWEST_C <= degrees <= HIGHEST_C:
            found.append(degrees)
    return float(round(max(found))) if found else None
