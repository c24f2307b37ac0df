"""Entities have what the published models require, and nothing outside of their enums."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.opendata.entities import EntityType, entities
from dashboards.opendata.records import Record, Zone
from dashboards.states import STATES, State

# From model.yaml of dataModel.Parking, .WasteManagement and .WifiNetwork.
REQUIRED = {
    "ParkingSpot": {"id", "type", "location", "status", "category", "refParkingSite"},
    "OnStreetParking": {"id", "type", "location"},
    "WasteContainer": {"id", "type", "location"},
    "AccessPoint": {"id", "type", "name"},
}
DEVICE_CATEGORY = {
    *("actuator", "beacon", "endgun", "HVAC", "implement", "irrSection", "irrSystem", "meter"),
    *("multimedia", "network", "sensor"),
}
ENUMS: dict[tuple[str, str], set[str]] = {
    ("ParkingSpot", "status"): {"closed", "free", "occupied", "unknown"},
    ("ParkingSpot", "category"): {"onStreet", "offStreet"},
    ("OnStreetParking", "category"): {
        *("barrierAccess", "blueZone", "feeCharged", "forDisabled", "forElectricalCharging"),
        *("forLoadUnload", "forResidents", "free", "greenZone", "mediumTerm", "onlyWithPermit"),
        *("public", "shortTerm", "taxiStop", "underground"),
    },
    ("OnStreetParking", "occupancyDetectionType"): {
        *("balancing", "manual", "modelBased", "none", "singleSpaceDetection"),
    },
    ("WasteContainer", "status"): {
        *("ok", "lidOpen", "dropped", "moved", "vandalized", "burning", "unknown"),
    },
    ("AccessPoint", "apState"): {"up", "down"},
    ("AccessPoint", "category"): DEVICE_CATEGORY,
}
ATTRIBUTES = {
    "ParkingSpot": {"name", "timeInstant"},
    "OnStreetParking": {
        *("name", "totalSpotNumber", "availableSpotNumber", "occupiedSpotNumber"),
        *("outOfServiceSlotNumber", "observationDateTime", "refParkingSpot"),
        *("category", "occupancyDetectionType"),
    },
    "WasteContainer": {"name", "status", "fillingLevel", "temperature", "timeInstant"},
    "AccessPoint": {
        *("location", "apState", "clientsConnected", "category", "dateLastValueReported"),
    },
}
"""What else of the models is used."""

TIME = "2026-08-01T05:00:00.000Z"
KINDS = {
    EntityType.PARKING_SPOT: "parking_spot",
    EntityType.WASTE_CONTAINER: "waste_container",
    EntityType.ACCESS_POINT: "wifi_access_point",
}


def check(entity: dict[str, Any]) -> None:
    """The models' rules, and NGSI-LD's for an attribute."""
    type_ = entity["type"]
    assert entity["id"].startswith(f"urn:ngsi-ld:{type_}:")
    assert REQUIRED[type_] <= entity.keys()
    assert entity.keys() <= REQUIRED[type_] | ATTRIBUTES[type_] | {"@context"}
    for name, attribute in entity.items():
        if name in ("id", "type", "@context"):
            continue
        kind = "object" if attribute["type"] == "Relationship" else "value"
        assert attribute["type"] in ("Property", "GeoProperty", "Relationship")
        value = attribute[kind]
        if (type_, name) in ENUMS:
            assert set(value if isinstance(value, list) else [value]) <= ENUMS[type_, name]
        if isinstance(value, str):
            assert not set(value) & set("<>\"'=;()")


def record(kind: str, state: State, **changes: Any) -> Record:
    told: dict[str, Any] = {
        "device": "device-1", "kind": kind, "label": "Label", "site": "pasar", "zone": "a",
        "latitude": 5.5, "longitude": 95.3, "state": state, "time": TIME, "fields": {},
    }  # fmt: skip
    return Record(**(told | changes))


@pytest.mark.parametrize(
    ("type_", "state"),
    [(type_, state) for type_, kind in KINDS.items() for state in STATES[kind]],
)
def test_every_state_is_a_valid_entity(type_, state):
    (entity,) = entities(type_, [record(KINDS[type_], state)], [])
    check(entity)


@pytest.mark.parametrize(
    ("state", "status"),
    [(State.FULL, "ok"), (State.LID_OPEN, "lidOpen"), (State.BURNING, "burning"),
     (State.MOVED, "moved"), (State.UNKNOWN, "unknown"), (State.CLOSED, "unknown")],
)  # fmt: skip
def test_a_bins_status_is_told_in_the_models_words(state, status):
    (entity,) = entities(EntityType.WASTE_CONTAINER, [record("waste_container", state)], [])
    assert entity["status"]["value"] == status


def test_a_dropped_bin_is_dropped():
    dropped = record("waste_container", State.MOVED, fields={"status": "dropped"})
    (entity,) = entities(EntityType.WASTE_CONTAINER, [dropped], [])
    assert entity["status"]["value"] == "dropped"


def test_what_is_not_known_is_left_out():
    silent = record("wifi_access_point", State.UNKNOWN, time=None)
    (entity,) = entities(EntityType.ACCESS_POINT, [silent], [])
    assert not entity.keys() & {"apState", "clientsConnected", "dateLastValueReported"}
    (bin_,) = entities(EntityType.WASTE_CONTAINER, [record("waste_container", State.UNKNOWN)], [])
    assert "fillingLevel" not in bin_


def test_a_bay_without_a_place_is_no_parking_spot():
    lost = record("parking_spot", State.FREE, latitude=None)
    assert entities(EntityType.PARKING_SPOT, [lost], []) == []


def test_a_label_loses_what_ngsi_forbids():
    named = record("parking_spot", State.FREE, label="Pasar <b>(A)</b>; \"x\"='y'")
    (entity,) = entities(EntityType.PARKING_SPOT, [named], [])
    check(entity)
    assert entity["name"]["value"] == "Pasar b A /b x y"


@pytest.mark.parametrize("number", [3, None])
def test_a_zone_counts_its_bays(number):
    states = {"free": 3, "occupied": 2, "closed": 1, "unknown": 4}
    zone = Zone("parking_spot", "pasar", "a", 10, number, states, TIME, 5.5, 95.3)
    (entity,) = entities(EntityType.ON_STREET_PARKING, [record("parking_spot", State.FREE)], [zone])
    check(entity)
    assert entity["totalSpotNumber"]["value"] == 10
    assert entity["outOfServiceSlotNumber"]["value"] == 1
    assert entity["refParkingSpot"]["object"] == ["urn:ngsi-ld:ParkingSpot:device-1"]
    if number is None:
        assert not entity.keys() & {"availableSpotNumber", "occupiedSpotNumber"}
    else:
        assert entity["availableSpotNumber"]["value"] == 3
        assert entity["occupiedSpotNumber"]["value"] == 2
