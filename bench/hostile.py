"""A gateway whose key somebody else has: everything it may send, as fast as the broker takes it.

    python -m bench.hostile --port 1883 --name hostile-01 --victim good-01-bay

Goes round its assaults until its standard input ends, and says after each round how many messages
it has sent. It keeps to what a broker enforces (Receive Maximum, the largest packet) and to nothing
else: no window, no waiting for confirmations, no heed of `hold`.
"""

from __future__ import annotations

import argparse
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import zstandard

from wire import mqtt
from wire.batch import COMPRESSED_BYTES_MAX, CONTENT_TYPE, RAW_BYTES_MAX, BatchKey, digest
from wire.messages import Inventory, InventoryDevice, LinkStatus, Status, encode_message
from wire.mqtt_flow import Inbox
from wire.topics import Leaf, topic

NAMES = 1_000_000
NAMES_A_BATCH = 8_000
FIELDS = 10_000
BOMB_BYTES = 2**28
YEAR_2090_MS, YEAR_1970_MS = 3_786_912_000_000, 100_000_000_000
EPOCH = b"hostile-hostile!"
SMALL = 2_000
INVENTORIES, STATUSES = 50, 50


class Packet(NamedTuple):
    """A PUBLISH at QoS 1 but for its packet identifier."""

    name: str
    payload: bytes
    retain: bool = False
    content_type: str = ""
    correlation: bytes = b""

    def with_identifier(self, mid: int) -> bytes:
        """All of it."""
        return mqtt.publish(
            mid,
            self.name,
            self.payload,
            retain=self.retain,
            content_type=self.content_type,
            correlation_data=self.correlation,
        )


class Assaults:
    """Messages of one gateway; `victim` is how devices of another one begin."""

    def __init__(self, name: str, victim: str, now_ms: int, names: int = NAMES) -> None:
        self._name, self._victim, self._now_ms, self._names = name, victim, now_ms, names
        self._sequence = 0

    def each(self) -> Iterator[tuple[str, Callable[[], Iterator[Packet]]]]:
        """Name and messages of every assault."""
        yield "bombs", self._bombs
        yield "garbage", self._garbage
        yield "fields", self._fields
        yield "times", self._times
        yield "claims", self._claims
        yield "zones", self._zones
        yield "names", self._new_names
        yield "probes", self._probes
        yield "snapshots", self._snapshots
        yield "small batches", self._small
        yield "statuses", self._statuses
        yield "inventories", self._inventories

    def line(self, device: str, zone: str = "a", fields: str = "occupied=1i", ms: int = 0) -> str:
        """A reading, as good or bad as its parts."""
        return f"parking_spot,device={device},site=s,zone={zone} {fields} {ms or self._now_ms}"

    def batch(self, payload: bytes, keyed: bool = True, leaf: Leaf = Leaf.BATCH) -> Packet:
        """A message with a batch, or without a key a snapshot."""
        self._sequence += 1
        key = BatchKey(EPOCH, self._sequence, digest(payload)).pack() if keyed else b""
        name = topic(self._name, leaf)
        return Packet(name, payload, content_type=CONTENT_TYPE, correlation=key)

    def _bombs(self) -> Iterator[Packet]:
        compressor = zstandard.ZstdCompressor()
        for size in (BOMB_BYTES, -1):
            making = compressor.compressobj(size=size)
            bomb = b"".join((making.compress(bytes(BOMB_BYTES)), making.flush()))
            for _ in range(50):
                yield self.batch(bomb)
        for _ in range(20):  # as large as is allowed, and nothing but line ends
            yield self.batch(compressor.compress(b"\n" * RAW_BYTES_MAX))

    def _garbage(self) -> Iterator[Packet]:
        for size in (1, 100, COMPRESSED_BYTES_MAX):
            for _ in range(50):
                yield self.batch(b"\x28\xb5\x2f\xfd" + bytes(size - 1))
        name = topic(self._name, Leaf.BATCH)
        for key in (b"short", bytes(32), b"\xff" * 32):
            yield Packet(name, b"garbage", content_type=CONTENT_TYPE, correlation=key)

    def _fields(self) -> Iterator[Packet]:
        many = ",".join(f"field_{number}=1" for number in range(FIELDS))
        same = ",".join(["occupied=1i"] * FIELDS)
        for fields in (many, same):
            yield self.batch(packed([self.line("x-own", fields=fields)]))

    def _times(self) -> Iterator[Packet]:
        for ms in (YEAR_2090_MS, YEAR_1970_MS):
            yield self.batch(packed([self.line("x-own", ms=ms)] * 1000))

    def _claims(self) -> Iterator[Packet]:
        yield self.batch(packed([self.line(f"{self._victim}-{n % 13:02d}") for n in range(1000)]))

    def _zones(self) -> Iterator[Packet]:
        for part in range(20):
            yield self.batch(
                packed([self.line("x-own", zone=f"z{part * 8000 + n}") for n in range(8000)])
            )

    def _new_names(self) -> Iterator[Packet]:
        for first in range(0, self._names, NAMES_A_BATCH):
            names = range(first, min(first + NAMES_A_BATCH, self._names))
            yield self.batch(packed([self.line(f"x-{number}") for number in names]))

    def _probes(self) -> Iterator[Packet]:
        for _ in range(SMALL):
            yield Packet(topic(self._name, Leaf.BATCH), b"")

    def _snapshots(self) -> Iterator[Packet]:
        payload = packed([self.line(f"x-{number}") for number in range(2000)])
        for _ in range(100):
            yield self.batch(payload, keyed=False)

    def _small(self) -> Iterator[Packet]:
        payload = packed([self.line("x-own")])
        for nth in range(SMALL):
            yield self.batch(payload, leaf=Leaf.BACKFILL if nth % 2 else Leaf.BATCH)

    def _statuses(self) -> Iterator[Packet]:
        links = tuple(LinkStatus(f"link-{n}", "up", {"timeout": n}) for n in range(4500))
        name, payload = topic(self._name, Leaf.STATUS), encode_message(
            Status(self._name, True, links=links)
        )  # fmt: skip
        bomb = zstandard.ZstdCompressor().compress(bytes(BOMB_BYTES // 16))
        for _ in range(STATUSES):
            yield Packet(name, payload, retain=True)
            yield Packet(name, bomb, retain=True)

    def _inventories(self) -> Iterator[Packet]:
        name = topic(self._name, Leaf.INVENTORY)
        for part in range(INVENTORIES):
            devices = tuple(
                InventoryDevice(f"y{part}-{n}", "parking_spot", "x", f"z{part}", 600.0, 1560.0)
                for n in range(1500)
            )
            inventory = encode_message(Inventory(self._name, f"s{part}", 60.0, devices))
            yield Packet(name, inventory, retain=True)


def packed(lines: Sequence[str]) -> bytes:
    """A payload of these lines, quickly made."""
    raw = "".join(f"{line}\n" for line in lines).encode()
    payload = zstandard.ZstdCompressor(level=3).compress(raw)
    assert len(raw) <= RAW_BYTES_MAX, len(raw)
    assert len(payload) <= COMPRESSED_BYTES_MAX, len(payload)
    return payload


class Flood:
    """One connection that sends whatever it is given."""

    def __init__(self, host: str, port: int, name: str) -> None:
        self._socket = socket.create_connection((host, port))
        self._inbox = Inbox(1000, 1_000_000)
        self._in_flight = self._in_flight_max = self._mid = 0
        self.sent = 0
        self._socket.sendall(mqtt.connect(name, 60))
        while not self._in_flight_max:
            self._hear(None)

    def send(self, packet: Packet) -> None:
        """Wait for room at the broker, and send it."""
        while self._in_flight >= self._in_flight_max:
            self._hear(None)
        self._mid = self._mid % mqtt.MID_MAX + 1
        self._socket.sendall(packet.with_identifier(self._mid))
        self._in_flight += 1
        self.sent += 1
        self._hear(0)

    def _hear(self, within_s: float | None) -> None:
        if not select.select([self._socket], [], [], within_s)[0]:
            return
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError("the broker has ended it")
        for kind, body in self._inbox.feed(data):
            if kind == mqtt.CONNACK:
                self._in_flight_max = mqtt.receive_maximum(body)
            elif kind == mqtt.PUBACK:
                self._in_flight -= 1


def main() -> int:
    parser = argparse.ArgumentParser(description="a gateway whose key somebody else has")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", default="hostile-01")
    parser.add_argument("--victim", default="good-01-bay")
    parser.add_argument("--names", type=int, default=NAMES)
    given = parser.parse_args()
    flood = Flood(given.host, given.port, given.name)
    rounds = 0
    while True:
        now_ms = int(time.time() * 1000)
        for name, packets in Assaults(given.name, given.victim, now_ms, given.names).each():
            for packet in packets():
                flood.send(packet)
                if select.select([sys.stdin], [], [], 0)[0]:
                    print(f"over rounds={rounds} messages={flood.sent}", flush=True)
                    return 0
            print(f"sent {name}", flush=True)
        rounds += 1
        print(f"round {rounds} messages={flood.sent}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
