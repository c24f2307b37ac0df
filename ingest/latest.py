"""What counts is the latest: of who talks too much, only the newest word, and later. Pure.

Statuses and inventories say how things are, each in place of the one before. So a topic that brings
more than it may isn't refused: its newest message waits until its turn, and those before it are
superseded. Rooms: one message a topic, `TOPICS_MAX` topics, `BYTES_MAX` in all; what finds no room
is dropped and counted (a status comes again each minute, an inventory with the next connection).
"""

from __future__ import annotations

from collections import Counter

from ingest.allowances import Allowances
from wire.messages import MESSAGE_BYTES_MAX

A_SECOND, BURST_S = 2.0, 15.0
TOPICS_MAX, BYTES_MAX = 20_000, 64 * 1024 * 1024
TOPIC_LENGTH_MAX = 128
"""No topic with a gateway's name in it is longer."""


class Latest:
    """Messages that wait for their turn. `counts` has `superseded` and `dropped`; `over` are the
    topics that had to wait since somebody last emptied it."""

    def __init__(self) -> None:
        self._allowances = Allowances(A_SECOND, BURST_S)
        self._waiting: dict[str, bytes] = {}
        self._bytes = 0
        self.counts: Counter[str] = Counter()
        self.over: set[str] = set()

    def is_turn(self, topic: str, payload: bytes, now_s: float) -> bool:
        """Whether to look at this one now; otherwise it waits in place of the topic's last."""
        if len(topic) > TOPIC_LENGTH_MAX:
            self.counts["dropped"] += 1
            return False
        if topic not in self._waiting and self._allowances.wait_s(topic, now_s) <= 0:
            self._allowances.charge(topic, 1, now_s)
            return True
        if topic in self.over or len(self.over) < TOPICS_MAX:
            self.over.add(topic)
        before = self._waiting.get(topic)
        size = self._bytes + len(payload) - len(before or b"")
        topics = len(self._waiting) + (before is None)
        if len(payload) > MESSAGE_BYTES_MAX or size > BYTES_MAX or topics > TOPICS_MAX:
            self.counts["dropped"] += 1
        else:
            self.counts["superseded"] += before is not None
            self._waiting[topic], self._bytes = payload, size
        return False

    def due(self, now_s: float) -> list[tuple[str, bytes]]:
        """Those whose turn has come."""
        turns = [topic for topic in self._waiting if self._allowances.wait_s(topic, now_s) <= 0]
        given = []
        for topic in turns:
            payload = self._waiting.pop(topic)
            self._bytes -= len(payload)
            self._allowances.charge(topic, 1, now_s)
            given.append((topic, payload))
        return given
