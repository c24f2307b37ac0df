"""The page's process: one web server, one feed, and an end within a second.

    asyncio.run(serve(feed, about, host="127.0.0.1", port=8080, ready=print))

`/` is the page, `/api/state` the same picture as JSON, `/api/board` what a page begins with,
`/healthz` tells whether the store answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI, Request, Response
from nicegui import Client, ui

from dashboards.answers import Answers
from dashboards.feed import Feed
from dashboards.page import About, build
from dashboards.state_text import StateText
from dashboards.texts import Language, words

_RECONNECT_S = 30.0  # a phone that opens a large city may be busy for long
_FIRST_LOOK_S = 2.0  # so that the first viewer sees the city at once
_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" '
    'rx="5" fill="#0072b2"/><path d="M4 13 12 5l8 8v6H4z" fill="#fff"/><circle cx="12" cy="14" '
    'r="2.5" fill="#009e73"/></svg>'
)


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
        state, board = (
            Answers(StateText(feed).encode, feed.clock),
            Answers(feed.snapshot, feed.clock),
        )
        feed.listeners |= {state.tell, board.tell}
        config = uvicorn.Config(
            application(feed, about, state, board),
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
            running = [group.create_task(each.run()) for each in (feed, state, board)]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_LOOK_S):
                    await feed.looked.wait()
            await server.serve([listening])
            for task in running:
                task.cancel()


def _end(server: uvicorn.Server) -> None:
    server.should_exit = True


def application(feed: Feed, about: About, state: Answers, board: Answers) -> FastAPI:
    """The page and its plain addresses. NiceGUI has one page a process, so this does too."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/api/state")
    async def api_state(request: Request) -> Response:
        return await _answered(state, request)

    @app.get("/api/board")
    async def api_board(request: Request) -> Response:
        return await _answered(board, request)

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


async def _answered(answers: Answers, request: Request) -> Response:
    """The newest answer, or that who asks has it already."""
    answer = await answers.get(request.headers.get("accept-encoding", ""))
    headers = {"ETag": answer.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if answer.tag in request.headers.get("if-none-match", "").replace(" ", "").split(","):
        return Response(status_code=304, headers=headers)
    if answer.coding:
        headers["Content-Encoding"] = answer.coding
    return Response(answer.body, headers=headers, media_type="application/json")
