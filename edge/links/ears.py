"""A sink that hands everything on, and tells who waits what a device said next."""

from __future__ import annotations

import asyncio

from devices.envelope import Uplink
from devices.reading import Payload, Refusal
from edge.links import Answered, Sink


class Ears:
    """Between links and the agent's sink. One waits for a device at a time; a later one takes over
    what an earlier one waits for."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._waiting: dict[str, asyncio.Future[Payload | Refusal]] = {}

    def next_of(self, device: str) -> asyncio.Future[Payload | Refusal]:
        """What it says next: a payload, or why there was none."""
        heard = self._waiting.get(device)
        if heard is None or heard.done():
            heard = self._waiting[device] = asyncio.get_running_loop().create_future()
        return heard

    def polled(self, device: str, payload: Payload) -> None:
        self._sink.polled(device, payload)
        self._tell(device, payload)

    def refused(self, device: str, reason: Refusal) -> None:
        self._sink.refused(device, reason)
        self._tell(device, reason)

    def noise(self, link: str, reason: str) -> None:
        self._sink.noise(link, reason)

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        self._sink.uplink(link, uplink, answered)

    def _tell(self, device: str, said: Payload | Refusal) -> None:
        heard = self._waiting.pop(device, None)
        if heard is not None and not heard.done():
            heard.set_result(said)
