"""Who stands beside the running agent: what they are shown, and the little they may ask for.

The metrics look now and then; the gateway's own page and the remote configuration follow single
readings from the cable to the cloud. None of them can hold the line up: they hear, and are called
without being waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import reduce
from typing import NamedTuple, Protocol

from edge.beside import Beside
from edge.configuration import EdgeConfiguration
from edge.durations import Durations
from edge.links import Sink
from edge.links.lending import Lending
from edge.records import Sealed
from edge.uplink_snapshot import LastReadings
from wire.clock import Clock
from wire.messages import Fate, Status


class Seen(NamedTuple):
    """The agent as it is now, for whoever watches it."""

    status: Status
    confirm_times: Durations


Look = Callable[[], Awaitable[Seen]]
Watch = Callable[[Look], Coroutine[object, object, None]]
"""Runs beside the agent until its links stop, and looks when it likes; a look raises
`OutboxFailing` when the outbox can't be read."""


class Inside(NamedTuple):
    """The running agent. `links` by name, `last` the newest accepted reading of each device,
    `want` asks for a device's next reading at once, `beside` lets somebody speak over the uplink's
    connection, `clock` is the agent's own: the cloud's time where the machine's isn't believed."""

    configuration: EdgeConfiguration
    look: Look
    links: Mapping[str, Lending]
    last: LastReadings
    want: Callable[[str], None]
    time_trusted: Callable[[], bool]
    beside: Callable[[Beside], None]
    clock: Clock


class Onlooker(Protocol):
    """Follows single readings."""

    def ears(self, sink: Sink) -> Sink:
        """A sink that hears what links hear, and hands everything on to this one."""
        ...

    def sealed(self, batches: Sequence[Sealed]) -> None:
        """Batches on disk."""
        ...

    def settled(self, fates: Sequence[Fate]) -> None:
        """What the cloud said of batches of ours."""
        ...

    async def watch(self, inside: Inside) -> None:
        """Run beside the agent until its links stop."""
        ...


def all_ears(onlookers: Sequence[Onlooker], sink: Sink) -> Sink:
    """The sink with each of them before it."""
    return reduce(lambda inner, onlooker: onlooker.ears(inner), onlookers, sink)
