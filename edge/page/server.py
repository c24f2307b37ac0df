"""Connections of the page: few, short, one request each.

In: an address to listen on, and who answers. Out: answers. A connection that says nothing sensible
in time is hung up on; one too many is closed at once. An address that can't be had is said and
tried again: the page must never stop what it shows. For the same reason a fault in an answer is
logged with its traceback and answered with 500, and doesn't end the agent.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from edge.page.http import Answer, Incoming, Refused, Request, encode

CONNECTIONS_MAX, FROM_ONE_MAX = 16, 6
"""At once, in all and from one address; a browser opens six."""

BACKLOG = 16
REQUEST_S, ANSWER_S = 5.0, 10.0
RETRY_S = 10.0
READ_BYTES = 4096

log = logging.getLogger(__name__)


class Peer(NamedTuple):
    """Both ends' addresses, without ports."""

    address: str
    here: str


Handle = Callable[[Request, Peer], Awaitable[Answer]]


async def serve(host: str, port: int, handle: Handle) -> None:
    """Answer until cancelled."""
    while True:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.create_server((host, port), family=family, backlog=BACKLOG) as door:
                log.info("event=page host=%s port=%d", host, port)
                await _answer_all(door, handle)
        except* OSError as group:
            why = str(group.exceptions[0])
            log.error("event=page_down host=%s port=%d why=%r", host, port, why)
        await asyncio.sleep(RETRY_S)


async def _answer_all(door: socket.socket, handle: Handle) -> None:
    door.setblocking(False)
    there: Counter[str] = Counter()

    async def one(connection: socket.socket, peer: Peer) -> None:
        try:
            await _answer(connection, peer, handle)
        finally:
            there[peer.address] -= 1
            if not there[peer.address]:
                del there[peer.address]

    async with asyncio.TaskGroup() as group:
        while True:
            connection, address = await asyncio.get_running_loop().sock_accept(door)
            peer = Peer(address[0], connection.getsockname()[0])
            if there.total() >= CONNECTIONS_MAX or there[peer.address] >= FROM_ONE_MAX:
                connection.close()
                continue
            there[peer.address] += 1
            group.create_task(one(connection, peer))


async def _answer(connection: socket.socket, peer: Peer, handle: Handle) -> None:
    """One request, one answer."""
    reader, writer = await asyncio.open_connection(sock=connection, limit=READ_BYTES)
    try:
        only_head = False
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await _read(reader)
            only_head = request.method == "HEAD"
            answer = await _handled(request, peer, handle)
        except Refused as refused:
            answer = Answer(refused.code, f"{refused.why}\n".encode(), "text/plain; charset=utf-8")
        async with asyncio.timeout(ANSWER_S):
            writer.write(encode(answer, only_head))
            await writer.drain()
            writer.write_eof()
            while await reader.read(READ_BYTES):  # what is unread would reset the connection
                pass
    except (OSError, TimeoutError):
        pass  # theirs to try again
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    incoming = Incoming()
    while True:
        request = incoming.feed(await reader.read(READ_BYTES))
        if request is not None:
            return request


async def _handled(request: Request, peer: Peer, handle: Handle) -> Answer:
    (answer,) = await asyncio.gather(handle(request, peer), return_exceptions=True)
    if isinstance(answer, Answer):
        return answer
    if isinstance(answer, Refused) or not isinstance(answer, Exception):
        raise answer
    log.error("event=page_fault path=%r", request.path, exc_info=answer)
    raise Refused(500, "a fault of this page; the gateway works on")
