"""The far side for benchmarks of the agent: confirms each batch at once, as an ingestor on a fast
database would, and counts what came. Confirmations are the real ones (`wire.messages`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.running import DidNotWork
from wire.batch import BatchKey, decode_batch
from wire.messages import Fate, encode_confirm
from wire.topics import Leaf, topic

_QUIET = threading.Event()
Heard = Callable[[str, bytes, list[str]], None]


class Cloud:
    """Subscribes to every gateway. `heard` is called with leaf, payload and lines of each message;
    without `confirms` it only listens.

    `stored` counts readings that were confirmed for the first time, by the key of their batch.
    """

    def __init__(
        self,
        host: str,
        port: int,
        heard: Heard = lambda *_: None,
        confirms: bool = True,
    ) -> None:
        self.stored = 0
        self.first_at = 0.0
        self.messages: Counter[str] = Counter()
        self.payload_bytes: Counter[str] = Counter()
        self._keys: set[bytes] = set()
        self._heard, self._confirms = heard, confirms
        self._host, self._port = host, port
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._arrived

    def wait_stored(self, readings: int, within_s: float) -> float:
        """Wait until so many readings are confirmed; the monotonic time at which they were.

        Raises:
            DidNotWork: they weren't within the time.
        """
        deadline = time.monotonic() + within_s
        while self.stored < readings:
            if time.monotonic() > deadline:
                raise DidNotWork(f"{self.stored} of {readings} readings after {within_s} s")
            _QUIET.wait(0.01)
        return time.monotonic()

    def _connected(self, *_: Any) -> None:
        leaves = [Leaf.STATUS, Leaf.CONFIRM, Leaf.BATCH, Leaf.BACKFILL]
        self._client.subscribe([(topic("+", leaf), 1) for leaf in leaves])

    def _arrived(self, client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        gateway, leaf = message.topic.split("/")[2:4]
        payload = bytes(message.payload)
        self.messages[leaf] += 1
        self.payload_bytes[leaf] += len(payload)
        lines: list[str] = []
        if leaf in (Leaf.BATCH, Leaf.BACKFILL) and payload:
            lines = decode_batch(payload)
            if correlation := getattr(message.properties, "CorrelationData", None):
                if self._confirms:
                    self._confirm(client, gateway, BatchKey.unpack(correlation), len(lines))
            else:
                self.messages["snapshot"] += 1
                lines = []
        self._heard(leaf, payload, lines)

    def _confirm(self, client: paho.Client, gateway: str, key: BatchKey, readings: int) -> None:
        fates = (Fate(key.sequence, key.digest, readings),)
        client.publish(topic(gateway, Leaf.CONFIRM), encode_confirm(key.epoch, fates), qos=1)
        if (name := key.pack()) not in self._keys:
            self._keys.add(name)
            self.first_at = self.first_at or time.monotonic()
            self.stored += readings

    def __enter__(self) -> Self:
        self._client.connect(self._host, self._port, clean_start=True)
        self._client.loop_start()
        if not self._ready.wait(10):
            raise DidNotWork(f"no subscription at {self._host}:{self._port}")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
