"""Where pages have long questions answered: one process at a time, each answer for all viewers.

    workshop = await workshop_of(context)
    told = await workshop.look("parking", question)    # the newest; asked again when it is old

An answer stays as long as its making may cost: at most `SHARE` of the time goes into one kind of
question, and none at all while nobody looks. While the store is away the last answer stays, with
its age; it is asked again by itself.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable

import msgspec

from dashboards.operators.context import Context
from dashboards.operators.reckoning import Answer, Asked, Question
from ingest.stores.configuration import StoreSettings
from wire.clock import Clock

SHARE = 0.04
EVERY_S, EVERY_S_MAX = 15.0, 600.0
AGAIN_S = 3.0
"""After a question that couldn't be answered."""

PATIENCE_S = 180.0
FOREVER_S = 1e12

log = logging.getLogger(__name__)


class Told(msgspec.Struct, frozen=True):
    """The newest answer to a question: JSON text, empty before the first; `why` it couldn't be
    asked again, and whether that is because the store is away."""

    text: str = ""
    number: int = 0
    why: str = ""
    store_away: bool = False


class _Known(msgspec.Struct):
    told: Told = Told()
    next_at: float = float("-inf")


class Workshop:
    """Asks and remembers; a question is known by its name (parking, waste, round)."""

    def __init__(self, store: StoreSettings, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._turn = asyncio.Lock()
        self._known: dict[str, _Known] = {}

    def told(self, name: str) -> Told:
        """The newest answer there is."""
        return self._known.get(name, _Known()).told

    async def look(
        self, name: str, question: Callable[[], Question], *, away: bool = False
    ) -> Told:
        """The newest answer, asked again when it is old; who comes meanwhile gets the same. A store
        that is known to be `away` isn't asked, but at once when it is back."""
        known = self._known.setdefault(name, _Known())
        if away:
            known.told = msgspec.structs.replace(
                known.told, why="the store is away", store_away=True
            )
            known.next_at = float("-inf")
            return known.told
        if known.told.text and self._clock.monotonic() < known.next_at:
            return known.told
        async with self._turn:
            if self._clock.monotonic() >= known.next_at:
                await self._ask(known, question())
        return known.told

    async def again(self, name: str, question: Callable[[], Question]) -> Told:
        """Ask now, however new the last answer is."""
        known = self._known.setdefault(name, _Known())
        async with self._turn:
            await self._ask(known, question())
        return known.told

    async def _ask(self, known: _Known, question: Question) -> None:
        began = self._clock.monotonic()
        answer = await self._answer(question)
        now = self._clock.monotonic()
        if answer.why:
            known.told = msgspec.structs.replace(
                known.told, why=answer.why, store_away=answer.store_away
            )
            known.next_at = now + AGAIN_S
        else:
            known.told = Told(bytes(answer.result).decode(), known.told.number + 1)
            known.next_at = now + min(max(EVERY_S, (now - began) / SHARE), EVERY_S_MAX)

    async def _answer(self, question: Question) -> Answer:
        """From a process of its own, which ends with this call, come what may."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dashboards.operators.reckoning"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        asked = msgspec.json.encode(Asked(self._store, question))
        try:
            async with asyncio.timeout(PATIENCE_S):
                said, _ = await process.communicate(asked)
        except TimeoutError:
            return Answer(why=f"no answer within {PATIENCE_S:g} s")
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            log.error("event=reckoning_failed code=%d", process.returncode)
            return Answer(why="it failed; the page's log says why")
        return msgspec.json.decode(said, type=Answer)


async def workshop_of(context: Context) -> Workshop:
    """The process's one."""

    async def make() -> Workshop:
        return Workshop(context.configuration.store, context.clock)

    return await context.shared.get("workshop", FOREVER_S, make)
