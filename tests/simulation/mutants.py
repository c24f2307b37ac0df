"""Faults of ours, put in by hand, that the simulation must catch; each one line of the real code.

confirm before the write     joiner tells `written`, then asks the store
acknowledge before commit    sealing returns to the network server at once
a window without expiry      a copy that died in the broker is waited for, for ever
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from edge.sealing import Sealing
from edge.window import Window
from ingest.joiner import Joiner, _shared_out


async def _told_before(self: Any, group: Any) -> None:
    await self._outcomes.written(_shared_out(group, {}))
    await self._store_all([line for batch in group for line in batch.checked.lines])


def _acknowledged_before(real: Callable[..., Any]) -> Callable[..., Any]:
    async def uplink(self: Any, link: str, heard: Any) -> None:
        coroutine = real(self, link, heard)
        coroutine.send(None)  # up to where it waits for the commit
        self.__dict__.setdefault("_abandoned", []).append(coroutine)

    return uplink


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "confirm before the write": (Joiner, "_write_until_known", _told_before),
    "acknowledge before commit": (Sealing, "uplink", _acknowledged_before(Sealing.uplink)),
    "a window without expiry": (Window, "_expire", lambda self, now: False),
}


@contextmanager
def put_in(name: str) -> Iterator[None]:
    """While the block lasts, that line is wrong."""
    owner, attribute, wrong = MUTANTS[name]
    with patch.object(owner, attribute, wrong):
        yield
