"""Commissioning: a device's next reading followed, the technician's word on it, and the sheet.

In: who is to be followed, what links hear, batches, fates. Out: ways as far as they have come;
entries on disk, which learn of their reading's fate when it is known, after a new start, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from edge.commissioning import Entry, Fate, read_sheet, sheet_of, with_entry, write_sheet
from edge.links import Polled
from edge.onlooker import Inside
from edge.page.desk import Desk, Refusing
from edge.page.ears import Ears, Way, entry_of, gone_on, outcome
from edge.page.position import place_of
from edge.records import Sealed
from edge.site_log import What
from wire import messages

_PLACE_SHOWN = 64


class Sheet:
    """One gateway's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.hearing = Ears(lambda: desk.clock)
        self.entries: dict[str, Entry] = {}
        self.news = asyncio.Event()  # it has to be written
        self._open: dict[str, Way] = {}  # of entries whose reading is still on its way
        self._writing = asyncio.Lock()

    def begin(self, inside: Inside) -> None:
        """The agent runs."""
        self.hearing.begin(inside.configuration)
        self.entries = read_sheet(sheet_of(inside.configuration))
        self._open = {name: way for name, way in self._open.items() if name in self.entries}

    def sealed(self, batches: Sequence[Sealed]) -> None:
        """Batches were sealed: entries made before learn of their line."""
        self.hearing.sealed(batches)
        for name, way in self._open.items():
            if way.point and self.entries[name].fate is Fate.HEARD:
                self._renew(name, way)

    def settled(self, fates: Sequence[messages.Fate]) -> None:
        """The cloud has spoken: entries learn of it, those of an earlier start, too."""
        for way in self.hearing.settled(fates):
            if self._open.get(way.device.name) is way:
                self._renew(way.device.name, self._open.pop(way.device.name))
        final = {(fate.sequence, fate.digest.hex()): fate for fate in fates if fate.final}
        for name, entry in self.entries.items() if final else ():
            fate = final.get((entry.sequence, entry.digest))
            if fate and entry.fate is Fate.KEPT:
                what, why = outcome(fate)
                self.entries[name] = msgspec.structs.replace(entry, fate=what, why=why)
                self.news.set()

    async def write(self) -> None:
        """Put the sheet on disk.

        Raises:
            OSError: it can't be.
        """
        async with self._writing:
            self.news.clear()
            entries = list(self.entries.values())
            await asyncio.to_thread(write_sheet, sheet_of(self._desk.configuration), entries)

    def follow(self, name: str) -> None:
        """Follow that device's next reading.

        Raises:
            Refusing: there is no such device.
        """
        device, inside = self._desk.device(name), self._desk.inside
        self._open.pop(name, None)
        self.hearing.follow(inside.configuration, device, inside.time_trusted())
        inside.want(name)
        link = inside.links.get(device.link)
        if link and isinstance(link.inner, Polled):
            link.inner.ask_soon(name)

    async def commission(self, name: str, passed: bool, place: str, note: str) -> None:
        """The technician's word on a device.

        Raises:
            Refusing: nothing was heard of it, a position that isn't one, a disk that is full.
        """
        device, way = self._desk.device(name), self.hearing.ways.get(name)
        if way is None or (passed and way.heard is None):
            raise Refusing("way.not_heard")
        where = place_of(place) if place.strip() else None
        if place.strip() and where is None:
            raise Refusing("way.bad_position", text=place[:_PLACE_SHOWN])
        trusted = self._desk.inside.time_trusted()
        entry = entry_of(way, self._desk.clock.now_ms(), passed, where, note, trusted)
        kept, self.entries = self.entries, with_entry(self.entries, entry)
        try:
            await self.write()
        except OSError as error:
            self.entries = kept
            raise Refusing("way.not_kept", why=str(error)) from error
        self.news.set()  # the inventory, too
        if entry.fate in (Fate.HEARD, Fate.KEPT):
            self._open[name] = way
        said = f"{'pass' if passed else 'fail'}, {entry.fate} {entry.note}".strip()
        await self._desk.log(What.COMMISSIONED, device.name, said)

    def _renew(self, name: str, way: Way) -> None:
        """An entry's reading went on."""
        self.entries[name] = gone_on(self.entries[name], way)
        self.news.set()
