"""A network server for load: ChirpStack v4 uplinks at a given rate, QoS 1, raw MQTT.

    python -m bench.uplinks --mqtt 127.0.0.1:1883 --rate 500 --count 30000

72 devices by default: bins (EM400) and bays (TPS110), an application each, a reading an uplink,
with the decoded `object` that ChirpStack adds when it has a codec, which is what a JSON gateway
reads. The packets are written by hand, since a client library would cost more than what is
measured.

It prints `began`, and `done` once the broker has acknowledged the last.
"""

from __future__ import annotations

import argparse
import math
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator

import msgspec

from devices import bosch_tps110, milesight_em400
from devices.chirpstack import APPLICATION, Uplink, topic_of, write_envelope
from devices.driver import Driver
from devices.reading import Value, Values
from wire.clock import REAL_TIME, CityTime, SystemClock

UNACKNOWLEDGED_MAX = 512
AT_ONCE = 256
DEVICES = 72
_QOS_1_PUBLISH = 0x32
_PUBACK = 0x40


def driver_of(nth: int) -> Driver:
    """Four devices in nine are bins, as in the simulated city."""
    return milesight_em400.DRIVER if nth % 9 < 4 else bosch_tps110.DRIVER


def name_of(nth: int) -> str:
    """A bin's or a bay's."""
    return f"{'bin' if driver_of(nth) is milesight_em400.DRIVER else 'bay'}-{nth + 1:02d}"


def dev_eui_of(nth: int) -> str:
    """Sixteen hex digits."""
    return f"24e124{nth + 1:010x}"


class Devices:
    """What each device says next; times rise by a millisecond at least for each."""

    def __init__(self, count: int, seed: int) -> None:
        self._draw = random.Random(seed)
        self._levels = [self._draw.uniform(300, 1000) for _ in range(count)]
        self._occupied = [self._draw.randint(0, 1) for _ in range(count)]
        self._times = [0] * count
        self._frames = [self._draw.randint(1, 30_000) for _ in range(count)]

    def next(self, nth: int, now_ms: int, changes: float = 1.0) -> tuple[str, bytes]:
        """Topic and envelope of a device's next uplink; a bay turns with that probability."""
        self._times[nth] = max(now_ms, self._times[nth] + 1)
        self._frames[nth] += 1
        said = self._values(nth, changes)
        payload = driver_of(nth).encode(said)
        uplink = Uplink(
            dev_eui=dev_eui_of(nth),
            f_port=payload.port or 1,
            data=payload.data,
            time_ms=self._times[nth],
            rssi_dbm=float(self._draw.randint(-118, -70)),
            snr_db=self._draw.randint(-60, 48) / 4,
            spreading_factor=self._draw.choice((7, 8, 9, 10)),
            frame_counter=self._frames[nth],
            gateways_heard=1,
        )
        kind = "bins" if driver_of(nth) is milesight_em400.DRIVER else "bays"
        topic = topic_of(uplink).replace(APPLICATION, kind)
        return topic, _with_object(write_envelope(uplink), said)

    def _values(self, nth: int, changes: float) -> Values:
        if driver_of(nth) is milesight_em400.DRIVER:
            self._levels[nth] = max(200.0, self._levels[nth] - self._draw.uniform(0, 0.6))
            fields: dict[str, Value] = {
                "battery_level": 0.92,
                "temperature_c": round(29 + self._draw.uniform(-0.4, 0.4), 1),
                "distance_mm": float(round(self._levels[nth])),
                "status": "ok",
            }
            return Values(fields)
        if self._draw.random() < changes:
            self._occupied[nth] ^= 1
        return Values({"occupied": self._occupied[nth]})


def _with_object(envelope: bytes, said: Values) -> bytes:
    """The decoded fields in the envelope, as ChirpStack's codec would put them."""
    return envelope[:-1] + b',"object":' + msgspec.json.encode(said.fields) + b"}"


class Publisher:
    """One MQTT 3.1.1 connection: CONNECT, PUBLISH at QoS 1, PUBACK, and nothing else."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = b"bench-uplinks"
        variable = b"\x00\x04MQTT\x04\x02\x00\x00" + struct.pack(">H", len(name)) + name
        self._socket.sendall(b"\x10" + _length(len(variable)) + variable)
        if self._socket.recv(4)[:1] != b"\x20":
            raise ConnectionError("no CONNACK")
        self._mid = 0
        self._unacknowledged = 0
        self._rest = b""

    def publish(self, packets: list[tuple[str, bytes]]) -> None:
        """Write them in one go, then wait while too many are unacknowledged."""
        data = bytearray()
        for topic, payload in packets:
            self._mid = self._mid % 65_535 + 1
            name = topic.encode()
            size = 2 + len(name) + 2 + len(payload)
            data += bytes((_QOS_1_PUBLISH,)) + _length(size)
            data += struct.pack(">H", len(name)) + name + struct.pack(">H", self._mid) + payload
        self._socket.sendall(data)
        self._unacknowledged += len(packets)
        self.settle(UNACKNOWLEDGED_MAX)

    def settle(self, remaining: int) -> None:
        """Read PUBACKs until no more than so many are missing."""
        while self._unacknowledged > remaining:
            data = self._rest + self._socket.recv(65_536)
            whole = len(data) // 4 * 4
            if any(data[at] != _PUBACK for at in range(0, whole, 4)):
                raise ConnectionError("something else than a PUBACK")
            self._unacknowledged -= whole // 4
            self._rest = data[whole:]


def _length(size: int) -> bytes:
    digits = bytearray()
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(digits)


def paced(rate: float, count: int) -> Iterator[int]:
    """How many are due, each time some are: `rate` a second, until `count`."""
    began, sent = time.monotonic(), 0
    while sent < count:
        due = min(count, sent + AT_ONCE, 1 + math.floor((time.monotonic() - began) * rate))
        if due > sent:
            yield due - sent
            sent = due
        else:
            time.sleep(max(0.0005, (sent + 1) / rate - (time.monotonic() - began)))


def main() -> int:
    parser = argparse.ArgumentParser(description="ChirpStack uplinks at a rate")
    parser.add_argument("--mqtt", required=True, metavar="HOST:PORT")
    parser.add_argument("--rate", type=float, required=True, help="uplinks a second")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--changes", type=float, default=0.02, help="share of bays that turn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--city-time", type=CityTime.parse, default=REAL_TIME)
    options = parser.parse_args()
    host, _, port = options.mqtt.rpartition(":")
    publisher, devices = Publisher(host, int(port)), Devices(options.devices, options.seed)
    print("began", flush=True)
    clock, nth = SystemClock(options.city_time), 0
    for due in paced(options.rate, options.count):
        now_ms, packets = clock.now_ms(), []
        for _ in range(due):
            packets.append(devices.next(nth % options.devices, now_ms, options.changes))
            nth += 1
        publisher.publish(packets)
    publisher.settle(0)
    print(f"done {nth}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
