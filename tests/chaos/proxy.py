"""A TCP proxy that spoils what goes through it: `python -m tests.chaos.proxy NAME=PORT:TARGET…`.

Each route listens on 127.0.0.1:PORT and carries to 127.0.0.1:TARGET. Standard input takes a line a
word: `NAME MOOD`. `good` mends all but the connections that a mood has already spoilt.

    good       carries
    cut        resets every connection, at once; new ones are carried
    truncate   carries a part of the next bytes, then ends the connection
    stall      takes nothing and carries nothing (the sender's buffers fill); goes on when good
    delay      carries every piece later by up to 1.5 s, in order
    swallow    half-open: takes everything and carries nothing, to neither side; a connection that
               lost bytes so stays dead when it is good again, until one side gives it up
    refuse     the port refuses, and connections are reset
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import sys
from enum import StrEnum

HOST = "127.0.0.1"
PIECE_BYTES = 16 * 1024
DELAY_S = (0.05, 1.5)


class Mood(StrEnum):
    """What a route does with what goes through it."""

    GOOD = "good"
    CUT = "cut"
    TRUNCATE = "truncate"
    STALL = "stall"
    DELAY = "delay"
    SWALLOW = "swallow"
    REFUSE = "refuse"


class _Over(Exception):
    """This connection ends here, in the middle of what it carried."""


class _Link:
    """One connection through a route: two sockets and two directions."""

    def __init__(self, sides: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self._sides = sides
        self.dead = False

    def reset(self) -> None:
        """RST to both sides: what was still in a buffer is gone."""
        for side in self._sides:
            _abort(side)


class Route:
    """One port to one target, with its mood."""

    def __init__(self, port: int, target: int, draw: random.Random) -> None:
        self._port, self._target, self._draw = port, target, draw
        self._mood = Mood.GOOD
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, HOST, self._port)

    async def close(self) -> None:
        """Refuse from now on, and reset what there is."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset_all()

    async def become(self, mood: Mood) -> None:
        """Change the mood."""
        self._mood = mood
        if mood is Mood.STALL:
            self._flowing.clear()
        else:
            self._flowing.set()
        if mood is Mood.REFUSE:
            await self.close()
        else:
            await self.open()
        if mood is Mood.CUT:
            self._reset_all()

    def _reset_all(self) -> None:
        for link in self._links:
            link.reset()

    async def _carry(self, near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_in, far = await asyncio.open_connection(HOST, self._target)
        except OSError:
            _abort(near)
            return
        link = _Link((near, far))
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(link, near_in, far))
                group.create_task(self._pump(link, far_in, near))
        except* (_Over, OSError):
            pass
        finally:
            self._links.discard(link)
            for side in (near, far):
                side.close()

    async def _pump(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        """Until this direction ends; its end is carried too."""
        while True:
            await self._flowing.wait()
            piece = await source.read(PIECE_BYTES)
            await self._flowing.wait()
            if self._mood is Mood.SWALLOW:
                link.dead = True
            if link.dead and piece:
                continue
            if self._mood is Mood.DELAY:
                await asyncio.sleep(self._draw.uniform(*DELAY_S))
            if self._mood is Mood.TRUNCATE and piece:
                sink.write(piece[: self._draw.randrange(len(piece))])
                raise _Over
            if not piece:
                if sink.can_write_eof() and not link.dead:
                    sink.write_eof()
                return
            sink.write(piece)
            await sink.drain()


def _abort(side: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)  # on, for no time: close sends a reset
    with contextlib.suppress(OSError):  # closed already
        side.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    side.transport.abort()


async def _obey(routes: dict[str, Route], words: asyncio.StreamReader) -> None:
    while line := await words.readline():
        name, mood = line.decode().split()
        await routes[name].become(Mood(mood))
        print(f"{name} is {mood}", flush=True)


async def serve(routes: dict[str, Route]) -> None:
    """Carry until standard input ends."""
    loop = asyncio.get_running_loop()
    words = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    for route in routes.values():
        await route.open()
    print("ready", flush=True)
    await _obey(routes, words)
    for route in routes.values():
        await route.close()


def main() -> None:
    """`python -m tests.chaos.proxy SEED NAME=PORT:TARGET…`."""
    draw = random.Random(int(sys.argv[1]))

    async def run() -> None:
        routes = {}
        for word in sys.argv[2:]:
            name, _, ports = word.partition("=")
            port, _, target = ports.partition(":")
            routes[name] = Route(int(port), int(target), draw)
        await serve(routes)

    asyncio.run(run())


if __name__ == "__main__":
    main()
