"""Connections of the page: few, short, one request each.

In: an address to listen on, and who answers. Out: answers. A connection that says nothing sensible
in time is hung up on, and sooner when its seat is needed (`seats.py`). An address that can't be had
is said and tried again: the page must never stop what it shows. For the same reason an answer that
fails, whatever by, is logged with its traceback and answered with 500, and doesn't end the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import NamedTuple

from edge.page.http import Answer, Incoming, Refused, Request, encode
from edge.page.seats import Knows, Seat, Seats

BACKLOG = 16
REQUEST_S, ANSWER_S = 5.0, 10.0
RETRY_S = 10.0
READ_BYTES = 4096

log = logging.getLogger(__name__)


class Peer(NamedTuple):
    """Both ends' addresses, without ports."""

    address: str
    here: str


Handle = Callable[[Request, Peer], Coroutine[None, None, Answer]]


async def serve(host: str, port: int, handle: Handle, knows: Knows) -> None:
    """Answer until cancelled. `knows`: whether an address has a session."""
    while True:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.create_server((host, port), family=family, backlog=BACKLOG) as door:
                log.info("event=page host=%s port=%d", host, port)
                await _answer_all(door, handle, Seats(knows))
        except* OSError as group:
            why = str(group.exceptions[0])
            log.error("event=page_down host=%s port=%d why=%r", host, port, why)
        await asyncio.sleep(RETRY_S)


async def _answer_all(door: socket.socket, handle: Handle, seats: Seats) -> None:
    door.setblocking(False)

    async def one(connection: socket.socket, peer: Peer, seat: Seat) -> None:
        try:
            await _answer(connection, peer, handle, seat)
        finally:
            seats.leave(seat)

    async with asyncio.TaskGroup() as group:
        while True:
            await asyncio.sleep(0)  # however many connect: the agent's work comes in between
            try:
                connection, address = await asyncio.get_running_loop().sock_accept(door)
            except ConnectionError:  # who connected is gone already
                continue
            peer = Peer(address[0], connection.getsockname()[0])
            seat = Seat(peer.address, partial(_shut, connection))
            if seats.take(seat):
                group.create_task(one(connection, peer, seat))
            else:
                connection.close()


def _shut(connection: socket.socket) -> None:
    """Whoever reads or writes there notices."""
    with contextlib.suppress(OSError):  # gone already
        connection.shutdown(socket.SHUT_RDWR)


async def _answer(connection: socket.socket, peer: Peer, handle: Handle, seat: Seat) -> None:
    """One request, one answer."""
    reader, writer = await asyncio.open_connection(sock=connection, limit=READ_BYTES)
    try:
        only_head = False
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await _read(reader)
            only_head = request.method == "HEAD"
            answer = await _handled(request, peer, handle, seat)
        except Refused as refused:
            answer = Answer(refused.code, f"{refused.why}\n".encode(), "text/plain; charset=utf-8")
        async with asyncio.timeout(ANSWER_S):
            writer.write(encode(answer, only_head))
            await writer.drain()
            writer.write_eof()
            while await reader.read(READ_BYTES):  # what is unread would reset the connection
                pass
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass  # theirs to try again
    finally:
        writer.transport.abort()  # what isn't taken by now is kept no longer


async def _read(reader: asyncio.StreamReader) -> Request:
    incoming = Incoming()
    while True:
        request = incoming.feed(await reader.read(READ_BYTES))
        if request is not None:
            return request


async def _handled(request: Request, peer: Peer, handle: Handle, seat: Seat) -> Answer:
    seat.is_answered = True
    try:
        async with asyncio.TaskGroup() as group:  # of the one answer: what ends it ends here
            answering = group.create_task(handle(request, peer))
    except ExceptionGroup as ended:
        (why,) = ended.exceptions
        if isinstance(why, Refused):
            raise why from None
        log.error("event=page_fault path=%r", request.path, exc_info=why)
        raise Refused(500, "a fault of this page; the gateway works on") from why
    finally:
        seat.is_answered = False
    return answering.result()
