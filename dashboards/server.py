"""The Command Center's process: one web server, one feed, and an end within a second.

    asyncio.run(serve(Given(…), host="127.0.0.1", port=8080, ready=print))

The sections are NiceGUI's pages (`operators/pages`). `/api/state` is the live picture as JSON,
`/api/board` what a page begins with, `/api/visitor` who is logged in, `/healthz` tells whether the
store answers. `Door` stands before all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from nicegui import ui

from dashboards.answers import Answers
from dashboards.archive import Archive
from dashboards.configuration import PageConfiguration
from dashboards.feed import Feed
from dashboards.operators.account_file import MEMORY, open_file
from dashboards.operators.accounts import Accounts
from dashboards.operators.alarms import Alarms
from dashboards.operators.audit import Audit
from dashboards.operators.door import Door, entrance_of
from dashboards.operators.installable import ICON, add_files
from dashboards.operators.log_in import LogIn
from dashboards.operators.pages import SECTIONS
from dashboards.operators.portal import Portal
from dashboards.operators.scripts import mark_scripts
from dashboards.operators.sessions import Sessions
from dashboards.operators.shared import Shared
from dashboards.operators.sockets import bind_sockets
from dashboards.page import About
from dashboards.round_configuration import RoundConfiguration
from dashboards.serving import Server, listen
from dashboards.state_text import StateText
from dashboards.store_file import open_source
from wire.clock import Clock

_RECONNECT_S = 30.0  # a phone that opens a large city may be busy for long
_FIRST_LOOK_S = 2.0  # so that the first viewer sees the city at once
_ASKING_MAX = 64  # questions to the store at once, of all operators
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Given:
    """What a process serves, all of it checked. `clock` is the city's, `wall` the machine's."""

    configuration: PageConfiguration
    round: RoundConfiguration | None
    about: About
    clock: Clock
    wall: Clock


async def serve(given: Given, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` gets the address once it answers.

    Raises:
        OSError: the address can't be had.
        ConfigurationError: the accounts' file can't be used.
    """
    accounts = given.configuration.accounts
    with (
        contextlib.closing(open_file(accounts.file or MEMORY)) as file,
        listen(host, port) as (listening, address),
    ):
        portal = _portal(given, file)
        feed, sessions = portal.feed, portal.sessions
        state, board = (
            Answers(StateText(feed).encode, feed.clock),
            Answers(feed.snapshot, feed.clock),
        )
        feed.listeners |= {state.tell, board.tell}
        log_in = _log_in(given, file, portal)
        app = _application(portal, state, board, log_in)
        server = Server(
            GZipMiddleware(Door(app, accounts, sessions)),
            lambda: ready(address),
            live=True,
            proxies=accounts.trusted_proxies,
        )
        server.end_by_signal()
        async with asyncio.TaskGroup() as group:
            lasting = [feed.run(), state.run(), board.run(), portal.alarms.run()]
            lasting += [sessions.run()] if sessions else []
            running = [group.create_task(each) for each in lasting]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_LOOK_S):
                    await feed.looked.wait()
            await server.serve([listening])
            for task in running:
                task.cancel()
            await portal.archive.close()


def _portal(given: Given, file: sqlite3.Connection) -> Portal:
    """What all viewers share."""
    configuration, clock = given.configuration, given.clock
    accounts = configuration.accounts
    source = partial(open_source, configuration.store, clock)
    archive = Archive(source, waiting_max=_ASKING_MAX, patience_s=_PATIENCE_S)
    idle_s, life_s = accounts.idle_minutes * 60, accounts.session_hours * 3600
    sessions = Sessions(file, given.wall, idle_s=idle_s, life_s=life_s) if accounts.file else None
    return Portal(
        feed=Feed(source, clock),
        about=given.about,
        configuration=configuration,
        round=given.round,
        archive=archive,
        shared=Shared(clock),
        alarms=Alarms(archive, clock, configuration.alerts.desk_file),
        log=Audit(file, accounts.audit_rows),
        sessions=sessions,
        clock=clock,
        wall=given.wall,
    )


def _log_in(given: Given, file: sqlite3.Connection, portal: Portal) -> LogIn | None:
    if portal.sessions is None:
        return None
    accounts = given.configuration.accounts
    return LogIn(accounts, Accounts(file), portal.sessions, portal.log, given.wall)


def _application(portal: Portal, state: Answers, board: Answers, log_in: LogIn | None) -> FastAPI:
    """The plain addresses, then the pages, which take all others. NiceGUI has one application a
    process, so this does too."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/api/state")
    async def api_state(request: Request) -> Response:
        return await _answered(state, request)

    @app.get("/api/board")
    async def api_board(request: Request) -> Response:
        return await _answered(board, request)

    @app.get("/api/visitor")
    async def visitor(request: Request) -> Response:
        body = msgspec.json.encode(entrance_of(request.scope).visitor)
        return Response(body, headers={"Cache-Control": "no-store"}, media_type="application/json")

    @app.get("/healthz")
    async def health() -> Response:
        away = portal.feed.board.away or not portal.feed.board.read_ms
        text = "store away" if away else "ok"
        return Response(text, status_code=503 if away else 200, media_type="text/plain")

    add_files(app)
    if log_in is not None:
        log_in.add(app)
    for section in SECTIONS:
        portal.page(section, SECTIONS)
    bind_sockets()
    mark_scripts()
    ui.run_with(
        app,
        title="gampong",
        favicon=ICON,
        tailwind=False,
        reconnect_timeout=_RECONNECT_S,
        binding_refresh_interval=None,
        show_welcome_message=False,
        message_history_length=200,
        gzip_middleware_factory=None,  # ours is outside, so that the door sees pages as text
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
