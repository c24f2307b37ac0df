"""Sessions: who is logged in, in which browsers, until when.

A session's token is 32 random bytes in a cookie; the file holds only its SHA-256, so that who reads
the file can't log in with it. It ends after `idle_s` without a request or an open page, after
`life_s` in any case, on log-out, and when its account's password or role changes (`accounts` takes
its row away). Whoever holds on to a session, an open page's connection, is told when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from dashboards.operators.visitor import Role, Visitor
from wire.clock import Clock

LOOK_S = 2.0
SEEN_EVERY_MS = 30_000
AN_ACCOUNTS_MAX = 20
"""Sessions of one account at once; the one that was seen longest ago ends."""

TOKEN_LETTERS = 43
ENDING_S = 2.0  # what a holder may take; a browser that doesn't answer keeps nobody waiting

Ended = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)


class Session(msgspec.Struct, frozen=True):
    """One browser's. `digest` is of its token, `form` is what its forms must bring back."""

    digest: bytes
    visitor: Visitor
    form: str


class Sessions:
    """The sessions in the accounts' file; `run` it for the process's life. `clock` is wall time."""

    def __init__(
        self, file: sqlite3.Connection, clock: Clock, *, idle_s: float, life_s: float
    ) -> None:
        self._file, self._clock = file, clock
        self._idle_ms, self._life_ms = int(idle_s * 1000), int(life_s * 1000)
        self._held: defaultdict[bytes, set[Ended]] = defaultdict(set)

    def begin(self, name: str) -> str:
        """A new session of that account: its token."""
        token, now_ms = secrets.token_urlsafe(32), self._clock.now_ms()
        self._file.execute(
            "INSERT INTO session (digest, name, began_ms, seen_ms) VALUES (?, ?, ?, ?)",
            (_digest(token), name, now_ms, now_ms),
        )
        self._file.execute(
            "DELETE FROM session WHERE name = ? AND digest NOT IN (SELECT digest FROM session "
            "WHERE name = ? ORDER BY seen_ms DESC, began_ms DESC, rowid DESC LIMIT ?)",
            (name, name, AN_ACCOUNTS_MAX),
        )
        return token

    def find(self, token: str) -> Session | None:
        """The session of that token, which was seen now; None when there is none (any more)."""
        if len(token) != TOKEN_LETTERS or not token.isascii():
            return None
        digest, now_ms = _digest(token), self._clock.now_ms()
        row = self._file.execute(
            "SELECT name, role, seen_ms FROM session JOIN account USING (name) "
            "WHERE digest = ? AND began_ms > ? AND seen_ms > ?",
            (digest, now_ms - self._life_ms, now_ms - self._idle_ms),
        ).fetchone()
        if row is None:
            return None
        name, role, seen_ms = row
        if now_ms - seen_ms > SEEN_EVERY_MS:
            with contextlib.suppress(sqlite3.OperationalError):  # a full disk: `run` says so
                self._see(digest, now_ms)
        form = hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()
        return Session(digest, Visitor(name, Role(role)), form)

    async def end(self, digest: bytes) -> None:
        """Log out."""
        self._file.execute("DELETE FROM session WHERE digest = ?", (digest,))
        await self._tell_ended({digest})

    def hold(self, digest: bytes, ended: Ended) -> Callable[[], None]:
        """Have `ended` called once the session is over; the answer lets go of it."""
        self._held[digest].add(ended)

        def let_go() -> None:
            holders = self._held.get(digest, set())
            holders.discard(ended)
            if not holders:
                self._held.pop(digest, None)

        return let_go

    async def run(self) -> None:
        """See that sessions end when they should; until cancelled. A full disk ends none of them
        here: `find` goes by their times, whether or not their rows can be taken away."""
        while True:
            try:
                await self.look()
            except sqlite3.OperationalError as error:
                log.warning("event=sessions_unwritten reason=%s", error)
            await self._clock.pause(LOOK_S)

    async def look(self) -> None:
        """End what is over; a session with an open page was seen now."""
        now_ms = self._clock.now_ms()
        for digest in self._held:
            self._see(digest, now_ms, SEEN_EVERY_MS)
        self._file.execute(
            "DELETE FROM session WHERE began_ms <= ? OR seen_ms <= ?",
            (now_ms - self._life_ms, now_ms - self._idle_ms),
        )
        known = {digest for (digest,) in self._file.execute("SELECT digest FROM session")}
        await self._tell_ended(self._held.keys() - known)

    def _see(self, digest: bytes, now_ms: int, after_ms: int = 0) -> None:
        self._file.execute(
            "UPDATE session SET seen_ms = ? WHERE digest = ? AND seen_ms < ?",
            (now_ms, digest, now_ms - after_ms),
        )

    async def _tell_ended(self, digests: Iterable[bytes]) -> None:
        holders = [ended for digest in digests for ended in self._held.pop(digest, set())]
        async with asyncio.TaskGroup() as group:
            for ended in holders:
                group.create_task(_within(ended))


async def _within(ended: Ended) -> None:
    """A holder whose browser has gone (OSError; TimeoutError is one), or that was closed already
    (RuntimeError), keeps none of the others from being told."""
    with contextlib.suppress(OSError, RuntimeError):
        async with asyncio.timeout(ENDING_S):
            await ended()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
