"""No visitor's address leaves the gateway's memory.

Runs the demo's city, whose access points name their stations by address, and looks for any address
in everything the processes leave behind and say: outboxes with their batches opened, what went over
the broker, the database, logs, ledgers, a gateway's support bundle, the operators' pages and the
public ones. An address written as the hexadecimal of its text counts as well, and those of the
city's own stations in any other writing: bare, dotted, packed, hashed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import zstandard
from paho.mqtt.enums import CallbackAPIVersion

from devices.driver import load_driver
from devices.reading import Values
from edge.outbox_export import Export
from tests.dashboards.opendata.public_process import public
from tests.dashboards.page_process import page
from tests.gampong.test_demo import RUN_S, demo
from wire.batch import dictionary

ADDRESS = re.compile(rb"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}(?![0-9a-fA-F:])")
ZSTD = b"\x28\xb5\x2f\xfd"
OPENED_BYTES_MAX = 4 * 2**20
GATEWAY = "mahirah-01"
STATIONS = 4
PAGES = ("", "wifi", "gateways", "alerts", "more")
PUBLIC = ("/", "/api/v1/state?kind=wifi_access_point", "/api/v1/zones")
_DIGIT = rb"(?:3[0-9]|[46][1-6]) ?"
HEXED = re.compile(_DIGIT * 2 + (rb"(?:3a|2d) ?" + _DIGIT * 2) * 5)
"""The same written as the hexadecimal of its text, as raw frames are shown."""


def _stations() -> list[str]:
    """The first that every access point of the simulated city names."""
    said = load_driver("openwrt_ap").encode(Values({"up": 1, "clients": STATIONS}))
    return [*json.loads(said.data)["clients"]["clients"]]


def _forms(address: str) -> set[bytes]:
    """Ways to write it that `ADDRESS` and `HEXED` don't find."""
    bare, text = address.replace(":", ""), address.encode()
    dotted = ".".join(bare[at : at + 4] for at in (0, 4, 8))
    packed = bytes.fromhex(bare)
    written = {bare, dotted, bare.upper(), dotted.upper()}
    for data in (text, text.upper(), packed, bare.encode()):
        written.add(base64.b64encode(data).decode())
        hashes = (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.blake2b)
        written |= {made(data).hexdigest()[:24] for made in hashes}  # a hash is as good as a name
    return {packed, *(form.encode() for form in written)}


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
    with page(city / "city.db") as shown:
        for path in PAGES:
            status, body = shown.get(path)
            assert status == 200, path
            seen[f"page {path}"] = body.encode()
    with public(city / "city.db", tmp_path) as open_data:
        for path in PUBLIC:
            seen[f"public {path}"] = open_data.get(path).body
    assert b"wifi-" in seen["page wifi"]
    assert b"wifi-" in seen[f"public {PUBLIC[1]}"]
    seen["output"] = ("".join(said) + rest).encode()
    seen["wire"] = b"\n".join(wire.heard)
    seen["bundle"] = gzip.decompress(packed.read_bytes())
    assert b"wifi_access_point" in seen["wire"]
    assert b"clients=" in seen[f"{GATEWAY}.db, opened"]  # people were counted
    found = {name: ADDRESS.findall(data) + HEXED.findall(data) for name, data in seen.items()}
    assert {name: addresses for name, addresses in found.items() if addresses} == {}
    forms = set().union(*map(_forms, _stations()))
    assert [name for name, data in seen.items() if any(form in data for form in forms)] == []


def test_an_address_is_found_however_it_is_written() -> None:
    for text in (
        b"at 5c:e9:1e:00:ab:01,",
        b"5C-E9-1E-00-AB-01",
        b"5c:e9:1e:00:ab:01".hex().encode(),
    ):
        assert ADDRESS.search(text) or HEXED.search(text)
    assert HEXED.search(b"5c:e9:1e:00:ab:01".hex(" ").encode())
    assert not ADDRESS.search(b"12:30:45, 2026-11-22T10:00:00+07:00")
    for text in (b"5ce91e00ab01", b"5CE9.1E00.AB01", b"\x5c\xe9\x1e\x00\xab\x01"):
        assert text in _forms("5c:e9:1e:00:ab:01")
