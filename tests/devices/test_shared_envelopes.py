"""Each network server's envelope against recorded messages in shared/devices/envelopes."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from devices import milesight_gateway, things_stack
from devices.chirpstack import Notice, Uplink, read_envelope
from devices.driver import Noise

ENVELOPES = Path(__file__).resolve().parents[2].parent / "shared" / "devices" / "envelopes"


def topic(name: str, dev_eui: str = "24e124136b502217") -> str:
    return f"application/17c82e96/device/{dev_eui}/event/{name}"


@pytest.mark.parametrize("path", sorted(ENVELOPES.glob("chirpstack_v4_*.json")), ids=str)
def test_every_recorded_message_of_chirpstack_4_is_understood(path: Path):
    name = path.stem.removeprefix("chirpstack_v4_").split("_")[0]
    dev_eui = json.loads(path.read_text())["deviceInfo"]["devEui"]
    message = read_envelope(topic(name, dev_eui), path.read_bytes())
    assert isinstance(message, Uplink if name in ("up", "status") else Notice)
    assert message.dev_eui == dev_eui


def test_a_recorded_status_tells_the_battery_and_a_recorded_log_its_code():
    data = (ENVELOPES / "chirpstack_v4_status.json").read_bytes()
    status = read_envelope(topic("status", "0101010101010101"), data)
    assert isinstance(status, Uplink)
    assert status.told == {"battery_level": 0.883}
    data = (ENVELOPES / "chirpstack_v4_log.json").read_bytes()
    log = read_envelope(topic("log", "0101010101010101"), data)
    assert log == Notice("log_uplink_mic", "0101010101010101")


def test_a_recorded_uplink_from_indonesia_keeps_its_milliseconds():
    data = (ENVELOPES / "chirpstack_v4_up_real_as923_indonesia.json").read_bytes()
    message = read_envelope(topic("up", "9956efb31332a835"), data)
    assert isinstance(message, Uplink)
    assert json.loads(message.decoded) == json.loads(data)["object"]
    assert msgspec.structs.replace(message, decoded=b"") == Uplink(
        dev_eui="9956efb31332a835",
        f_port=1,
        data=bytes.fromhex("ffc65569062e059e000501ab26"),
        time_ms=1_782_532_043_776,
        deduplication_id="4a3322cd-b4b9-4e77-8bce-a6c396448935",
        rssi_dbm=-55.0,
        snr_db=12.8,
        spreading_factor=7,
        frame_counter=169,
        gateways_heard=1,
    )


def test_other_network_servers_messages_are_noise():
    for path in (*ENVELOPES.glob("tts_*"), *ENVELOPES.glob("milesight_*"), *ENVELOPES.glob("*v3*")):
        assert read_envelope(topic("up"), path.read_bytes()) == Noise(
            "garbage", path.stat().st_size
        )


THINGS_TOPICS = {
    "uplink_message_example": "up",
    "up_mqtt_doc_f_cnt_absent": "up",
    "join_message_example": "join",
    "downlink_event_message_example": "down/ack",
    "downlink_failed_event_message_example": "down/failed",
    "downlink_message_example": "down/push",
}


@pytest.mark.parametrize("path", sorted(ENVELOPES.glob("tts_v3_*.json")), ids=str)
def test_every_recorded_message_of_the_things_stack_is_understood(path: Path):
    name = THINGS_TOPICS[path.stem.removeprefix("tts_v3_")]
    message = things_stack.read_envelope(f"v3/app1/devices/dev1/{name}", path.read_bytes())
    if name == "down/push":  # what we would send it: no event of a device
        assert message == Noise("garbage", path.stat().st_size)
    elif path.stem.endswith("uplink_message_example"):
        assert message == Notice("up", "0004a30b001c0530")  # the sample has no port
    else:
        assert isinstance(message, Uplink if name == "up" else Notice)


def test_a_recorded_uplink_of_the_things_stack_keeps_its_facts():
    data = (ENVELOPES / "tts_v3_up_mqtt_doc_f_cnt_absent.json").read_bytes()
    assert things_stack.read_envelope("v3/app1/devices/dev1/up", data) == Uplink(
        dev_eui="4200000000000000",
        f_port=15,
        data=b"Temperature = 0.0",
        time_ms=1_548_766_954_981,
        deduplication_id="4200000000000000/AWiZpAyXrAfEkUNkBljRoA==/0/1548766954981",
        rssi_dbm=-35.0,
        snr_db=5.0,
        spreading_factor=7,
        frame_counter=0,
        gateways_heard=1,
    )


@pytest.mark.parametrize("path", sorted(ENVELOPES.glob("milesight_gateway_*.json")), ids=str)
def test_every_recorded_message_of_a_milesight_gateway_is_understood(path: Path):
    message = milesight_gateway.read_envelope("/mqtttest", path.read_bytes())
    recorded = json.loads(path.read_text())
    assert isinstance(message, Uplink)
    assert (message.dev_eui, message.f_port) == (recorded["devEUI"], 85)
    assert message.snr_db == recorded["rxInfo"][0]["loRaSNR"]
    assert message.spreading_factor == recorded["txInfo"]["dataRate"]["spreadFactor"]
    assert (message.frame_counter, message.decoded) == (recorded["fCnt"], b"")


def test_each_server_takes_only_its_own_messages():
    for path in ENVELOPES.glob("*.json"):
        data = path.read_bytes()
        if not path.stem.startswith("tts_"):
            heard = things_stack.read_envelope("v3/app1/devices/dev1/up", data)
            assert heard == Noise("garbage", len(data))
        if not path.stem.startswith("milesight_"):
            assert not isinstance(milesight_gateway.read_envelope("x", data), Uplink)
