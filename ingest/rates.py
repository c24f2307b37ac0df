"""A gateway's last hour from its counters: failed reads, and whether what waits grows. Pure.

Rates need two looks: each gateway's counters are kept from status to status for an hour, and
forgotten when they fall (the agent started again, or has another card).
"""

from __future__ import annotations

from collections import defaultdict, deque

import msgspec

from devices.reading import Value
from wire.messages import LinkStatus, Status

RATE_S = 3600.0
GROWING_S = 900.0
LOOK_EVERY_S = 240.0
READS_MIN = 20
"""Fewer reads in the hour say nothing about their share of errors."""


class _Count(msgspec.Struct, frozen=True):
    at_s: float
    errors: int
    taken: int
    waiting: int


class Rates:
    """At most sixteen looks of every gateway."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, deque[_Count]] = defaultdict(lambda: deque(maxlen=16))

    def hear(self, status: Status, at_s: float, oldest_waiting_s: float) -> dict[str, Value]:
        """Fields of `gateway_health`: links, `link_error_share` of the last hour, and
        `backlog_growing_s`, the age of what waits while it grows. What can't be known yet is
        absent. `at_s` is the wall second the status came; the same one again changes nothing.
        """
        errors = sum(_errors(link) for link in status.links)
        now = _Count(at_s, errors, status.ledger.taken, status.ledger.waiting)
        counts = self._counts[status.gateway]
        if counts and (counts[-1].errors > errors or counts[-1].taken > now.taken):
            counts.clear()
        while counts and at_s - counts[0].at_s > RATE_S:
            counts.popleft()
        fields: dict[str, Value] = {
            "links": len(status.links),
            "links_down": sum(link.state == "down" for link in status.links),
            "link_errors": errors,
        }
        if status.card_life_used is not None:
            fields["card_life_used"] = min(2.0, max(0.0, status.card_life_used))
        if status.temperature_c is not None:
            fields["temperature_c"] = min(200.0, max(-60.0, status.temperature_c))
        if status.uplink_bytes is not None:
            fields["uplink_bytes"] = max(0, status.uplink_bytes)
            if status.uplink_quota_bytes > 0:
                used = max(0, status.uplink_bytes) / status.uplink_quota_bytes
                fields["uplink_share"] = min(1000.0, used)
        if counts and (share := _error_share(counts[0], now)) is not None:
            fields["link_error_share"] = share
        before = [count for count in counts if at_s - count.at_s >= GROWING_S]
        if before:
            grows = now.waiting > before[-1].waiting
            fields["backlog_growing_s"] = oldest_waiting_s if grows else 0.0
        if not counts or at_s - counts[-1].at_s >= LOOK_EVERY_S:
            counts.append(now)
        return fields


def _errors(link: LinkStatus) -> int:
    """Failed reads; what begins with `event_` (a join, an uplink fetched afterwards) is none."""
    return sum(n for name, n in link.errors.items() if not name.startswith("event_"))


def _error_share(before: _Count, now: _Count) -> float | None:
    errors, taken = now.errors - before.errors, now.taken - before.taken
    reads = errors + taken
    return errors / reads if reads >= READS_MIN else None
