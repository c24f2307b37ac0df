"""No visitor's address leaves the gateway's memory.

Runs the demo's city, whose access points name their stations by address, and looks for any address
in everything the processes leave behind and say: outboxes with their batches opened, what went over
the broker, the database, logs, ledgers, and a gateway's support bundle.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import zstandard
from paho.mqtt.enums import CallbackAPIVersion

from edge.outbox_export import Export
from tests.gampong.test_demo import RUN_S, demo
from wire.batch import dictionary

ADDRESS = re.compile(rb"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}(?![0-9a-fA-F:])")
ZSTD = b"\x28\xb5\x2f\xfd"
OPENED_BYTES_MAX = 4 * 2**20
GATEWAY = "mahirah-01"


class Wire:
    """Everything that goes over the broker, opened as somebody with the dictionaries would."""

    def __init__(self, port: int) -> None:
        self.heard: list[bytes] = []
        ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe([("#", 1)])
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self.heard.append(
            message.topic.encode() + b" " + opened(bytes(message.payload))
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(RUN_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def opened(payload: bytes) -> bytes:
    if not payload.startswith(ZSTD):
        return payload
    known = zstandard.get_frame_parameters(payload).dict_id
    unpacker = zstandard.ZstdDecompressor(dict_data=dictionary(known) if known else None)
    return unpacker.decompress(payload, max_output_size=OPENED_BYTES_MAX)


def left_behind(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file but the simulator's own record of the city; outboxes as they are, and opened."""
    for file in sorted(folder.iterdir()):
        if file.name != "truth.jsonl":
            yield file.name, file.read_bytes()
    for outbox in sorted(folder.glob("*-01.db")):
        yield f"{outbox.name}, opened", "\n".join(Export(outbox, 0, True).lines()).encode()


def test_no_visitors_address_is_left_anywhere(tmp_path: Path) -> None:
    city = tmp_path / "city"
    run = demo(tmp_path, "--seconds", "12", "--speed", "60", "--directory", str(city))
    assert run.stdout
    said = []
    for line in run.stdout:
        said.append(line)
        if line.startswith("gateway: "):
            break
    (port,) = re.findall(r"^listener (\d+)", (city / "mosquitto.conf").read_text(), re.MULTILINE)
    wire = Wire(int(port))
    rest, _ = run.communicate(timeout=RUN_S)
    wire.close()
    packed = tmp_path / "bundle.tar.gz"
    doctor = [sys.executable, "-m", "gampong", "doctor", str(city / f"{GATEWAY}.toml")]
    subprocess.run([*doctor, "--bundle", str(packed)], capture_output=True, timeout=60, check=False)

    seen = dict(left_behind(city))
    seen["output"] = ("".join(said) + rest).encode()
    seen["wire"] = b"\n".join(wire.heard)
    seen["bundle"] = gzip.decompress(packed.read_bytes())
    assert b"wifi_access_point" in seen["wire"]
    assert b"clients=" in seen[f"{GATEWAY}.db, opened"]  # people were counted
    assert {
        name: ADDRESS.findall(data) for name, data in seen.items() if ADDRESS.search(data)
    } == {}
