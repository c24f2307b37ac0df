"""A burst: many readings of one device in a short time, by its own link, from beside the agent.

In: a configuration with that device and its link alone. Out: each reading's fields as its driver
decodes them, what was refused, and why the link ended early. Nothing is stored.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from devices.envelope import Uplink
from devices.reading import Payload, Refusal, Undecodable, Value, check_fields
from edge.configuration import EdgeConfiguration
from edge.drivers import driver_of
from edge.links import Answered, Link
from edge.links.make import make_links
from wire.clock import Clock

INTERVAL_S = 0.25
"""Rangers measure ten times a second; an echo has died away in a tenth."""

SILENT_S = 5.0
"""A wired sensor of which nothing could be read for so long is off, or isn't there: whoever stands
on a ladder hears it now."""

_LOOK_S = 0.05


class Burst(msgspec.Struct):
    """What came. `lost` is why the port ended it, "" when it didn't."""

    readings: list[Mapping[str, Value]] = msgspec.field(default_factory=list)
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    noise: Counter[str] = msgspec.field(default_factory=Counter)
    lost: str = ""


async def burst(
    configuration: EdgeConfiguration,
    count: int,
    within_s: float,
    clock: Clock,
    tell: Callable[[int], None] = lambda done: None,
) -> Burst:
    """Up to `count` readings; ends early after `within_s`, or when the port is lost: an adapter
    that was pulled out in the middle spoils the whole burst."""
    device = msgspec.structs.replace(configuration.device[0], poll_interval_s=INTERVAL_S)
    configuration = msgspec.structs.replace(configuration, device=(device,))
    taken = _Taken(configuration, count, tell)
    (link,) = make_links(configuration, taken, clock)
    try:
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
            running = group.create_task(link.run())
            watching = group.create_task(_until_lost(link, taken, clock))
            await taken.ended.wait()
            running.cancel()
            watching.cancel()
    except TimeoutError:
        pass  # with what came until then
    return taken.burst


async def _until_lost(link: Link, taken: _Taken, clock: Clock) -> None:
    """A link repairs itself for years; a burst doesn't wait for that, nor for a dead device."""
    begun, silent_at = False, clock.monotonic() + SILENT_S
    while True:
        if not taken.burst.readings and clock.monotonic() > silent_at:
            taken.ended.set()
        status = link.status()
        begun |= status.state == "up" or bool(status.errors)
        if begun and status.state == "down":
            taken.burst.lost = status.detail
            taken.ended.set()
        await clock.pause(_LOOK_S)


class _Taken:
    """A sink that decodes and keeps."""

    def __init__(
        self, configuration: EdgeConfiguration, count: int, tell: Callable[[int], None]
    ) -> None:
        self._driver = driver_of(configuration, configuration.device[0])
        self._count, self._tell = count, tell
        self.burst = Burst()
        self.ended = asyncio.Event()

    def polled(self, device: str, payload: Payload) -> None:
        if self.ended.is_set():
            return
        try:
            fields = self._driver.decode(payload)[0].fields
            check_fields(self._driver.kind, fields)
        except Undecodable as error:
            self.burst.refused[error.reason] += 1
            return
        self.burst.readings.append(fields)
        self._tell(len(self.burst.readings))
        if len(self.burst.readings) >= self._count:
            self.ended.set()

    def refused(self, device: str, reason: Refusal) -> None:
        self.burst.refused[reason] += 1

    def noise(self, link: str, reason: str) -> None:
        self.burst.noise[reason] += 1

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        raise AssertionError("a device that can be asked sends no uplinks")
