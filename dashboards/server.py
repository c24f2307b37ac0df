"""The page's process: one web server, one feed, and an end within a second.

    asyncio.run(serve(feed, about, host="127.0.0.1", port=8080, ready=print))

`/` is the page, `/api/state` the same picture as JSON, `/healthz` tells whether the store answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import msgspec
import uvicorn
from fastapi import FastAPI, Response
from nicegui import Client, ui

from dashboards.device import Mark
from dashboards.feed import Feed
from dashboards.page import About, build
from dashboards.texts import Language, words
from devices.reading import Value

_RECONNECT_S = 3.0
_FIRST_LOOK_S = 2.0  # so that the first viewer sees the city at once
_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" '
    'rx="5" fill="#0072b2"/><path d="M4 13 12 5l8 8v6H4z" fill="#fff"/><circle cx="12" cy="14" '
    'r="2.5" fill="#009e73"/></svg>'
)


class DeviceState(msgspec.Struct, frozen=True):
    """One device in `/api/state`. `age_s` is absent before its first reading."""

    name: str
    kind: str
    label: str
    site: str
    zone: str
    gateway: str
    state: str
    time_ms: int
    age_s: float | None
    fields: dict[str, Value]

    @classmethod
    def of(cls, mark: Mark, now_ms: int) -> DeviceState:
        """The same, without what only a map needs."""
        return cls(
            name=mark.name,
            kind=mark.kind,
            label=mark.label,
            site=mark.site,
            zone=mark.zone,
            gateway=mark.gateway,
            state=mark.state,
            time_ms=mark.time_ms,
            age_s=(now_ms - mark.time_ms) / 1000 if mark.time_ms else None,
            fields=mark.fields,
        )


class CityState(msgspec.Struct, frozen=True):
    """`/api/state`: when it was (city time), whether the store is away, and every device."""

    now_ms: int
    read_ms: int
    store_away: bool
    devices: list[DeviceState]


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us and says when it answers."""

    def __init__(self, config: uvicorn.Config, answering: Callable[[], None]) -> None:
        super().__init__(config)
        self._answering = answering

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._answering()


async def serve(
    feed: Feed, about: About, *, host: str, port: int, ready: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets the address once it answers.

    Raises:
        OSError: the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        bound: int = listening.getsockname()[1]
        address = f"http://{f'[{host}]' if ':' in host else host}:{bound}/"
        config = uvicorn.Config(
            application(feed, about),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config, lambda: ready(address))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _end, server)
        async with asyncio.TaskGroup() as group:
            following = group.create_task(feed.run())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_LOOK_S):
                    await feed.looked.wait()
            await server.serve([listening])
            following.cancel()


def _end(server: uvicorn.Server) -> None:
    server.should_exit = True


def application(feed: Feed, about: About) -> FastAPI:
    """The page and its two plain addresses. NiceGUI has one page a process, so this does too."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/api/state")
    async def state() -> Response:
        return Response(msgspec.json.encode(city_state(feed)), media_type="application/json")

    @app.get("/healthz")
    async def health() -> Response:
        away = feed.board.away or not feed.board.read_ms
        text = "store away" if away else "ok"
        return Response(text, status_code=503 if away else 200, media_type="text/plain")

    @ui.page("/", title=words(Language.INDONESIAN)["page.title"])
    async def page(client: Client, lang: str = "") -> None:
        build(client, feed, about, Language.of(lang))

    ui.run_with(
        app,
        title="gampong",
        favicon=_FAVICON,
        tailwind=False,
        reconnect_timeout=_RECONNECT_S,
        binding_refresh_interval=None,
        show_welcome_message=False,
        message_history_length=200,
    )
    return app


def city_state(feed: Feed) -> CityState:
    """What `/api/state` answers now."""
    snapshot = feed.board.snapshot(feed.clock.now_ms())
    return CityState(
        now_ms=snapshot.now_ms,
        read_ms=snapshot.read_ms,
        store_away=snapshot.away,
        devices=[DeviceState.of(mark, snapshot.now_ms) for mark in snapshot.marks],
    )
