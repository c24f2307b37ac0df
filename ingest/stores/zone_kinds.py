"""What the watch writes of a zone and of a site each minute: how many devices are in which state.

One point a zone, and one a site with the same fields (`parking_spot_now`), so that a map, a number
and a day's line of ten thousand devices cost what eighty points cost. The states are those that a
page shows (`dashboards.states`; a test compares them), so `unknown` is counted apart here too.
`device` and `zone` are both the zone's name, `gateway` is the site's: a zone may hang on several
gateways. A site's point has the zone `main`.
"""

from __future__ import annotations

from devices.kinds import FLOAT, INTEGER, KINDS, Field, Kind

ZONE_STATES: dict[str, tuple[str, ...]] = {
    "parking_spot": ("free", "occupied", "closed", "unknown"),
    "waste_container": (
        *("burning", "full", "filling", "ok", "lid_open", "moved", "closed", "unknown"),
    ),
    "wifi_access_point": ("up", "portal_down", "ap_down", "closed", "unknown"),
}
"""Kind → its states, each a field of the zone's point."""

_COUNT_MAX = 2.0**53
_OF_KIND: dict[str, tuple[Field, ...]] = {
    "parking_spot": (Field("occupied_share", FLOAT, "occupied of those known", "", 0, 1),),
    "waste_container": (Field("filling_level", FLOAT, "mean of those known", "", 0, 1),),
    "wifi_access_point": (Field("clients", INTEGER, "people online", "", 0, _COUNT_MAX),),
}


def zone_kind(name: str) -> str:
    """The measurement that holds the zones of a kind: `parking_spot_zone`."""
    return f"{name}_zone"


def site_kind(name: str) -> str:
    """The measurement that holds the sites of a kind: `parking_spot_now`."""
    return f"{name}_now"


def _kind(name: str, measurement: str) -> Kind:
    about = KINDS[name].about
    fields = (
        Field("devices", INTEGER, "devices in the zone", "", 0, _COUNT_MAX),
        *(
            Field(state, INTEGER, f"of these: {state}", "", 0, _COUNT_MAX)
            for state in ZONE_STATES[name]
        ),
        *_OF_KIND[name],
        Field("latitude", FLOAT, "middle of its devices, WGS 84", "°", -90, 90),
        Field("longitude", FLOAT, "middle of its devices, WGS 84", "°", -180, 180),
    )
    return Kind(
        name=measurement,
        about=f"each minute, for every zone or site: {about}",
        state="unknown",
        fields={field.name: field for field in fields},
        heartbeat_s=60,
        expiry_s=180,
    )


ZONE_KINDS: dict[str, Kind] = {
    called(name): _kind(name, called(name))
    for called in (zone_kind, site_kind)
    for name in ZONE_STATES
}
