"""Our drivers against the vendors' own decoders: recorded payloads in shared/devices.

The recordings lie beside the checkout and use the vendors' field names; the maps from theirs to
ours are here. Without the folder these tests aren't collected (conftest.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from devices.driver import ModbusLink, UartLink, load_driver
from devices.modbus import ResponseReader, build_request
from devices.reading import Payload, Undecodable, Value

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "devices"
ANY_PORT = 2  # where the recording has none

LORAWAN = {
    "dc410": "dingtek_df",
    "dc413": "dingtek_df",
    "dc500": "dingtek_dc5",
    "dc510": "dingtek_dc5",
    "dc520": "dingtek_dc5",
    "df555": "dingtek_df",
    "df701": "dingtek_df",
    "df702": "dingtek_df",
    "df703": "dingtek_df",
    "dl-lid": "decentlab_dl_lid",
    "dl-mbx": "decentlab_dl_mbx",
    "do200": "dingtek_do20",
    "do201": "dingtek_do20",
    "do202": "dingtek_do20",
    "elsys": "elsys_ers",
    "elt-2": "elsys_ers",
    "elt-ultrasonic": "elsys_elt",
    "em310-udl": "milesight_em400",
    "em400-mud": "milesight_em400",
    "em400-tld": "milesight_em400",
    "em400-udl": "milesight_em400",
    "ldds04": "dragino_dds04",
    "ldds20": "dragino_dds",
    "ldds20-114": "dragino_dds",
    "ldds45": "dragino_dds",
    "ldds75": "dragino_dds",
    "ldds75-114": "dragino_dds",
    "llds12": "dragino_llds12",
    "lmds200": "dragino_mds200",
    "ncc405": "nwave_ncc405",
    "nps310sm": "bosch_tps110",
    "nps405": "nwave_nps405",
    "placepod": "pni_placepod",
    "quatro-sensor": "sensoneo",
    "r718pe": "netvox_r718x",
    "r718x": "netvox_r718x",
    "r719a": "netvox_r719a",
    "single-sensor": "sensoneo",
    "smart-parking-v2/v3": "libelium_parking",
    "tps110": "bosch_tps110",
    "vs121": "milesight_vs121",
    "vs133": "milesight_vs13x",
    "vs330": "milesight_vs34x",
    "vs340": "milesight_vs34x",
    "vs341": "milesight_vs34x",
    "ws201": "milesight_em400",
}
SERIAL = {  # the recordings' names for what a driver of ours reads
    "A02YYUW": "dfrobot_a02yyuw",
    "Benewake TF-Luna": "benewake_tfmini",
    "DFRobot SEN0153/URM04 (cm)": "dfrobot_sen0153",
    "DFRobot SEN0311 A02YYUW": "dfrobot_a02yyuw",
    "DFRobot SEN0313 A01NYUB": "dfrobot_a01nyub",
    "DFRobot SEN0492 RS485 laser ToF": "dfrobot_sen0492",
    "JSN-SR04T v3 (mode 47k auto / 0x55 polled)": "jsn_sr04t",
    "MaxBotix HRXL 5 m": "maxbotix_hrxl",
    "MaxBotix HRXL-MaxSonar-WR (MB738x/MB736x)": "maxbotix_hrxl",
    "MaxBotix PmodMAXSONAR/LV": "maxbotix_lv",
    "PZEM-004T v3": "peacefair_pzem",
    "PZEM-004T v3 / PZEM-016 power meter": "peacefair_pzem",
}
NOT_OURS = {"Dragino RS485 probe", "Campbell SR50A ultrasonic"}

SAME = {  # theirs: ours, the factor
    "Bat": ("battery_v", 1),
    "Lidar_distance": ("distance_mm", 10),
    "Lidar_temp": ("temperature_c", 1),
    "TempC_DS18B20": ("probe_temperature_c", 1),
    "battery_V": ("battery_v", 1),
    "co2": ("co2_ppm", 1),
    "counter_value": ("vehicle_count", 1),
    "current_A": ("current_a", 1),
    "distance_cm": ("distance_mm", 10),
    "distance_in": ("distance_mm", 25.4),
    "distance_median": ("distance_mm", 1),
    "distance_mm": ("distance_mm", 1),
    "energy_Wh": ("active_energy_wh", 1),
    "externalTemperature": ("probe_temperature_c", 1),
    "frequency_Hz": ("frequency_hz", 1),
    "latitude": ("latitude_deg", 1),
    "lat": ("latitude_deg", 1),
    "lon": ("longitude_deg", 1),
    "longitude": ("longitude_deg", 1),
    "peopleCounter": ("people_count", 1),
    "people_counter_all": ("people_count", 1),
    "power_W": ("active_power_w", 1),
    "power_factor": ("power_factor", 1),
    "alarm": ("power_alarm", 1),
    "previous_state_duration": ("previous_state_s", 60),
    "remaining": ("filling_level", 0.01),
    "tilt_deg": ("tilt_deg", 1),
    "vdd": ("battery_v", 0.001),
    "vehicle_count": ("vehicle_count", 1),
    "volt": ("battery_v", 1),
    "voltage": ("battery_v", 1),
    "voltage_V": ("voltage_v", 1),
    "battery_voltage": ("battery_v", 1),
}
MORE = {  # what we tell and the vendor's decoder doesn't, or tells nested
    "df555": ("tilt_deg",),
    "quatro-sensor": ("firmware",),
    "vs133": ("people_in", "people_out", "period_in", "period_out"),
}
FIRMWARE = ("firmware", "firmwareVersion", "firmware_version")
OCCUPIED = ("occupied", "map_state", "parking_slot_status", "parking_status", "alarmPark")


def recordings(name: str) -> list[dict[str, Any]]:
    recorded: list[dict[str, Any]] = json.loads((SHARED / name).read_text("utf-8"))
    return recorded


def number(value: Any) -> float:
    """`2000 mm`, `25 ℃`, {"value": 2.993} and 25 alike."""
    if isinstance(value, dict):
        return float(value["value"])
    found = re.match(r"-?\d+(\.\d+)?", str(value))
    assert found, value
    return float(found[0])


def ours(row: dict[str, Any]) -> dict[str, Value]:
    """A vendor's fields in our vocabulary; what a city has no field for is left out."""
    expected = row["expected"] or {}
    expected = expected[0] if isinstance(expected, list) else expected
    vendor, fields = row.get("vendor", ""), dict[str, Value]()
    for name, value in expected.items():
        match name:
            case "level" if value not in (0, 9999):  # 0 not measured, 9999 out of range
                fields["distance_mm"] = number(value)
            case "Distance" | "distance" if value not in ("No Sensor", "Invalid Reading"):
                fields["distance_mm"] = number(value) * (10 if vendor == "sensoneo" else 1)
            case "temperature" if -60 <= number(value) <= 100:
                fields["temperature_c"] = number(value)
            case "humidity":
                fields["relative_humidity"] = value / 100
            case "pressure" if 300 <= value <= 1200:
                fields["atmospheric_pressure_hpa"] = value
            case "battery" if vendor in ("milesight-iot",):
                fields["battery_level"] = value / 100
            case "battery" if vendor in ("decentlab", "pni"):
                fields["battery_v"] = value
            case "angle" | "tilt" if vendor in ("dingtek", "sensoneo") and value is not False:
                fields["tilt_deg"] = number(value)
            case "position" | "tilt" if vendor == "milesight-iot":
                fields["status"] = "lid_open" if value == "tilt" else "ok"
            case "occupancy":
                fields["occupied"] = int(value == "occupied")
            case _ if name in OCCUPIED:
                fields["occupied"] = int(value)
            case _ if name in FIRMWARE:
                fields["firmware"] = str(value)
            case "SWver":
                fields["firmware"] = f"{value:.1f}"
            case _ if name in SAME:
                field, factor = SAME[name]
                fields[field] = number(value) * factor
    return fields


@pytest.mark.parametrize(
    "recorded",
    recordings("lorawan_vectors.json"),
    ids=lambda row: f"{row['device']} {row['bytes_hex']}",
)
def test_a_driver_agrees_with_the_vendors_decoder(recorded: dict[str, Any]) -> None:
    driver = load_driver(LORAWAN[recorded["device"]])
    port = ANY_PORT if recorded["fPort"] is None else recorded["fPort"]
    payload = Payload(bytes.fromhex(recorded["bytes_hex"]), port)
    wanted = ours(recorded)
    if recorded["device"] == "vs330":
        del wanted["distance_mm"]  # the driver tells what the sensor has judged
    if recorded["expected"] is None or "No Sensor" in str(recorded["expected"]):
        with pytest.raises(Undecodable):
            driver.decode(payload)
        return
    told = driver.decode(payload)
    assert bool(told) == bool(wanted) or recorded["device"] == "vs133"
    if told:
        for name, value in wanted.items():
            assert told[0].fields[name] == pytest.approx(value, abs=1e-5), name
        invented = set(told[0].fields) - set(wanted)
        assert invented <= {"quality", "status", *MORE.get(recorded["device"], ())}, invented


def test_each_line_of_a_people_counter_is_a_channel() -> None:
    [row] = [row for row in recordings("lorawan_vectors.json") if row["device"] == "vs133"]
    told = load_driver("milesight_vs13x").decode(Payload(bytes.fromhex(row["bytes_hex"]), 85))
    for values, (name, line) in zip(told, row["expected"].items(), strict=True):
        assert name == f"line_{values.channel or 1}"
        assert values.fields == {
            "people_in": line["total_in"],
            "people_out": line["total_out"],
            "period_in": line["period_in"],
            "period_out": line["period_out"],
        }


@pytest.mark.parametrize(
    "recorded",
    [row for row in recordings("serial_vectors.json") if row["device"] in SERIAL],
    ids=lambda row: f"{row['device']} {row['bytes_hex']}",
)
def test_a_serial_driver_agrees_with_the_documented_frame(recorded: dict[str, Any]) -> None:
    driver = load_driver(SERIAL[recorded["device"]])
    frame, expected = bytes.fromhex(recorded["bytes_hex"]), recorded["expected"]
    if isinstance(driver.link, ModbusLink):
        link = driver.link
        if "request" in expected:
            asked = build_request(expected["unit"], link.function, link.register, link.count)
            assert asked == frame
            return
        registers = ResponseReader(frame[0], link.function, link.count).feed(frame)
        assert registers is not None
        payload = Payload(registers)
    else:
        assert isinstance(driver.link, UartLink)
        payload = Payload(frame)
    if "error" in expected or "status" in expected:
        with pytest.raises(Undecodable) as refused:
            driver.decode(payload)
        assert refused.value.reason == expected.get("error", "no_target")
    else:
        [values] = driver.decode(payload)
        assert values.fields == pytest.approx(ours(recorded))


def test_every_recording_has_a_driver_or_is_named_as_nobodys() -> None:
    lorawan = {row["device"] for row in recordings("lorawan_vectors.json")}
    assert lorawan == set(LORAWAN)
    serial = {row["device"] for row in recordings("serial_vectors.json")}
    assert serial == set(SERIAL) | NOT_OURS


def test_openwrts_real_answers_are_counted_and_no_address_leaves() -> None:
    clients = json.loads((SHARED / "wifi/openwrt_hostapd_get_clients.json").read_text())
    status = json.loads((SHARED / "wifi/openwrt_hostapd_get_status.json").read_text())
    answers = json.dumps({"clients": clients, "status": status, "device": None, "system": None})
    [values] = load_driver("openwrt_ap").decode(Payload(answers.encode()))
    assert values.fields == {"up": 1, "clients": 1, "channel_utilization": 0.0}
