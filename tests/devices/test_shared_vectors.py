"""Our drivers against the vendors' own decoders: recorded payloads in shared/devices.

The recordings lie beside the checkout and use the vendors' field names; the maps from theirs to
ours are here. Without the folder these tests aren't collected (conftest.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devices.driver import load_driver
from devices.reading import Payload, Undecodable, Value

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "devices"

LORAWAN = {
    "tps110": "bosch_tps110",
    "em310-udl": "milesight_em400",
    "em400-mud": "milesight_em400",
    "em400-tld": "milesight_em400",
    "em400-udl": "milesight_em400",
}
SERIAL = ("DFRobot SEN0311 A02YYUW", "A02YYUW")


def recordings(name: str) -> list[dict[str, Any]]:
    recorded: list[dict[str, Any]] = json.loads((SHARED / name).read_text("utf-8"))
    return recorded


def ours(expected: dict[str, Any]) -> dict[str, Value]:
    """A vendor's fields in our vocabulary; what a city has no field for is left out."""
    fields: dict[str, Value] = {}
    for name, value in expected.items():
        match name:
            case "battery":
                fields["battery_level"] = value / 100
            case "temperature":
                fields["temperature_c"] = float(value)
            case "distance" | "distance_mm":
                fields["distance_mm"] = float(value)
            case "position" | "tilt":
                fields["status"] = "lid_open" if value == "tilt" else "ok"
            case "occupied" | "map_state":
                fields["occupied"] = int(value)
            case "firmwareVersion":
                fields["firmware"] = value
    return fields


@pytest.mark.parametrize(
    "recorded",
    [row for row in recordings("lorawan_vectors.json") if row["device"] in LORAWAN],
    ids=lambda row: f"{row['device']} {row['bytes_hex']}",
)
def test_a_driver_agrees_with_the_vendors_decoder(recorded: dict[str, Any]):
    driver = load_driver(LORAWAN[recorded["device"]])
    payload = Payload(bytes.fromhex(recorded["bytes_hex"]), recorded["fPort"])
    [values] = driver.decode(payload)
    assert values.fields == ours(recorded["expected"])


@pytest.mark.parametrize(
    "recorded",
    [row for row in recordings("serial_vectors.json") if row["device"] in SERIAL],
    ids=lambda row: f"{row['device']} {row['bytes_hex']}",
)
def test_the_serial_ranger_agrees_with_its_documented_frames(recorded: dict[str, Any]):
    driver = load_driver("dfrobot_a02yyuw")
    payload = Payload(bytes.fromhex(recorded["bytes_hex"]))
    if "error" in recorded["expected"]:
        with pytest.raises(Undecodable) as refused:
            driver.decode(payload)
        assert refused.value.reason == recorded["expected"]["error"]
    else:
        [values] = driver.decode(payload)
        assert values.fields == ours(recorded["expected"])


def test_openwrts_real_answers_are_counted_and_no_address_leaves():
    clients = json.loads((SHARED / "wifi/openwrt_hostapd_get_clients.json").read_text())
    status = json.loads((SHARED / "wifi/openwrt_hostapd_get_status.json").read_text())
    answers = json.dumps({"clients": clients, "status": status, "device": None, "system": None})
    [values] = load_driver("openwrt_ap").decode(Payload(answers.encode()))
    assert values.fields == {"up": 1, "clients": 1, "channel_utilization": 0.0}
