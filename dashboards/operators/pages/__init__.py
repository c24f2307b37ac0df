"""The sections of the Command Center, in the order of its navigation."""

from __future__ import annotations

from dashboards.operators.context import Section
from dashboards.operators.pages import (
    alerts,
    audit,
    city,
    gateways,
    more,
    parking,
    waste,
    wifi,
)

SECTIONS: tuple[Section, ...] = (
    city.SECTION,
    parking.SECTION,
    waste.SECTION,
    wifi.SECTION,
    gateways.SECTION,
    alerts.SECTION,
    more.SECTION,
    audit.SECTION,
)
