"""A stream of messages over MQTT 3.1.1: each acknowledged only once what it holds is ours.

In: messages of a session; a reader that says what one holds. Out: to the sink, uplinks and polled
answers; anything else is counted by reason. The commit comes first, then the acknowledgement: what
stands between them is sent again and found to be a repeat. When the outbox can't commit, we hang up
without acknowledging and come back later.

A session is kept by the server (clean_session=False), so that what comes at QoS 1 while we are away
waits there. At QoS 0 nothing waits and nothing is sent again: The Things Stack's server knows no
other, so its link asks the storage for what it missed (`things_stack.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec

from devices.driver import Noise
from devices.envelope import Notice, Uplink
from devices.reading import Payload
from edge.broker import keys_again
from edge.link_files import server_keys
from edge.link_settings import MqttServer
from edge.links import NotAccepted, Sink
from edge.links.health import Backoff, Health
from edge.links.mqtt_311 import Connection, Lost, Message
from wire.clock import Clock
from wire.configuration import ConfigurationError
from wire.messages import LinkStatus
from wire.small_file import Kept
from wire.together import together

IN_FLIGHT = 256  # uplinks handed over and not answered; more wait in the connection's queue
RETRY_LOW_S, RETRY_HIGH_S = 0.2, 10.0
HELD_S = 10.0  # connected for so long, a connection counts as mended


class Polled(msgspec.Struct, frozen=True):
    """A message without a time of its own: its device's answer, as if it had just been asked."""

    device: str
    payload: Payload


Piece = Uplink | Polled | Notice | Noise
"""What one message may hold any number of."""

Read = Callable[[Message], Iterable[Piece]]


class MqttStream:
    """A link with one server.

    Args:
        name: the link's.
        server: where.
        gateway: this gateway's name; with the link's it names the session.
        filters: topics and their QoS.
        read: what a message holds.
        sink: where it goes.
        clock: wall time for retries.
        time_trusted: until it says True, certificates' dates aren't checked.
        opened: called with each new connection, before its first message.
        not_kept: told of an uplink that is lost: the outbox couldn't commit it, and at QoS 0 it
            doesn't come again.
    """

    def __init__(
        self,
        name: str,
        server: MqttServer,
        gateway: str,
        filters: Sequence[tuple[str, int]],
        read: Read,
        sink: Sink,
        clock: Clock,
        time_trusted: Callable[[], bool] = lambda: True,
        opened: Callable[[], None] = lambda: None,
        not_kept: Callable[[Uplink], None] = lambda _: None,
    ) -> None:
        self._server, self._filters, self._read = server, filters, read
        self._sink, self._clock, self._time_trusted = sink, clock, time_trusted
        self._keys = Kept(lambda: server_keys(server))
        self._opened, self._not_kept = opened, not_kept
        self._client_id = f"gampong-{gateway}-{name}"
        self.health = Health(name)
        self._in_flight = 0
        self._room = asyncio.Event()

    @property
    def name(self) -> str:
        return self.health.name

    async def run(self) -> None:
        """Serve until cancelled."""
        backoff = Backoff(RETRY_LOW_S, RETRY_HIGH_S)
        while True:
            started = self._clock.monotonic()
            try:
                await self._session()
            except (Lost, ConfigurationError) as error:
                self.health.down(str(error))
                self.health.count("broker")
            if self._clock.monotonic() - started > HELD_S:
                backoff.reset()
            await self._clock.pause(backoff.next_s())

    def status(self) -> LinkStatus:
        """Errors by reason; events that aren't uplinks are counted as `event_<name>`."""
        return self.health.status()

    async def _session(self) -> None:
        """One connection, from connecting to losing it."""
        keys = keys_again(self._keys, self._time_trusted())
        connection = Connection(self._server, self._client_id, keys=keys)
        try:
            await connection.open()
            self._opened()
            # Side by side: a resumed session's backlog comes before the subscription's answer.
            listening = self._receive(connection), self._subscribe(connection)
            await together((Lost, ConfigurationError), *listening)
        finally:
            connection.close()

    async def _subscribe(self, connection: Connection) -> None:
        await connection.subscribe(self._filters)
        self.health.up()

    async def _receive(self, connection: Connection) -> None:
        while True:
            for message in await connection.messages():
                await self._until_room()
                self._take(connection, message)

    async def _until_room(self) -> None:
        while self._in_flight >= IN_FLIGHT:
            self._room.clear()
            await self._room.wait()

    def _take(self, connection: Connection, message: Message) -> None:
        uplinks: list[Uplink] = []
        for piece in self._read(message):
            if isinstance(piece, Uplink):
                uplinks.append(piece)
            elif isinstance(piece, Polled):
                self._sink.polled(piece.device, piece.payload)
            elif isinstance(piece, Notice):
                self.health.count(f"event_{piece.name}")
            else:
                self.health.count(piece.reason)
                self._sink.noise(self.name, piece.reason)
        if not uplinks:
            connection.acknowledge(message)
            return
        waiting = len(uplinks)

        def answered(uplink: Uplink, refused: NotAccepted | None) -> None:
            nonlocal waiting
            self._in_flight -= 1
            self._room.set()
            waiting -= 1
            if refused is not None:
                waiting = -1  # never acknowledged, whatever becomes of the others
                self._not_accepted(connection, message, uplink, refused)
            elif waiting == 0:
                connection.acknowledge(message)

        self._in_flight += waiting
        for uplink in uplinks:
            self._sink.uplink(self.name, uplink, partial(answered, uplink))

    def _not_accepted(
        self, connection: Connection, message: Message, uplink: Uplink, refused: NotAccepted
    ) -> None:
        if message.mid is None:
            self.health.count("not_kept")
            self._sink.noise(self.name, "not_kept")
            self._not_kept(uplink)
        else:
            self.health.count("not_accepted")
            connection.close(f"the outbox can't commit: {refused}")
