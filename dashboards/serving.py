"""One web server within bounds, for the operators' page and for the public's. On uvicorn and h11.

    opened ──► waiting ──head whole──► body ──whole──► answered ──► waiting …     (a live page: no
                 │ head_s                │ body_s          │ unread_s              bound of these)
                 └───────────────────────┴─────────────────┴──► closed

uvicorn alone gives a place to whoever connects and says nothing, for ever. Here who waits has
`head_s` from its opening, or from the end of its last answer; a byte now and then doesn't make it
longer. `WAITING_FROM_ONE_MAX` wait from one address (IPv6: one /64), and when all places are taken
those who wait give theirs up; in both cases the one that has waited longest goes. So a whole
request is always heard, and only idle connections are closed: nobody behind the same address is
shut out, neither a village behind its provider's NAT nor a city behind a proxy that nobody told us
of. A trusted proxy may keep more of them open: it hears heads whole before it passes them on.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from enum import Enum, auto
from typing import Any, Literal, NamedTuple, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from dashboards.opendata.guard import network_of

WAITING_FROM_ONE_MAX = 256
"""A sixteenth of all places. Behind one address of a mobile network are many phones, and the public
page asks every two seconds: this many keep their connections between two questions. Who is closed
for the next one only connects again."""

OTHER_FILES = 256
"""File descriptors that aren't connections: the store's, the accounts', the libraries'."""

BACKLOG = 1024


class Bounds(NamedTuple):
    """What a connection may take. `open_max` places: with all of them answering, one more is told
    to come again (503). `unread_s`: for taking the next piece of an answer."""

    open_max: int = 4096
    waiting_from_one_max: int = WAITING_FROM_ONE_MAX
    head_s: float = 10.0
    body_s: float = 30.0
    unread_s: float = 30.0
    head_bytes_max: int = 16_384


BOUNDS = Bounds()


class Lobby:
    """Who waits, longest first, in all and by address."""

    def __init__(self) -> None:
        self._address: dict[Connection, str] = {}
        self._from: dict[str, dict[Connection, None]] = {}

    def enter(self, one: Connection, address: str) -> int:
        """The last one from there; how many wait from there now."""
        self.leave(one)
        self._address[one] = address
        there = self._from.setdefault(address, {})
        there[one] = None
        return len(there)

    def leave(self, one: Connection) -> None:
        """It asked, or is gone."""
        address = self._address.pop(one, None)
        if address is not None:
            there = self._from[address]
            del there[one]
            if not there:
                del self._from[address]

    def longest(self, address: str = "") -> Connection | None:
        """Who has waited longest: of that address, or of all."""
        return next(iter(self._from.get(address, ()) if address else self._address), None)


class _Configuration(uvicorn.Config):
    """What each connection is given: uvicorn's settings and ours."""

    def __init__(
        self, app: ASGIApp, bounds: Bounds, proxies: Collection[str], live: Literal["auto", "none"]
    ) -> None:
        bounds = bounds._replace(open_max=min(bounds.open_max, _files_max() - OTHER_FILES))
        super().__init__(
            app,
            http=Connection,
            ws=live,
            h11_max_incomplete_event_size=bounds.head_bytes_max,
            limit_concurrency=bounds.open_max,
            log_level="error",  # whoever sends nonsense shouldn't fill the log with it
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the application believes only the proxies it was told of
            timeout_graceful_shutdown=1,
            backlog=BACKLOG,
        )
        self.bounds, self.lobby, self.proxies = bounds, Lobby(), frozenset(proxies)


class _Stage(Enum):
    WAITING, BODY, ANSWER, OVER = auto(), auto(), auto(), auto()


class Connection(H11Protocol):
    """One connection, until it is a live page's (then it is uvicorn's WebSocket)."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert isinstance(config, _Configuration)
        self._bounds, self._lobby, self._proxies = config.bounds, config.lobby, config.proxies
        self._stage: tuple[_Stage, object] = (_Stage.ANSWER, None)
        self._limit: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # uvicorn's own
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._look()
        while len(self.connections) >= self._bounds.open_max:
            longest = self._lobby.longest()
            if longest is None or longest is self:
                break  # all others are being answered
            longest.give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lobby.leave(self)
        self._stop(self._limit, self._unread)

    def handle_events(self) -> None:
        super().handle_events()
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._go()
        super().handle_websocket_upgrade(event)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop(self._unread)
        self._unread = self.loop.call_later(self._bounds.unread_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop(self._unread)

    def give_up(self) -> None:
        """Close it, once what was answered is taken, or not taken in time."""
        self._go()
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._limit = self.loop.call_later(self._bounds.unread_s, self.transport.abort)
        else:
            self.connections.discard(self)  # its place is free now, not only when the loop turns

    def _look(self) -> None:
        """Where it stands, and how long it may stand there: from when it came there."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        stage = _Stage.ANSWER
        if cycle is None or cycle.response_complete:
            stage = _Stage.WAITING
        elif cycle.more_body:
            stage = _Stage.BODY
        if self._stage in ((_Stage.OVER, None), (stage, cycle)):
            return
        self._stage = (stage, cycle)
        self._lobby.leave(self)
        self._stop(self._limit)
        if stage is not _Stage.ANSWER:
            limit_s = self._bounds.body_s if stage is _Stage.BODY else self._bounds.head_s
            self._limit = self.loop.call_later(limit_s, self.give_up)
            self._wait()

    def _go(self) -> None:
        """It is a live page's from now on, or to be closed."""
        self._stage = (_Stage.OVER, None)
        self._lobby.leave(self)
        self._stop(self._limit, self._unread)

    def _wait(self) -> None:
        peer = self.client[0] if self.client else ""
        address = network_of(peer)
        if self._lobby.enter(self, address) > self._bounds.waiting_from_one_max:
            longest = self._lobby.longest(address)
            if longest is not None and peer not in self._proxies:
                longest.give_up()

    @staticmethod
    def _stop(*handles: asyncio.TimerHandle | None) -> None:
        for handle in handles:
            if handle is not None:
                handle.cancel()


class Server(uvicorn.Server):
    """uvicorn that leaves signals to us, says when it answers, and keeps to bounds.

    `live`: whether there are WebSockets. `proxies`: addresses whose connections are many people's.
    """

    def __init__(
        self,
        app: ASGIApp,
        answering: Callable[[], None],
        *,
        live: bool,
        proxies: Collection[str] = (),
        bounds: Bounds = BOUNDS,
    ) -> None:
        super().__init__(_Configuration(app, bounds, proxies, "auto" if live else "none"))
        self._answering = answering

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._answering()

    def end(self) -> None:
        """Stop serving."""
        self.should_exit = True

    def end_by_signal(self) -> None:
        """At SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    """The socket, and the address it is reached at.

    Raises:
        OSError: the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=BACKLOG) as listening:
        # Ours has no protocol number, so asyncio doesn't do it, and the second part of an answer
        # would wait until the first is acknowledged, 40 ms later. Connections inherit it.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound: int = listening.getsockname()[1]
        yield listening, f"http://{f'[{host}]' if ':' in host else host}:{bound}/"


def _files_max() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else OTHER_FILES + BOUNDS.open_max
