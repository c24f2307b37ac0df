"""`/api/state`: the city as plain JSON, each device's part kept as text until it changes.

    {"now_ms": …, "read_ms": …, "store_away": false, "devices": [{"name": …, "state": …,
     "time_ms": …, "age_s": …, "fields": {…}}, …]}

`now_ms` is city time when the answer was made, `read_ms` when the store last answered. `age_s` is
null before a device's first reading.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from dashboards.device import Mark
from dashboards.feed import Feed


class _Part(NamedTuple):
    """A device's JSON around its age."""

    mark: Mark
    before: str
    after: str


class StateText:
    """The answer's text, from a feed's board."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._parts: dict[str, _Part] = {}  # no more than the board's devices

    def encode(self) -> bytes:
        """The city now."""
        board = self._feed.board.snapshot(self._feed.clock.now_ms())
        known, parts, now_ms = self._parts, {}, board.now_ms
        texts: list[str] = []
        for mark in board.marks:
            part = known.get(mark.id)
            if part is None or part.mark is not mark:
                part = _part(mark)
            parts[mark.id] = part
            age = str((now_ms - mark.time_ms) / 1000) if mark.time_ms else "null"
            texts.append(f"{part.before}{age}{part.after}")
        self._parts = parts
        away = "true" if board.away else "false"
        head = f'{{"now_ms":{now_ms},"read_ms":{board.read_ms},"store_away":{away},"devices":['
        return f"{head}{','.join(texts)}]}}".encode()


def _part(mark: Mark) -> _Part:
    before = {
        "name": mark.name,
        "kind": mark.kind,
        "label": mark.label,
        "site": mark.site,
        "zone": mark.zone,
        "gateway": mark.gateway,
        "state": mark.state,
        "time_ms": mark.time_ms,
    }
    text = msgspec.json.encode(before).decode()
    fields = msgspec.json.encode(mark.fields).decode()
    return _Part(mark, f'{text[:-1]},"age_s":', f',"fields":{fields}}}')
