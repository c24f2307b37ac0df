"""A gateway's stand-in over a real broker (paho), and what a test of the whole line needs.

The stand-in sends batches and keeps what it hears: PUBACK codes, and the last fate of each batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from uuid import uuid4

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.broker import Door
from ingest.configuration import DeadLetterSettings, IngestConfiguration, IngestSettings
from ingest.ingestor import Ingestor
from ingest.stores.configuration import SqliteSettings, StoreSettings
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from tests.ingest.batches import EPOCH
from tests.servers import Mosquitto
from wire.batch import CONTENT_TYPE, BatchKey, digest, encode_batch
from wire.clock import SystemClock
from wire.configuration import Broker
from wire.messages import Fate, decode_confirm
from wire.topics import Leaf, topic

WAIT_S = 30.0
NO_MATCHING_SUBSCRIBERS = 0x10


async def eventually(condition: Callable[[], object], what: str = "") -> None:
    """Poll until it holds; fail after `WAIT_S`."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 - other processes set no asyncio.Event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {WAIT_S} s: {what or condition}") from None


class Gateway:
    """Sends and listens as one gateway of that name."""

    def __init__(self, broker: Mosquitto, name: str = "") -> None:
        self.name = name or f"gw-{uuid4().hex[:8]}"
        self.pubacks: dict[int, int] = {}
        self.fates: dict[int, list[Fate]] = {}
        self._broker = broker
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._listening = False

    @property
    def client(self) -> Client:
        """The connection, for what isn't a batch."""
        return self._client

    async def __aenter__(self) -> Self:
        self._client.connect(self._broker.host, self._broker.port)
        self._client.loop_start()
        await eventually(lambda: self._listening, "the stand-in is connected")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(
        self,
        content: Sequence[str] | bytes,
        sequence: int | None = 1,
        leaf: Leaf = Leaf.BATCH,
        seal_ms: int | None = None,
        key: BatchKey | None = None,
        content_type: str = CONTENT_TYPE,
    ) -> int:
        """Publish a batch (or a snapshot, without a sequence); the message's id for `pubacks`."""
        payload = content if isinstance(content, bytes) else encode_batch(content)
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = content_type
        properties.MessageExpiryInterval = 30
        if sequence is not None:
            properties.CorrelationData = (key or BatchKey(EPOCH, sequence, digest(payload))).pack()
        if seal_ms is not None:
            properties.UserProperty = ("seal_ms", str(seal_ms))
        name = topic(self.name, leaf)
        return self._client.publish(name, payload, qos=1, properties=properties).mid

    def probe(self) -> int:
        """An empty message, as when nobody listened."""
        return self._client.publish(topic(self.name, Leaf.BATCH), b"", qos=1).mid

    def final(self, sequence: int) -> Fate | None:
        """The first final fate of a batch."""
        return next((fate for fate in self.fates.get(sequence, ()) if fate.final), None)

    def held(self, sequence: int) -> list[Fate]:
        return [fate for fate in self.fates.get(sequence, ()) if not fate.final]

    async def fate(self, sequence: int) -> Fate:
        """Wait for the first final fate of a batch."""
        await eventually(lambda: self.final(sequence), f"batch {sequence} is confirmed")
        fate = self.final(sequence)
        assert fate
        return fate

    async def nobody_listens(self) -> None:
        """Probe until a PUBACK says so."""
        asked: list[int] = []

        def told() -> bool:
            if not asked or asked[-1] in self.pubacks:
                asked.append(self.probe())
            return NO_MATCHING_SUBSCRIBERS in [self.pubacks.get(mid) for mid in asked]

        await eventually(told, "a PUBACK of 0x10")

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe(topic(self.name, Leaf.CONFIRM), qos=1)

    def _on_subscribe(self, *_: object) -> None:
        self._listening = True

    def _on_publish(self, client: Client, _userdata: object, mid: int, code: object, *_: object):
        self.pubacks[mid] = getattr(code, "value", 0)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        confirm = decode_confirm(bytes(message.payload))
        assert confirm.epoch == EPOCH
        assert message.properties and message.properties.json()["MessageExpiryInterval"] <= 30
        for fate in confirm.fates:
            self.fates.setdefault(fate.sequence, []).append(fate)


def configuration(
    folder: Path,
    broker: Mosquitto,
    store: StoreSettings | None = None,
    group: str = "",
    registry: Literal["needed", "none"] = "none",
) -> IngestConfiguration:
    """An ingestor's, with its files in that folder and a group of its own."""
    return IngestConfiguration(
        store=store or SqliteSettings(path=str(folder / "store.db"), busy_timeout_s=0.2),
        broker=Broker(port=broker.port),
        ingest=IngestSettings(group=group or f"group-{uuid4().hex[:8]}", registry=registry),
        dead_letters=DeadLetterSettings(path=str(folder / "dead-letters.jsonl")),
    )


@contextlib.asynccontextmanager
async def ingesting(settings: IngestConfiguration) -> AsyncIterator[tuple[Ingestor, LiveStore]]:
    """An ingestor in this process, listening; stopped as by SIGTERM at the end."""
    clock, stop = SystemClock(), asyncio.Event()
    async with open_store(settings.store, clock) as store, asyncio.TaskGroup() as group:
        ingestor = Ingestor(settings, Door(settings.broker, None, None), store, clock)
        group.create_task(ingestor.run(stop))
        await eventually(lambda: ingestor.listening, "the ingestor listens")
        try:
            yield ingestor, store
        finally:
            stop.set()


def toml_of(settings: IngestConfiguration) -> str:
    """The file that decodes to these settings, for a process of its own (SQLite only)."""
    assert isinstance(settings.store, SqliteSettings)
    return (
        f"[broker]\nport = {settings.broker.port}\nkeepalive_s = {settings.broker.keepalive_s}\n"
        '[store]\ntype = "sqlite"\n'
        f'path = "{settings.store.path}"\nbusy_timeout_s = {settings.store.busy_timeout_s}\n'
        f'[ingest]\ngroup = "{settings.ingest.group}"\nregistry = "{settings.ingest.registry}"\n'
        f'[dead_letters]\npath = "{settings.dead_letters.path}"\n'
    )


class Child:
    """`gampong ingest run` in a process of its own."""

    def __init__(self, folder: Path, settings: IngestConfiguration) -> None:
        file = folder / "ingest.toml"
        file.write_text(toml_of(settings))
        self.log = folder / f"ingest-{uuid4().hex[:6]}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gampong", "ingest", "run", str(file)],
                cwd=Path(__file__).parents[2],
                stderr=log,
                stdout=log,
            )

    async def listens(self) -> None:
        await eventually(lambda: self.log.read_text().count("event=subscribed") >= 2, "it listens")

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    async def ended(self) -> int:
        await eventually(lambda: self.process.poll() is not None, "it ends")
        code: int = self.process.returncode
        return code


@contextlib.contextmanager
def child(folder: Path, settings: IngestConfiguration) -> Iterator[Child]:
    """The process, killed at the end if it still runs."""
    started = Child(folder, settings)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        print(started.log.read_text())
