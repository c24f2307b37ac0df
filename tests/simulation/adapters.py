"""What stands in place of `edge.broker.connect` and `ingest.broker.connected`.

The same promises as those two files make, towards the simulated broker instead of mqttium: a new
client and a clean session for each connection, nothing sent twice, one exception for every loss.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from edge import broker as edge_broker
from ingest import broker as ingest_broker
from tests.simulation.broker import Message, Session, Subscription
from tests.simulation.client import ANSWER_S, NETWORK, Client, Gone
from tests.simulation.process import PROCESS
from wire import mqtt
from wire.configuration import Broker as BrokerSettings

EDGE_RECEIVE_MAX = 256


class EdgeConnection:
    """`edge.broker.Connection`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, message: edge_broker.Outgoing, done: Callable[[int], None]) -> None:
        try:
            self._client.publish(_message(message), lambda c: None if c is None else done(c))
        except Gone as gone:
            raise edge_broker.ConnectionLost(gone.reason, gone.code) from gone

    async def publish(self, message: edge_broker.Outgoing) -> int:
        future: asyncio.Future[int | None] = NETWORK[-1].loop.create_future()
        try:
            self._client.publish(
                _message(message), lambda c: None if future.done() else future.set_result(c)
            )
            code = await future
            if code is None:
                raise self._client._gone()
        except Gone as gone:
            raise edge_broker.ConnectionLost(gone.reason, gone.code) from gone
        return code

    async def subscribe(self, topics: Iterable[str], own: bool = True, kept: bool = True) -> None:
        wanted = [Subscription(topic, "", own, kept) for topic in topics]
        await self._ask(lambda session: NETWORK[-1].broker.subscribe(session, wanted))

    async def unsubscribe(self, name: str) -> None:
        await self._ask(lambda session: NETWORK[-1].broker.unsubscribe(session, name))

    async def messages(self) -> AsyncIterator[edge_broker.Received]:
        try:
            async for number, message, retained in self._client.arrivals():
                self._client.acknowledge(number)
                yield edge_broker.Received(message.topic, message.payload, retained)
        except Gone as gone:
            raise edge_broker.ConnectionLost(gone.reason, gone.code) from gone

    async def _ask(self, act: Callable[[Session], None]) -> None:
        try:
            await self._client.ask(act, 20.0)
        except Gone as gone:
            raise edge_broker.ConnectionLost(gone.reason, gone.code) from gone


def _message(message: edge_broker.Outgoing) -> Message:
    """`expires_at` holds the interval until the broker has it."""
    return Message(
        message.topic,
        message.payload,
        message.retain,
        message.expiry_s,
        message.content_type or None,
        message.correlation or None,
        message.user,
    )


@asynccontextmanager
async def edge_connect(
    broker: BrokerSettings,
    client_id: str,
    will: edge_broker.Outgoing,
    check_dates: bool,
    timeout_s: float,
) -> AsyncIterator[EdgeConnection]:
    process = PROCESS.get()
    assert process is not None
    client = Client(process, EDGE_RECEIVE_MAX)
    try:
        await client.open(NETWORK[-1], client_id, _message(will), broker.keepalive_s, timeout_s)
    except Gone as gone:
        raise edge_broker.ConnectionLost(gone.reason, gone.code) from gone
    with_will = True
    try:
        yield EdgeConnection(client)
        with_will = False
    finally:
        client.close(with_will)


class IngestConnection:
    """`ingest.broker.Connection`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def subscribe(self, topic_filter: str) -> None:
        group = topic_filter.split("/")[1] if topic_filter.startswith("$share/") else ""
        wanted = [Subscription(topic_filter, group)]
        await self._ask(lambda session: NETWORK[-1].broker.subscribe(session, wanted))

    async def unsubscribe(self, topic_filter: str) -> None:
        await self._ask(lambda session: NETWORK[-1].broker.unsubscribe(session, topic_filter))

    async def messages(self) -> AsyncIterator[ingest_broker.Received]:
        while True:
            for message in await self.several():
                yield ingest_broker.Received(message)

    async def several(self) -> list[mqtt.Message]:
        try:
            return [_heard(number, message) for number, message, _ in await self._client.several()]
        except Gone as gone:
            raise ingest_broker.Lost(gone.reason) from gone

    async def acknowledge(self, received: ingest_broker.Received) -> None:
        self.acknowledge_all([received.envelope])

    def acknowledge_all(self, messages: Sequence[mqtt.Message]) -> None:
        try:
            for message in messages:
                assert message.mid is not None
                self._client.acknowledge(message.mid)
        except Gone as gone:
            raise ingest_broker.Lost(gone.reason) from gone

    async def tell(
        self, messages: Sequence[tuple[str, bytes]], expiry_s: int, refused: Callable[[str], None]
    ) -> None:
        for topic, payload in messages:
            await self.publish(topic, payload, expiry_s, refused)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        expiry_s: int,
        refused: Callable[[str], None],
        *,
        retain: bool = False,
    ) -> None:
        message = Message(topic, payload, retain, expiry_s or None)
        try:
            self._client.publish(message, lambda c: refused(hex(c)) if c and c >= 0x80 else None)
        except Gone as gone:
            raise ingest_broker.Lost(gone.reason) from gone

    async def _ask(self, act: Callable[[Session], None]) -> None:
        try:
            await self._client.ask(act)
        except Gone as gone:
            raise ingest_broker.Lost(gone.reason) from gone


def _heard(number: int, message: Message) -> mqtt.Message:
    return mqtt.Message(
        message.topic,
        message.payload,
        number,
        message.retain,
        message.content_type,
        message.correlation,
        message.user,
    )


@asynccontextmanager
async def ingest_connected(
    door: ingest_broker.Door, client_id: str
) -> AsyncIterator[IngestConnection]:
    process = PROCESS.get()
    assert process is not None
    client = Client(process, mqtt.MID_MAX)
    try:
        await client.open(NETWORK[-1], client_id, None, door.settings.keepalive_s, ANSWER_S)
    except Gone as gone:
        raise ingest_broker.Lost(gone.reason) from gone
    try:
        yield IngestConnection(client)
    finally:
        client.close(with_will=False)
