"""The network server's MQTT side: publishes device events at QoS 1, as ChirpStack v4 does.

    server = NetworkServer(broker)
    await server.connected()
    await server.publish(topic, payload, then)         returns after the broker's PUBACK

paho's own thread keeps the connection and sends again what the broker hasn't acknowledged; what it
says arrives here on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from wire.configuration import Broker

CLOSE_S = 0.4  # wall: how long an unacknowledged message may still be answered at the end
_NO_SUBSCRIBERS = 0x10
_REFUSED = 0x80


class Verdict(StrEnum):
    """What the broker made of a message: empty when somebody will get it."""

    DELIVERED = ""
    NOBODY_LISTENS = "nobody_listens"
    REFUSED = "refused_by_broker"
    UNACKNOWLEDGED = "unacknowledged"


class _Open(NamedTuple):
    """A message that the broker hasn't acknowledged."""

    then: Callable[[Verdict], None]
    answer: asyncio.Future[Verdict]


class NetworkServer:
    """One connection to the site's broker for all that the network server publishes."""

    def __init__(self, broker: Broker) -> None:
        self._loop = asyncio.get_running_loop()
        self._connected = asyncio.Event()
        self._open: dict[int, _Open] = {}
        self._settled = asyncio.Event()  # nothing is open
        self._settled.set()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"network-server-{uuid.uuid4()}",  # some brokers refuse one without a name
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self._client.reconnect_delay_set(1, 2)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.connect_async(broker.host, broker.port, broker.keepalive_s)
        self._client.loop_start()

    async def connected(self) -> None:
        """Wait until the broker has accepted the connection."""
        await self._connected.wait()

    async def publish(
        self, topic: str, payload: bytes, then: Callable[[Verdict], None] = lambda _: None
    ) -> Verdict:
        """Publish one event and wait for the broker's word on it.

        `then` is told the verdict exactly once if the event was handed to the connection, even
        when this call is cancelled meanwhile.
        """
        await self._connected.wait()
        sent = self._client.publish(topic, payload, qos=1)
        answer: asyncio.Future[Verdict] = self._loop.create_future()
        self._settled.clear()
        self._open[sent.mid] = _Open(then, answer)  # before the loop can run `_acknowledged`
        return await answer

    async def close(self) -> None:
        """Let the broker acknowledge what was published, then leave."""
        if self._connected.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._settled.wait()
        for mid in list(self._open):
            self._acknowledged(mid, Verdict.UNACKNOWLEDGED)
        was_connected = self._connected.is_set()
        self._client.disconnect()
        if was_connected:  # otherwise paho's thread, a daemon, ends by itself in its next try
            await asyncio.to_thread(self._client.loop_stop)

    def _on_connect(
        self, _client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _: Any
    ) -> None:
        if not code.is_failure:
            self._loop.call_soon_threadsafe(self._connected.set)

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, _code: ReasonCode, _: Any
    ) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._connected.clear)

    def _on_publish(
        self, _client: Client, _data: Any, mid: int, code: ReasonCode, _: Properties
    ) -> None:
        verdict = Verdict.DELIVERED
        if code.value == _NO_SUBSCRIBERS:
            verdict = Verdict.NOBODY_LISTENS
        elif code.value >= _REFUSED:
            verdict = Verdict.REFUSED
        self._loop.call_soon_threadsafe(self._acknowledged, mid, verdict)

    def _acknowledged(self, mid: int, verdict: Verdict) -> None:
        open_ = self._open.pop(mid, None)
        if not self._open:
            self._settled.set()
        if open_ is not None:
            open_.then(verdict)
            if not open_.answer.done():  # nobody waits for one that was cancelled
                open_.answer.set_result(verdict)
