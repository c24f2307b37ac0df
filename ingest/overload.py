"""Gateways that send more than they may: what they send waits on their card, nobody else's does.

What a message costs is charged to its topic, so that a gateway's live batches don't wait for its
back-fill. Over the allowance nothing is looked into. The first `TOLD_A_SECOND` batches of a topic
each second are answered with `hold`, which is more than a gateway's windows hold; a flood beyond
them is answered by nothing, which says the same: not confirmed, keep it, send it again. So nothing
is ever dropped here but snapshots, whose readings come again in batches.
"""

from __future__ import annotations

import logging
from collections import Counter

from ingest.allowances import Allowances
from ingest.arrivals import Arrival
from ingest.counters import Counters
from ingest.fates import Fates
from ingest.guard import Judgement, Noise, Postponed, cost_of, postpone
from ingest.newcomers import Newcomers
from wire.mqtt import Message
from wire.topics import Leaf, gateway_of

log = logging.getLogger(__name__)

BURST_S = 16.0
TOLD_A_SECOND = 16
TOPICS_MAX, NAMED_MAX = 10_000, 5


class Overload:
    """What every topic owes, and who was over a limit since the last report."""

    def __init__(
        self, bytes_a_second: float, newcomers: Newcomers, fates: Fates, counters: Counters
    ) -> None:
        self._allowances = Allowances(bytes_a_second, BURST_S)
        self._newcomers, self._fates, self._counters = newcomers, fates, counters
        self._told: Counter[str] = Counter()  # of this second
        self._second = 0
        self._over: Counter[str] = Counter()  # topics
        self.charge, self.wait_s = self._allowances.charge, self._allowances.wait_s

    def charge_for(self, judged: Judgement, message: Message, now_s: float) -> None:
        """Its gateway has caused this work. What names no gateway is charged together."""
        nobody = isinstance(judged, Noise) and judged.reason == "topic"
        self.charge("" if nobody else message.topic, cost_of(judged, message), now_s)

    async def postpone(self, arrival: Arrival, now_s: float) -> None:
        """A message of a topic that owes too much (`wait_s` is more than 0)."""
        topic = arrival.message.topic
        if topic in self._over or len(self._over) < TOPICS_MAX:
            self._over[topic] += 1
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._told.clear()
        self._told[topic] += 1
        judged = postpone(arrival.message)
        if not isinstance(judged, Postponed):
            self._counters.noise[judged.reason] += 1
        elif self._told[topic] <= TOLD_A_SECOND:
            await self._fates.postponed(judged, self.wait_s(topic, now_s), arrival)
            return
        else:
            self._counters.held["rate_silent"] += 1
        arrival.settle()

    def report(self) -> int:
        """How many gateways were over a limit since the last report; the log names the worst."""
        messages: Counter[str] = Counter()
        for topic, count in self._over.items():
            gateway = gateway_of(topic, Leaf.BATCH) or gateway_of(topic, Leaf.BACKFILL)
            messages[gateway or "nobody"] += count
        lines = self._newcomers.over
        for word, counts in (("rate", messages), ("too_many_new", lines)):
            for gateway, count in counts.most_common(NAMED_MAX):
                log.warning("event=over_limit limit=%s gateway=%s count=%d", word, gateway, count)
        gateways = len(messages.keys() | lines.keys())
        self._over.clear()
        lines.clear()
        return gateways
