"""Whoever else speaks over the uplink's connection: remote configuration, commands, certificates.

They are guests: a broker that refuses them (its access list is older than this agent) takes nothing
from the readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edge.broker import Connection, NotHeard, Received


class Beside(Protocol):
    """One guest of the uplink."""

    @property
    def topics(self) -> Sequence[str]:
        """What it wants to hear."""
        ...

    def hear(self, message: Received) -> None:
        """A message on one of its topics; never raises, whatever is in it."""
        ...

    async def speak(self, connection: Connection) -> None:
        """Runs as long as this connection does; subscribes by itself (`may_hear`).

        Raises:
            ConnectionLost: the connection ended.
        """
        ...


async def may_hear(connection: Connection, topics: Sequence[str]) -> bool:
    """Subscribe to all at once; False when the broker doesn't let us hear one of them, which ends
    nothing, nor the others.

    Raises:
        ConnectionLost: the connection ended.
    """
    try:
        await connection.subscribe(topics)
    except NotHeard:
        return False
    return True
