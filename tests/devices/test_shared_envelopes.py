"""ChirpStack's envelope against recorded messages in shared/devices/envelopes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
    assert isinstance(message, Uplink if name == "up" else Notice)
    assert message.dev_eui == dev_eui


def test_a_recorded_uplink_from_indonesia_keeps_its_milliseconds():
    data = (ENVELOPES / "chirpstack_v4_up_real_as923_indonesia.json").read_bytes()
    assert read_envelope(topic("up", "9956efb31332a835"), data) == Uplink(
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
