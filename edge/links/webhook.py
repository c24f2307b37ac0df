"""Signed events over HTTP: what a payment gateway, or a waste bank, posts.

In: POST requests, each one event. Out: to the sink; the answer 200 comes only after the commit, so
that who got it may forget the event. It listens where a proxy that ends TLS can reach it, and holds
without one: a head of 16 KiB, a body of `body_bytes_max`, `request_s` for the whole request, one
request a connection, `CONNECTIONS_MAX` connections. When these are taken, the one that has been
sending its request the longest is hung up on, so that slow clients keep nobody out.

Answers are a status and a word of a closed list (`events.py`); nothing that came is repeated.
"""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import h11

from edge.link_files import sender_secrets
from edge.link_settings import Webhook
from edge.links import Sink
from edge.links.events import Events, Outcome, Terminal
from edge.links.health import Backoff, Health
from edge.links.told import Told
from wire.clock import Clock
from wire.configuration import ConfigurationError
from wire.messages import LinkStatus
from wire.small_file import Kept

CONNECTIONS_MAX = 64
"""At once; the next one takes the place of the slowest, or waits in the kernel's backlog while
all of them wait for the disk."""

BACKLOG = 128
HEAD_BYTES_MAX = 16 * 1024
READ_SIZE = 16 * 1024
ANSWER_S = 5.0
RETRY_LOW_S, RETRY_HIGH_S = 0.5, 30.0
RETRY_AFTER = "30"


class _Request(NamedTuple):
    """A whole one."""

    method: str
    topic: str
    headers: Mapping[str, str]
    body: bytes


class _Refused(Exception):
    """A request that isn't read to its end."""

    def __init__(self, status: int, word: str) -> None:
        self.outcome = Outcome(status, word)
        super().__init__(word)


class WebhookLink:
    """One sender's door.

    Args:
        settings: the link's.
        terminals: its devices.
        sink, clock, time_trusted: as for any link.
    """

    def __init__(
        self,
        settings: Webhook,
        terminals: Sequence[Terminal],
        sink: Sink,
        clock: Clock,
        time_trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings, self._terminals = settings, terminals
        self._sink, self._clock, self._time_trusted = sink, clock, time_trusted
        self._secrets = Kept(lambda: sender_secrets(settings.signature.secret_files))
        self.health = Health(settings.name)
        self.port = 0
        self._reading: dict[object, asyncio.Timeout] = {}
        self._open = 0
        self._room = asyncio.Event()

    @property
    def name(self) -> str:
        return self.health.name

    def status(self) -> LinkStatus:
        """Events that weren't taken, by reason."""
        return self.health.status()

    async def run(self) -> None:
        """Serve until cancelled."""
        backoff = Backoff(RETRY_LOW_S, RETRY_HIGH_S)
        while True:
            try:
                await self._serve()
            except (OSError, ConfigurationError, sqlite3.Error) as error:
                self.health.down(str(error))
                self.health.count("door")
            await self._clock.pause(backoff.next_s())

    async def _serve(self) -> None:
        """Listen, from opening the door to losing it."""
        settings = self._settings
        self._secrets.now()  # before anybody can come
        told = Told(settings.numbers_path, settings.name)
        try:
            with _door(settings.where) as door:
                self.port = door.getsockname()[1]
                events = Events(
                    settings,
                    self._terminals,
                    self._secrets,
                    self._sink,
                    self._clock,
                    self._time_trusted,
                    told,
                    self.health,
                )
                self.health.up()
                await self._accept_all(door, events)
        finally:
            told.close()

    async def _accept_all(self, door: socket.socket, events: Events) -> None:
        """Until the door is lost.

        Raises:
            OSError: it is.
        """
        loop = asyncio.get_running_loop()
        self._open, self._reading = 0, {}  # those of a door that was lost ended with it
        answering: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    connection, _ = await loop.sock_accept(door)
                    await self._until_room()
                    self._open += 1
                    answer = group.create_task(self._answer(connection, events))
                    answering.add(answer)
                    answer.add_done_callback(answering.discard)
            except OSError as error:
                lost = error  # raised outside: `wire/together.py` says why
                for answer in answering:
                    answer.cancel()
        raise lost

    async def _until_room(self) -> None:
        while self._open >= CONNECTIONS_MAX:
            self._room.clear()
            slowest = next((me for me, one in self._reading.items() if not one.expired()), None)
            if slowest is not None:
                self._reading.pop(slowest).reschedule(0.0)
            await self._room.wait()

    async def _answer(self, connection: socket.socket, events: Events) -> None:
        """One request, one answer."""
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=READ_SIZE)
            try:
                outcome = await self._outcome(protocol, reader, writer, events)
                async with asyncio.timeout(ANSWER_S):
                    await _say(protocol, writer, outcome)
            finally:
                writer.close()
        except (OSError, TimeoutError, h11.LocalProtocolError):  # the last: no answer fits
            self.health.count("hung_up")
        finally:
            self._open -= 1
            self._room.set()

    async def _outcome(
        self,
        protocol: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        events: Events,
    ) -> Outcome:
        me = object()
        try:
            async with asyncio.timeout(self._settings.request_s) as deadline:
                self._reading[me] = deadline
                self._room.set()  # one more that may be hung up on
                request = await _read(protocol, reader, writer, self._settings.body_bytes_max)
        except TimeoutError:
            self._count("slow")
            return Outcome(408, "slow")
        except _Refused as refused:
            self._count(refused.outcome.word)
            return refused.outcome
        finally:
            self._reading.pop(me, None)
        if not events.serves(request.topic):
            self._count("address")
            return Outcome(404, "address")
        if request.method != "POST":
            self._count("method")
            return Outcome(405, "method" if request.method != "HEAD" else "")
        return await events.take(request.topic, request.headers, request.body)

    def _count(self, word: str) -> None:
        self.health.count(word)
        self._sink.noise(self.name, word)


def _door(where: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    door = socket.create_server(where, family=family, backlog=BACKLOG)
    door.setblocking(False)
    return door


async def _read(
    protocol: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    body_max: int,
) -> _Request:
    """A whole request.

    Raises:
        _Refused: it isn't HTTP, too long, or ends too early.
    """
    head: h11.Request | None = None
    body = bytearray()
    try:
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                if protocol.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    writer.write(protocol.send(go_on) or b"")
                protocol.receive_data(await reader.read(READ_SIZE))
            elif isinstance(event, h11.Request):
                head = event
                if _length(event) > body_max:
                    raise _Refused(413, "too_large")
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > body_max:
                    raise _Refused(413, "too_large")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                break
            else:  # closed before a request
                raise _Refused(400, "not_http")
    except h11.RemoteProtocolError as error:
        raise _Refused(error.error_status_hint, "not_http") from error
    except ValueError as error:  # a length of five thousand digits
        raise _Refused(400, "not_http") from error
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    path = head.target.decode("latin-1").partition("?")[0]
    return _Request(head.method.decode("latin-1"), path.strip("/"), headers, bytes(body))


def _length(request: h11.Request) -> int:
    """What Content-Length says; h11 has seen that it is a number."""
    return next((int(value) for name, value in request.headers if name == b"content-length"), 0)


async def _say(protocol: h11.Connection, writer: asyncio.StreamWriter, outcome: Outcome) -> None:
    """The answer, unless nobody is there for one."""
    if protocol.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    body = f'{{"result":"{outcome.word}"}}\n'.encode() if outcome.word else b""
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
    ]
    if outcome.status == 405:
        headers.append(("Allow", "POST"))
    if outcome.status == 503:
        headers.append(("Retry-After", RETRY_AFTER))
    parts = [
        protocol.send(h11.Response(status_code=outcome.status, headers=headers)),
        protocol.send(h11.Data(data=body)),
        protocol.send(h11.EndOfMessage()),
    ]
    writer.write(b"".join(part or b"" for part in parts))
    await writer.drain()
