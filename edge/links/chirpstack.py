"""A ChirpStack event stream over MQTT: every uplink acknowledged only once it is ours.

In: MQTT messages of a persistent session at QoS 1. Out: to the sink, uplinks; anything else is
counted by reason. An uplink is acknowledged after the sink has committed it, never earlier.

The sequence that would lose one: the broker sends, we acknowledge, power fails, the commit never
comes. So the commit comes first; what stands between commit and acknowledgement is sent again and
found to be a repeat. When the outbox can't commit (`NotAccepted`), we hang up without acknowledging
and come back later: the session holds what is ours until then.

A connection that died keeps nothing: each is a new one, and the session lives in the broker. Up to
256 uplinks are committed at once; behind them a bounded queue, and when that is full the connection
isn't read on. A busy connection rests for 20 ms after each read, since a turn of the loop costs as
much as several uplinks. Receive Maximum is announced as the highest there is: mosquitto 2.0.11
(Debian 12) goes over any other when it resumes a session. A message over 256 KiB never comes: the
broker has to drop it (Maximum Packet Size, MQTT 5, 3.1.2.11.4).

At QoS 0, ChirpStack's default, nothing is sent again: such messages are counted as `qos_0`, and
one that the outbox can't commit is lost and counted as `not_kept`. Remedy: `qos=1` in the section
`[integration.mqtt]` of chirpstack.toml.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from devices.chirpstack import Notice, Uplink, read_envelope
from devices.driver import Noise
from edge.broker import keys_again, password, ssl_context
from edge.link_settings import ChirpStack
from edge.links import NotAccepted, Sink
from edge.links.health import Backoff, Health
from wire import mqtt
from wire.clock import Clock
from wire.configuration import ConfigurationError
from wire.messages import LinkStatus
from wire.mqtt_link import Link, Lost
from wire.small_file import Kept

IN_FLIGHT = 256
PACKET_BYTES_MAX = 256 * 1024
QUEUED_MESSAGES, QUEUED_BYTES = 256, 4 * 1024 * 1024  # not looked at yet; full: not read on
REST_S = 0.02
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
        self._time_trusted, broker = time_trusted, settings.broker
        self._keys = Kept(lambda: (password(broker), ssl_context(broker)))
        self._health = Health(settings.name)

    @property
    def name(self) -> str:
        return self._health.name

    async def run(self) -> None:
        """Serve until cancelled."""
        backoff = Backoff(RETRY_LOW_S, RETRY_HIGH_S)
        broker = self._settings.broker
        while True:
            started = self._clock.monotonic()
            try:
                lost = await self._serve()
                if self._health.is_up:  # else it is known why
                    self._health.down(f"{broker.host}:{broker.port}: {lost}")
                    self._health.count("broker")
            except (Lost, OSError, ConfigurationError) as error:
                self._health.down(str(error) or f"{broker.host}:{broker.port}: no answer in time")
                self._health.count("broker")
            if self._clock.monotonic() - started > HELD_S:
                backoff.reset()
            await self._clock.pause(backoff.next_s())

    def status(self) -> LinkStatus:
        """Errors by reason; events that aren't uplinks are counted as `event_<name>`."""
        return self._health.status()

    async def _serve(self) -> Lost:
        """One connection, from connecting to losing it; how it was lost.

        Raises:
            Lost, OSError, ConfigurationError: it couldn't be had.
        """
        broker = self._settings.broker
        secret, tls = keys_again(self._keys, self._time_trusted())
        hello = mqtt.connect(
            self._client_id,
            broker.keepalive_s,
            broker.username or None,
            secret,
            PACKET_BYTES_MAX,
            self._settings.session_expiry_s,
        )
        link = Link(broker.keepalive_s, QUEUED_MESSAGES, QUEUED_BYTES, REST_S)
        try:
            async with asyncio.timeout(CONNECT_S):
                await link.open(broker.host, broker.port, tls, hello)
            session = _Session(link, self._sink, self._health)
            return await session.receive(self._settings.topic)
        finally:
            await link.close()


class _Session:
    """One connection's uplinks on their way to the outbox."""

    def __init__(self, link: Link, sink: Sink, health: Health) -> None:
        self._link, self._sink, self._health = link, sink, health
        self._in_flight = 0
        self._room = asyncio.Event()
        self._refused = asyncio.Event()

    async def receive(self, topic: str) -> Lost:
        """Take messages until the connection ends, and let those begun come to their end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._subscribe(topic))
            leaving = group.create_task(self._leave_when_refused())
            try:
                while True:
                    for message in await self._link.messages():
                        self._take(message)
                        await self._until_in_flight(IN_FLIGHT - 1)
            except Lost as lost:
                await self._until_in_flight(0)
                leaving.cancel()
                return lost

    async def _subscribe(self, topic: str) -> None:
        """Beside taking messages: a resumed session's backlog comes before the SUBACK."""
        try:
            async with asyncio.timeout(CONNECT_S):
                answer = await self._link.ask(lambda mid: mqtt.subscribe(mid, [topic]))
            why = f"refused with 0x{answer[-1]:02x}" if answer[-1] >= 0x80 else ""
        except (Lost, TimeoutError) as error:
            why = "" if self._refused.is_set() else str(error) or "no answer in time"
        if why:
            self._health.down(f"{topic}: {why}")
            self._health.count("broker")
            await self._link.close()
        elif not self._link.is_lost:
            self._health.up()

    async def _leave_when_refused(self) -> None:
        await self._refused.wait()
        await self._link.close()

    async def _until_in_flight(self, at_most: int) -> None:
        while self._in_flight > at_most:
            self._room.clear()
            await self._room.wait()

    def _take(self, message: mqtt.Message) -> None:
        if message.mid is None:
            self._health.count("qos_0")
            self._health.up(QOS_0)
        elif self._link.is_lost:
            return  # it will be sent again
        heard = read_envelope(message.topic, message.payload)
        if isinstance(heard, Uplink):
            self._in_flight += 1
            self._sink.uplink(self._health.name, heard, partial(self._answered, message))
        else:
            self._note(heard)
            self._acknowledge(message)

    def _answered(self, message: mqtt.Message, refused: NotAccepted | None) -> None:
        self._in_flight -= 1
        self._room.set()
        if refused is None:
            self._acknowledge(message)
        elif message.mid is None:
            self._health.count("not_kept")
            self._sink.noise(self._health.name, "not_kept")
        else:
            self._health.down(f"the outbox can't commit: {refused}")
            self._health.count("not_accepted")
            self._refused.set()

    def _acknowledge(self, message: mqtt.Message) -> None:
        """Tell the broker it is ours; when the connection is gone it will send it again."""
        if not self._link.is_lost:
            self._link.acknowledge(message)

    def _note(self, heard: Notice | Noise) -> None:
        if isinstance(heard, Notice):
            self._health.count(f"event_{heard.name}")
        else:
            self._health.count(heard.reason)
            self._sink.noise(self._health.name, heard.reason)
