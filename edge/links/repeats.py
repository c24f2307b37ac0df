"""The same uplink again: told by its deduplication id, before it is anybody's reading.

In: uplinks on their way to a sink. Out: each once; a repeat is acknowledged and counted as
refused{repeat}. What is remembered is bounded and lost in a restart: the outbox knows the key of
each uplink (device, kind, time) for 31 days, so that this only has to catch a network server that
tells one uplink twice under two times.
"""

from __future__ import annotations

from functools import partial

from devices.envelope import Uplink
from devices.reading import Payload, Refusal
from edge.links import Answered, NotAccepted, Sink

REMEMBERED = 8192
"""Ids; the oldest goes for a new one. An hour of uplinks of 500 bays and 300 bins."""


class Recent:
    """The newest ids, the oldest forgotten first."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._ids: dict[str, None] = {}
        self._most = most

    def __contains__(self, id_: str) -> bool:
        return id_ in self._ids

    def add(self, id_: str) -> None:
        self._ids[id_] = None
        if len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]

    def discard(self, id_: str) -> None:
        self._ids.pop(id_, None)


class Once:
    """A `Sink` before another one, which gets each uplink once.

    A repeat of one that isn't committed yet (the connection was lost meanwhile) waits for its fate:
    acknowledged before, it could be lost in a power cut.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._recent = Recent()
        self._under_way: dict[str, list[Answered]] = {}

    def polled(self, device: str, payload: Payload) -> None:
        self._sink.polled(device, payload)

    def refused(self, device: str, reason: Refusal) -> None:
        self._sink.refused(device, reason)

    def noise(self, link: str, reason: str) -> None:
        self._sink.noise(link, reason)

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        """Hand it on, unless its id was handed on before and not given back."""
        id_ = uplink.deduplication_id
        if not id_:
            self._sink.uplink(link, uplink, answered)
        elif id_ in self._under_way:
            self._under_way[id_].append(answered)
        elif id_ in self._recent:
            self._repeat(uplink, answered)
        else:
            self._under_way[id_] = []
            self._sink.uplink(link, uplink, partial(self._settle, uplink, answered))

    def _settle(self, uplink: Uplink, answered: Answered, refused: NotAccepted | None) -> None:
        id_ = uplink.deduplication_id
        repeats = self._under_way.pop(id_)
        answered(refused)
        if refused is None:
            self._recent.add(id_)
        for repeat in repeats:
            if refused is None:
                self._repeat(uplink, repeat)
            else:
                repeat(refused)

    def _repeat(self, uplink: Uplink, answered: Answered) -> None:
        self._sink.refused(uplink.dev_eui, Refusal.REPEAT)
        answered(None)
