"""NGSI-LD entities of the Smart Data Models: ParkingSpot, OnStreetParking, WasteContainer,
AccessPoint. Pure.

In: records. Out: normalised entities with the attribute names, required attributes and enums of
dataModel.Parking, .WasteManagement and .WifiNetwork (model.yaml, CC-BY 4.0). A device without a
place can't be a ParkingSpot or a WasteContainer, which require `location`: it is left out here and
is in `/state`. What isn't known is left out, never guessed: a fill that has expired, the count of
an access point that is silent. Texts lose the characters that NGSI forbids (<>"'=;()).

`unknown` bays are in neither `availableSpotNumber` nor `occupiedSpotNumber`; the model has no
attribute for them, they are what is missing from `totalSpotNumber`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from dashboards.opendata.records import Record, Zone
from dashboards.states import State

CONTEXT = (
    "https://smartdatamodels.org/context.jsonld",
    "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld",
)
_FORBIDDEN = str.maketrans(dict.fromkeys("<>\"'=;()", " "))

Entity = dict[str, Any]


class EntityType(StrEnum):
    """Entities that are served."""

    PARKING_SPOT = "ParkingSpot"
    ON_STREET_PARKING = "OnStreetParking"
    WASTE_CONTAINER = "WasteContainer"
    ACCESS_POINT = "AccessPoint"


KIND_OF = {
    EntityType.PARKING_SPOT: "parking_spot",
    EntityType.ON_STREET_PARKING: "parking_spot",
    EntityType.WASTE_CONTAINER: "waste_container",
    EntityType.ACCESS_POINT: "wifi_access_point",
}
_STATUS = {
    State.BURNING: "burning",
    State.LID_OPEN: "lidOpen",
    State.MOVED: "moved",
    State.OK: "ok",
    State.FILLING: "ok",
    State.FULL: "ok",
}


def entities(type_: EntityType, records: Iterable[Record], zones: Sequence[Zone]) -> list[Entity]:
    """Every entity of a type, by id."""
    kind = KIND_OF[type_]
    own = [record for record in records if record.kind == kind]
    match type_:
        case EntityType.ON_STREET_PARKING:
            found = [_parking(zone, own) for zone in zones if zone.kind == kind]
        case EntityType.PARKING_SPOT:
            found = [_spot(record) for record in own]
        case EntityType.WASTE_CONTAINER:
            found = [_container(record) for record in own]
        case EntityType.ACCESS_POINT:
            found = [_access_point(record) for record in own]
    placed = (one for one in found if "location" in one or type_ is EntityType.ACCESS_POINT)
    return sorted(placed, key=lambda entity: str(entity["id"]))


def _spot(record: Record) -> Entity:
    return {
        **_begun(EntityType.PARKING_SPOT, record.device, record),
        "name": _property(_plain(record.label)),
        "status": _property(record.state.value, record.time),
        "category": _property(["onStreet"]),
        "refParkingSite": _relationship(_zone_id(record.site, record.zone)),
        **_timed(record),
    }


def _parking(zone: Zone, records: Sequence[Record]) -> Entity:
    spots = [_id(EntityType.PARKING_SPOT, one.device) for one in records if _in(one, zone)]
    counted: Entity = {}
    if zone.number is not None:
        counted = {
            "availableSpotNumber": _property(zone.states["free"], zone.time),
            "occupiedSpotNumber": _property(zone.states["occupied"], zone.time),
        }
    observed = {"observationDateTime": _property(zone.time)} if zone.time else {}
    return {
        **_begun(EntityType.ON_STREET_PARKING, f"{zone.site}:{zone.zone}", zone),
        "name": _property(f"{zone.site} {zone.zone}"),
        "category": _property(["public"]),
        "occupancyDetectionType": _property(["singleSpaceDetection"]),
        "totalSpotNumber": _property(zone.devices),
        **counted,
        "outOfServiceSlotNumber": _property(zone.states["closed"]),
        **observed,
        "refParkingSpot": _relationship(spots),
    }


def _container(record: Record) -> Entity:
    status = _STATUS.get(record.state, "unknown")
    if status == "moved" and record.fields.get("status") == "dropped":
        status = "dropped"
    entity = {
        **_begun(EntityType.WASTE_CONTAINER, record.device, record),
        "name": _property(_plain(record.label)),
        "status": _property(status, record.time),
        **_timed(record),
    }
    for name, field in (("fillingLevel", "filling_level"), ("temperature", "temperature_c")):
        if field in record.fields:
            entity[name] = _property(record.fields[field], record.time)
    return entity


def _access_point(record: Record) -> Entity:
    entity = {
        **_begun(EntityType.ACCESS_POINT, record.device, record),
        "name": _property(_plain(record.label)),
        "category": _property(["network"]),
    }
    if record.state in (State.UP, State.PORTAL_DOWN):
        entity["apState"] = _property("up", record.time)
        if "clients" in record.fields:
            entity["clientsConnected"] = _property(record.fields["clients"], record.time)
    elif record.state is State.AP_DOWN:
        entity["apState"] = _property("down", record.time)
    if record.time:
        entity["dateLastValueReported"] = _property(record.time)
    return entity


def _begun(type_: EntityType, name: str, of: Record | Zone) -> Entity:
    entity: Entity = {"id": _id(type_, name), "type": type_.value}
    if of.latitude is not None and of.longitude is not None:
        point = {"type": "Point", "coordinates": [of.longitude, of.latitude]}
        entity["location"] = {"type": "GeoProperty", "value": point}
    return {**entity, "@context": list(CONTEXT)}


def _id(type_: EntityType, name: str) -> str:
    return f"urn:ngsi-ld:{type_}:{name}"


def _zone_id(site: str, zone: str) -> str:
    return _id(EntityType.ON_STREET_PARKING, f"{site}:{zone}")


def _in(record: Record, zone: Zone) -> bool:
    placed = record.latitude is not None and record.longitude is not None
    return placed and (record.site, record.zone) == (zone.site, zone.zone)


def _timed(record: Record) -> Entity:
    return {"timeInstant": _property(record.time)} if record.time else {}


def _property(value: object, observed: str | None = None) -> Entity:
    said: Entity = {"type": "Property", "value": value}
    return {**said, "observedAt": observed} if observed else said


def _relationship(target: str | list[str]) -> Entity:
    return {"type": "Relationship", "object": target}


def _plain(text: str) -> str:
    return " ".join(text.translate(_FORBIDDEN).split())
