"""Entities have what the published models require, and nothing outside of their enums."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards.opendata.entities import EntityType, entities
from dashboards.opendata.records import Record, Zone
from dashboards.states import STATES, State
from ingest.stores import Bucket, Written
from ingest.stores.configuration import SqliteSettings
from tests.dashboards.analysis.town import Town
from tests.dashboards.opendata.public_process import public
from tests.dashboards.opendata.published_models import faults
from tests.ingest.stores.databases import Database
from wire.clock import SystemClock

TIME = "2026-08-01T05:00:00.000Z"
KINDS = {
    EntityType.PARKING_SPOT: "parking_spot",
    EntityType.WASTE_CONTAINER: "waste_container",
    EntityType.ACCESS_POINT: "wifi_access_point",
}


def check(entity: dict[str, Any]) -> None:
    """The models' rules, and NGSI-LD's for an attribute."""
    assert faults(entity) == []


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


def test_every_entity_of_the_simulated_city_is_as_the_models_say(tmp_path, seed):
    now_ms = SystemClock().now_ms()
    town = Town(seed % 1000, now_ms, days=1)
    words = ("burning", "lid_open", "moved", "dropped", "unknown")
    told = [
        f"waste_container,device={one.name},gateway={gateway.name},site={gateway.site.name},"
        f'zone={one.zone.name} status="{word}" {now_ms - 1000}'
        for gateway in town.city.gateways
        for one, word in zip(gateway.bins, words, strict=False)
    ]

    async def fill(store: Any) -> None:
        for bucket, lines in town.lines().items():
            for first in range(0, len(lines), 5000):
                assert await store.write(bucket, lines[first : first + 5000]) == Written()
        assert await store.write(Bucket.CITY, told) == Written()

    database = Database(SqliteSettings(path=str(tmp_path / "city.db")))
    database.run(fill)
    found: dict[str, list[dict[str, Any]]] = {}
    with public(tmp_path / "city.db", tmp_path) as running:
        for type_ in EntityType:
            path: str | None = f"/api/v1/entities?type={type_}&limit=7"
            found[type_] = []
            while path:
                answer = running.get(path)
                found[type_] += answer.json
                link = answer.headers.get("Link", "")
                path = link[1 : link.index(">")] if link else None
    broken = {one["id"]: wrong for some in found.values() for one in some if (wrong := faults(one))}
    assert broken == {}
    city = town.city
    counts = {type_: len({one["id"] for one in some}) for type_, some in found.items()}
    zones = {(one.site.name, bay.zone.name) for one in city.gateways for bay in one.bays}
    assert counts == {
        "ParkingSpot": len(city.bays), "OnStreetParking": len(zones),
        "WasteContainer": len(city.bins), "AccessPoint": len(city.corners),
    }  # fmt: skip
    shown = {one["status"]["value"] for one in found["WasteContainer"]}
    assert shown >= {"ok", "burning", "lidOpen", "moved", "dropped"}
    spots = {one["id"] for one in found["ParkingSpot"]}
    for zone in found["OnStreetParking"]:
        assert set(zone["refParkingSpot"]["object"]) <= spots


@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "full"), ("status", None), ("category", ["street"]), ("category", "onStreet"),
     ("location", None), ("refParkingSite", None), ("speed", 3)],
)  # fmt: skip
def test_an_entity_that_is_not_as_the_model_says_would_be_seen(name, value):
    (entity,) = entities(EntityType.PARKING_SPOT, [record("parking_spot", State.FREE)], [])
    if value is None:
        del entity[name]
    else:
        entity[name] = {"type": "Property", "value": value}
    assert faults(entity)
