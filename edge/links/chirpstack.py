"""A ChirpStack event stream over MQTT: every uplink acknowledged only once it is ours.

In: MQTT messages of a persistent session at QoS 1. Out: to the sink, uplinks; anything else is
counted by reason. An uplink is acknowledged after the sink has committed it, never earlier.

The sequence that would lose one: the broker sends, we acknowledge, power fails, the commit never
comes. So the commit comes first; what stands between commit and acknowledgement is sent again and
found to be a repeat. When the outbox can't commit (`NotAccepted`), we hang up without acknowledging
and come back later: the session holds what is ours until then.

A client that died keeps nothing: each connection has a new one, and the session lives in the
broker. Up to 256 uplinks are committed at once; behind them a bounded queue, and when that is full
the connection isn't read on. No Receive Maximum is announced: mosquitto 2.0.11 (Debian 12) goes
over it when it resumes a session, and the client library then rightly hangs up, for ever. A message
over 256 KiB never comes: the broker has to drop it (Maximum Packet Size, MQTT 5, 3.1.2.11.4).

At QoS 0, ChirpStack's default, nothing is sent again: such messages are counted as `qos_0`, and
one that the outbox can't commit is lost and counted as `not_kept`. Remedy: `qos=1` in the section
`[integration.mqtt]` of chirpstack.toml.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mqttium.api import AsyncClient, Properties
from mqttium.enums import MQTTProtocolVersion
from mqttium.errors import MQTTError
from mqttium.types import Message

from devices.chirpstack import Notice, Uplink, read_envelope
from devices.driver import Noise
from edge.broker import password, ssl_context
from edge.link_settings import ChirpStack
from edge.links import NotAccepted, Sink
from edge.links.health import Backoff, Health
from wire.clock import Clock
from wire.configuration import ConfigurationError
from wire.messages import LinkStatus

IN_FLIGHT = 256
PACKET_BYTES_MAX = 256 * 1024
RECEIVE_MAXIMUM = 65_535  # the protocol's own: as good as none
QUEUED_MESSAGES, QUEUED_BYTES = 256, 4 * 1024 * 1024  # not looked at yet; full: not read on
CONNECT_S = 10.0
RETRY_LOW_S, RETRY_HIGH_S = 0.2, 10.0
HELD_S = 10.0  # connected for so long, a connection counts as mended
QOS_0 = "messages come at QoS 0: set qos=1 in chirpstack.toml, or outages lose uplinks"


class ChirpStackStream:
    """A link with one network server's broker.

    Args:
        settings: the link's.
        gateway: this gateway's name; with the link's it names the session.
        sink: where uplinks go.
        clock: wall time for retries.
        time_trusted: until it says True, certificates' dates aren't checked.
    """

    def __init__(
        self,
        settings: ChirpStack,
        gateway: str,
        sink: Sink,
        clock: Clock,
        time_trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings, self._sink, self._clock = settings, sink, clock
        self._client_id = f"gampong-{gateway}-{settings.name}"
        self._time_trusted = time_trusted
        self._health = Health(settings.name)
        self._room = asyncio.Semaphore(IN_FLIGHT)

    @property
    def name(self) -> str:
        return self._health.name

    async def run(self) -> None:
        """Serve until cancelled."""
        backoff = Backoff(RETRY_LOW_S, RETRY_HIGH_S)
        while True:
            started = self._clock.monotonic()
            try:
                await self._session()
            except (MQTTError, OSError, ConfigurationError) as error:
                self._health.down(str(error))
                self._health.count("broker")
            if self._clock.monotonic() - started > HELD_S:
                backoff.reset()
            await self._clock.pause(backoff.next_s())

    def status(self) -> LinkStatus:
        """Errors by reason; events that aren't uplinks are counted as `event_<name>`."""
        return self._health.status()

    async def _session(self) -> None:
        """One connection, from connecting to losing it.

        Raises:
            MQTTError, OSError, ConfigurationError: it couldn't be had.
        """
        broker = self._settings.broker
        expiry = Properties({"session_expiry_interval": self._settings.session_expiry_s})
        client = AsyncClient(
            self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            clean_start=False,
            keepalive=broker.keepalive_s,
            username=broker.username or None,
            password=password(broker),
            connect_properties=expiry,
            maximum_packet_size=PACKET_BYTES_MAX,
            max_inbound_inflight=RECEIVE_MAXIMUM,
            manual_ack=True,
            max_iterator_messages=QUEUED_MESSAGES,
            max_iterator_bytes=QUEUED_BYTES,
            reconnect=None,
            connect_timeout=CONNECT_S,
            subscribe_timeout=CONNECT_S,
        )
        tls = ssl_context(broker, self._time_trusted())
        async with client:
            await client.connect(broker.host, broker.port, ssl=tls)
            await self._receive(client)
        if self._health.is_up:
            why = client.stats().last_disconnect_error or "the connection closed"
            self._health.down(f"{broker.host}:{broker.port}: {why}")
            self._health.count("broker")

    async def _receive(self, client: AsyncClient) -> None:
        """Take messages until the connection ends, and let those begun come to their end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._subscribe(client))
            async for message in client.messages():
                if message.mid is None:
                    self._health.count("qos_0")
                    self._health.up(QOS_0)
                elif not client.is_connected:
                    continue  # it will be sent again
                heard = read_envelope(message.topic, message.payload)
                if isinstance(heard, Uplink):
                    await self._room.acquire()
                    group.create_task(self._hand_over(client, message, heard))
                else:
                    self._note(heard)
                    await _acknowledge(client, message)

    async def _subscribe(self, client: AsyncClient) -> None:
        """Beside taking messages: a resumed session's backlog comes before the SUBACK."""
        try:
            await client.subscribe(self._settings.topic, qos=1)
            self._health.up()
        except MQTTError as error:
            self._health.down(f"{self._settings.topic}: {error}")
            self._health.count("broker")
            await client.disconnect()

    async def _hand_over(self, client: AsyncClient, message: Message, uplink: Uplink) -> None:
        try:
            await self._sink.uplink(self.name, uplink)
            await _acknowledge(client, message)
        except NotAccepted as refused:
            if message.mid is None:
                self._health.count("not_kept")
                self._sink.noise(self.name, "not_kept")
            else:
                self._health.down(f"the outbox can't commit: {refused}")
                self._health.count("not_accepted")
                await client.disconnect()
        finally:
            self._room.release()

    def _note(self, heard: Notice | Noise) -> None:
        if isinstance(heard, Notice):
            self._health.count(f"event_{heard.name}")
        else:
            self._health.count(heard.reason)
            self._sink.noise(self.name, heard.reason)


async def _acknowledge(client: AsyncClient, message: Message) -> None:
    """Tell the broker it is ours; when the connection is gone it will send it again."""
    if client.is_connected:
        try:
            await client.ack(message)
        except (MQTTError, OSError):
            await client.disconnect()
