"""A page hears only the sockets of its own session.

NiceGUI finds the page that a message is for by the id in it, whoever sends it. The id is random and
stands in the page alone, but also in the socket's address, which a proxy may write into its log; so
who knows it, and is logged in as somebody else, is still refused here.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from nicegui import Client, core

from dashboards.operators.door import Entrance

MESSAGES = ("handshake", "event", "javascript_response", "ack", "log")
"""What NiceGUI's script sends; each names a page."""

Handler = Callable[..., Any]


def bind_sockets() -> None:
    """Put the question before each of NiceGUI's own answers. Once a process."""
    handlers = core.sio.handlers["/"]
    for name in MESSAGES:
        core.sio.on(name, _bound(handlers[name]))
    core.sio.on("connect", _bound_connect(handlers["connect"]))


def _bound(answer: Handler) -> Callable[[str, object], Awaitable[Any]]:
    async def bound(socket: str, message: object) -> Any:
        page = message.get("client_id") if isinstance(message, dict) else None
        if not isinstance(page, str) or not _is_own(core.sio.get_environ(socket), page):
            return False
        said = answer(socket, message)
        return await said if inspect.isawaitable(said) else said

    return bound


def _bound_connect(answer: Handler) -> Callable[..., Awaitable[Any]]:
    async def bound(socket: str, environ: dict[str, Any], auth: object = None) -> Any:
        page = parse_qs(environ.get("QUERY_STRING", "")).get("client_id", [""])[0]
        if page and not _is_own(environ, page):
            return False  # socket.io refuses the connection
        return await answer(socket, environ, auth)

    return bound


def _is_own(environ: dict[str, Any] | None, page: str) -> bool:
    """Whether the socket came in with the session that the page was built for. A page that is gone
    is NiceGUI's to answer: the browser loads it again."""
    client = Client.instances.get(page)
    if client is None or environ is None:
        return environ is not None
    built, came = client.request.scope.get("gampong"), environ["asgi.scope"].get("gampong")
    if not isinstance(built, Entrance) or not isinstance(came, Entrance):
        return False
    return built.digest == came.digest
