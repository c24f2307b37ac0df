"""What the published Smart Data Models require of the four entities, from their schemas.

Read on 2026-11-22 from schema.json (JSON Schema 2020-12, key-values form; CC-BY 4.0) of
  smart-data-models/dataModel.Parking          ParkingSpot 0.1.0, OnStreetParking 0.1.4  (d49af3c)
  smart-data-models/dataModel.WasteManagement  WasteContainer 0.3.0                      (952dca8)
  smart-data-models/dataModel.WifiNetwork      AccessPoint 0.1.1                         (2771ed6)
and the definitions that they name in data-models/common-schema.json and
dataModel.Device/device-schema.json. Each attribute that we use is here with its type, bounds and
enum; one that isn't here isn't the model's.
"""

from __future__ import annotations

import re
from typing import Any

REQUIRED = {
    "ParkingSpot": {"id", "location", "type", "status", "category", "refParkingSite"},
    "OnStreetParking": {"id", "type", "location"},
    "WasteContainer": {"id", "type", "location"},
    "AccessPoint": {"id", "type", "name"},
}

_DEVICE_CATEGORY = (
    *("actuator", "beacon", "endgun", "HVAC", "implement", "irrSection", "irrSystem", "meter"),
    *("multimedia", "network", "sensor"),
)
TEXT: dict[str, Any] = {"type": str}
TIME: dict[str, Any] = {"type": str, "time": True}
COUNT: dict[str, Any] = {"type": int, "minimum": 0}
NUMBER: dict[str, Any] = {"type": (int, float)}
REFERENCE: dict[str, Any] = {"type": str, "reference": True}


def _one_of(*words: str) -> dict[str, Any]:
    return {"type": str, "enum": set(words)}


def _several_of(*words: str) -> dict[str, Any]:
    return {"type": list, "enum": set(words)}


_COMMON = {"name": TEXT, "location": {"type": dict, "point": True}}

ATTRIBUTES: dict[str, dict[str, dict[str, Any]]] = {
    "ParkingSpot": {
        **_COMMON,
        "status": _one_of("closed", "free", "occupied", "unknown"),
        "category": _several_of("onStreet", "offStreet"),
        "refParkingSite": REFERENCE,
        "timeInstant": TIME,
    },
    "OnStreetParking": {
        **_COMMON,
        "category": _several_of(
            *("barrierAccess", "blueZone", "feeCharged", "forDisabled", "forElectricalCharging"),
            *("forLoadUnload", "forResidents", "free", "greenZone", "mediumTerm", "onlyWithPermit"),
            *("public", "shortTerm", "taxiStop", "underground"),
        ),
        "occupancyDetectionType": _several_of(
            "balancing", "manual", "modelBased", "none", "singleSpaceDetection"
        ),
        "totalSpotNumber": COUNT,
        "availableSpotNumber": COUNT,
        "occupiedSpotNumber": NUMBER,
        "outOfServiceSlotNumber": NUMBER,
        "observationDateTime": TIME,
        "refParkingSpot": {"type": list, "reference": True},
    },
    "WasteContainer": {
        **_COMMON,
        "status": _one_of(
            "ok", "lidOpen", "dropped", "moved", "vandalized", "burning", "unknown"
        ),
        "fillingLevel": {"type": (int, float), "minimum": 0, "maximum": 1},
        "temperature": NUMBER,
        "timeInstant": TIME,
    },
    "AccessPoint": {
        **_COMMON,
        "apState": _one_of("up", "down"),
        "clientsConnected": {"type": (int, float), "minimum": 0},
        "category": _several_of(*_DEVICE_CATEGORY),
        "dateLastValueReported": TIME,
    },
}  # fmt: skip

_ID = re.compile(r"[\w\-.{}$+*\[\]`|~^@!,:\\]{1,256}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_FORBIDDEN = set("<>\"'=;()")
"""What NGSI brokers (Orion) refuse in a text."""


def key_values(entity: dict[str, Any]) -> dict[str, Any]:
    """A normalised NGSI-LD entity in the form that the schemas describe; NGSI-LD's own rules of an
    attribute are checked on the way."""
    plain: dict[str, Any] = {}
    for name, attribute in entity.items():
        if name in ("id", "type"):
            plain[name] = attribute
        elif name != "@context":
            own = {"Property": "value", "GeoProperty": "value", "Relationship": "object"}
            assert attribute["type"] in own, (entity["id"], name)
            assert attribute.keys() <= {"type", own[attribute["type"]], "observedAt"}
            assert (attribute["type"] == "GeoProperty") == (name == "location")
            assert (attribute["type"] == "Relationship") == name.startswith("ref")
            if "observedAt" in attribute:
                assert _TIME.fullmatch(attribute["observedAt"])
            plain[name] = attribute[own[attribute["type"]]]
    return plain


def faults(entity: dict[str, Any]) -> list[str]:
    """What of a normalised entity the published model doesn't allow."""
    plain = key_values(entity)
    type_ = plain["type"]
    wrong = [f"{name} is required" for name in REQUIRED[type_] - plain.keys()]
    if not plain["id"].startswith(f"urn:ngsi-ld:{type_}:") or not _ID.fullmatch(plain["id"]):
        wrong.append(f"id {plain['id']}")
    for name, value in plain.items():
        if name in ("id", "type"):
            continue
        rule = ATTRIBUTES[type_].get(name)
        if rule is None:
            wrong.append(f"{name} isn't the model's")
        elif not _fits(rule, value):
            wrong.append(f"{name}: {value!r}")
    return wrong


def _fits(rule: dict[str, Any], value: Any) -> bool:
    if not isinstance(value, rule["type"]) or isinstance(value, bool):
        return False
    words = value if isinstance(value, list) else [value]
    if rule.get("point"):
        longitude, latitude = value["coordinates"]
        there = -180 <= longitude <= 180 and -90 <= latitude <= 90
        return bool(value["type"] == "Point" and there)
    if any(isinstance(word, str) and set(word) & _FORBIDDEN for word in words):
        return False
    if "enum" in rule:
        return bool(words) and set(words) <= rule["enum"]
    if rule.get("reference"):
        return all(_ID.fullmatch(word) for word in words)
    if rule.get("time"):
        return _TIME.fullmatch(value) is not None
    low, high = rule.get("minimum"), rule.get("maximum")
    return (low is None or value >= low) and (high is None or value <= high)
