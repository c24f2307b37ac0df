"""What a test hears on a running line's brokers, and how it speaks there (paho)."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self, TypeVar

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers import Server
from wire.batch import BatchKey, decode_batch
from wire.messages import Fate, Status, decode_confirm, decode_message
from wire.topics import Leaf, topic

WITHIN_S = 20.0
POLL_S = 0.01

T = TypeVar("T")
_NEVER = threading.Event()


def until(condition: Callable[[], T | None], what: str, within_s: float = WITHIN_S) -> T:
    """Wait for something that holds and give it back; fail when the time is up."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s: {what}")
        _NEVER.wait(POLL_S)
    return found


class Client:
    """An MQTT 5 client that connects again by itself when its broker comes back."""

    topics: tuple[str, ...] = ()

    def __init__(self, broker: Server, tls: ssl.SSLContext | None = None) -> None:
        self._broker = broker
        self._ready = threading.Event()
        self._pubacks: dict[int, int] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._arrived
        self._client.on_publish = self._acknowledged
        self._client.reconnect_delay_set(1, 1)
        if tls:
            self._client.tls_set_context(tls)

    def say(self, name: str, payload: bytes) -> int:
        """Publish at QoS 1 and wait for the broker; its reason code."""
        sent = self._client.publish(name, payload, qos=1)
        mid: int = sent.mid
        until(lambda: mid in self._pubacks, f"PUBACK of {name}")
        return self._pubacks.pop(mid)

    def _connected(self, *_: Any) -> None:
        if self.topics:
            self._client.subscribe([(name, 1) for name in self.topics])
        else:
            self._ready.set()

    def _acknowledged(self, _client: Any, _data: Any, mid: int, code: Any, *_: Any) -> None:
        self._pubacks[mid] = code.value

    def _arrived(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._client.connect(self._broker.host, self._broker.port, clean_start=True)
        self._client.loop_start()
        assert self._ready.wait(WITHIN_S), "no connection"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Batch(NamedTuple):
    """A batch with a key, as it came by."""

    at: float
    leaf: Leaf
    sequence: int
    lines: list[str]


class Ear(Client):
    """Hears a gateway's status and the fates of its batches; with `batches`, those as well.

    Whoever hears batches is a subscriber: without an ingestor the broker would still say that
    somebody listens.
    """

    def __init__(
        self,
        broker: Server,
        gateway: str,
        batches: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(broker, tls)
        leaves = [Leaf.STATUS, Leaf.CONFIRM, *((Leaf.BATCH, Leaf.BACKFILL) if batches else ())]
        self.topics = tuple(topic(gateway, leaf) for leaf in leaves)
        self.statuses: list[Status] = []
        self.batches: list[Batch] = []
        self.fates: dict[int, tuple[float, Fate]] = {}

    @property
    def status(self) -> Status:
        """The newest, waited for."""
        return until(lambda: self.statuses[-1:], "a status")[0]

    def told(self, condition: Callable[[Status], T], what: str, within_s: float = WITHIN_S) -> T:
        """Wait until the newest status says so."""
        return until(lambda: condition(self.status), what, within_s)

    def confirmed(self, device: str, field: str, since: float) -> float | None:
        """When a batch sent since then, with that device and field in a line, was confirmed."""
        for batch in reversed(self.batches):
            fate = self.fates.get(batch.sequence)
            if batch.at < since or fate is None:
                continue
            if any(f"device={device}," in line and field in line for line in batch.lines):
                return fate[0]
        return None

    def _arrived(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        at, payload, leaf = time.monotonic(), bytes(message.payload), message.topic.split("/")[3]
        if leaf == Leaf.STATUS:
            self.statuses.append(decode_message(payload, Status))
        elif leaf == Leaf.CONFIRM:
            for fate in decode_confirm(payload).fates:
                self.fates.setdefault(fate.sequence, (at, fate))
        elif correlation := getattr(message.properties, "CorrelationData", None):
            key = BatchKey.unpack(correlation)
            self.batches.append(Batch(at, Leaf(leaf), key.sequence, decode_batch(payload)))
