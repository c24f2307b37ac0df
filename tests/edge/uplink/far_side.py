"""A cloud for tests: an ingestor's stand-in on paho that answers as it is told, and remembers.

with FarSide(broker) as cloud:
    cloud.answer = hold(1.0)      # or confirm, ignore, wrong_digest
    ...
    cloud.batches                 # what arrived, in order
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.line.listening import Client
from tests.servers import Server
from wire.batch import BatchKey, decode_batch
from wire.messages import (
    CloudTime,
    Fate,
    Inventory,
    Status,
    decode_message,
    encode_confirm,
    encode_message,
)
from wire.topics import TIME_TOPIC, Leaf, every, shared, topic

WAIT_S = 20.0


class Arrived(msgspec.Struct, frozen=True):
    """A message on `batch` or `backfill`; a snapshot has no key, a question no payload."""

    gateway: str
    leaf: Leaf
    key: BatchKey | None
    lines: list[str]
    seal_ms: int
    expiry_s: int | None
    content_type: str


Answer = Callable[[Arrived], Fate | None]


def confirm(batch: Arrived) -> Fate | None:
    assert batch.key
    return Fate(batch.key.sequence, batch.key.digest, stored=len(batch.lines))


def ignore(batch: Arrived) -> Fate | None:
    return None


def hold(seconds: float) -> Answer:
    def answer(batch: Arrived) -> Fate | None:
        assert batch.key
        return Fate(batch.key.sequence, batch.key.digest, hold_s=seconds)

    return answer


def wrong_digest(batch: Arrived) -> Fate | None:
    assert batch.key
    return Fate(batch.key.sequence, b"\0" * 8, stored=len(batch.lines))


BATCHES = (shared("test", Leaf.BATCH), shared("test", Leaf.BACKFILL))


class FarSide(Client):
    """Subscribes as an ingestor does, in a group; `listening` False leaves the batches out."""

    topics: tuple[str, ...] = (every(Leaf.STATUS), every(Leaf.INVENTORY))

    def __init__(self, broker: Server, answer: Answer = confirm, listening: bool = True) -> None:
        super().__init__(broker)
        self.answer = answer
        self.batches: list[Arrived] = []
        self.statuses: list[Status] = []
        self.inventories: list[Inventory] = []
        if listening:
            self.topics += BATCHES

    def listen(self) -> None:
        """Begin to take batches."""
        self._ready.clear()
        self.topics += BATCHES
        self._connected()
        assert self._ready.wait(WAIT_S)

    def deafen(self) -> None:
        """Take no more batches."""
        self.topics = FarSide.topics
        self._client.unsubscribe([*BATCHES])

    def tell_time(self, time_ms: int) -> None:
        """What the watch publishes."""
        self._client.publish(TIME_TOPIC, encode_message(CloudTime(time_ms)))

    def publish(self, name: str, payload: bytes, retain: bool = False) -> None:
        """Anything, as somebody else."""
        self._client.publish(name, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    @property
    def keyed(self) -> list[Arrived]:
        """The batches that want an answer."""
        return [batch for batch in self.batches if batch.key]

    @property
    def copies(self) -> Counter[str]:
        """How often each line arrived in a batch with a key."""
        return Counter(line for batch in self.keyed for line in batch.lines)

    def _arrived(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        gateway, leaf = message.topic.split("/")[2:4]
        if leaf == Leaf.STATUS:
            self.statuses.append(decode_message(bytes(message.payload), Status))
        elif leaf == Leaf.INVENTORY:
            self.inventories.append(decode_message(bytes(message.payload), Inventory))
        else:
            self._take(gateway, Leaf(leaf), message)

    def _take(self, gateway: str, leaf: Leaf, message: paho.MQTTMessage) -> None:
        said = message.properties
        correlation = getattr(said, "CorrelationData", None)
        batch = Arrived(
            gateway=gateway,
            leaf=leaf,
            key=BatchKey.unpack(correlation) if correlation else None,
            lines=decode_batch(bytes(message.payload)) if message.payload else [],
            seal_ms=int(dict(getattr(said, "UserProperty", [])).get("seal_ms", 0)),
            expiry_s=getattr(said, "MessageExpiryInterval", None),
            content_type=getattr(said, "ContentType", ""),
        )
        self.batches.append(batch)
        if batch.key and (fate := self.answer(batch)):
            answer = encode_confirm(batch.key.epoch, (fate,))
            self._client.publish(topic(gateway, Leaf.CONFIRM), answer, qos=1)


def retained(broker: Server, name: str) -> bytes:
    """What the broker keeps under that topic, b"" for nothing."""
    found: list[bytes] = []
    done = threading.Event()

    def on_connect(client: paho.Client, *_: Any) -> None:
        client.subscribe(name, 1)

    def on_message(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        found.append(bytes(message.payload))

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_connect = on_connect
    client.on_message = on_message
    client.on_subscribe = lambda *_: done.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert done.wait(WAIT_S)
    # The broker answers an own message after what it had to send before.
    marker = threading.Event()
    client.on_publish = lambda *_: marker.set()
    client.publish("test/marker", b"", qos=1)
    assert marker.wait(WAIT_S)
    client.disconnect()
    client.loop_stop()
    return found[0] if found else b""


async def until(condition: Callable[[], object], within_s: float = WAIT_S) -> None:
    """Wait for a condition; fail, naming it, when the time is up."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {inspect.getsource(condition).strip()}")
        await asyncio.sleep(0.01)
