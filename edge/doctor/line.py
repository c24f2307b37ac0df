"""The outbox, looked at from beside the agent: does it drain, and how quickly?

In: the outbox file. Out: findings. `confirmed_in` waits for the next batch to be sealed and then
confirmed; a confirmation reaches the card with the next seal, so the time it gives is an upper
bound: it says in which interval, not which millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.configuration import EdgeConfiguration
from edge.doctor import Finding, fails, passes, warns
from edge.outbox_export import look_at
from edge.outbox_file import OutboxError

FULL_WARN_HOURS = 48.0
LATE_INTERVALS = 3


def look_at_outbox(configuration: EdgeConfiguration, now_ms: int) -> Iterator[Finding]:
    """What waits, since when, and for how long there is room."""
    path = Path(configuration.outbox.path)
    try:
        with look_at(path) as outbox:
            summary = outbox.summary()
    except OutboxError as error:
        remedy = "Has the agent run yet? Start it: systemctl start gampong-edge"
        yield warns("outbox", str(error), remedy)
        return
    share = summary.bytes / summary.bytes_max if summary.bytes_max else 0.0
    waiting = f"{summary.waiting_batches} batches wait, {share:.0%} full"
    if summary.hours_left is not None:
        waiting += f", room for {summary.hours_left:.0f} hours more"
    if summary.hours_left is not None and summary.hours_left < FULL_WARN_HOURS:
        yield warns("outbox", waiting, "See what keeps it from sending: broker and cloud, above")
    else:
        yield passes("outbox", waiting)
    yield _confirming(configuration, summary.oldest_waiting_ms, now_ms)
    for count, look, seen, remedy in (
        (summary.parked, "parked", "batches that the broker hangs up on", "See its log"),
        (summary.unplaced, "time", "batches of a boot without a clock", "They wait for the time"),
    ):
        if count:
            yield warns(look, f"{count} {seen}", remedy)
    dropped = sum(summary.ledger.dropped.values())
    if dropped:
        yield warns("loss", f"{dropped} readings dropped so far: {summary.ledger.dropped}", _LOSS)
    if not summary.ledger.balanced:
        yield fails("ledger", "doesn't balance", "A bug: keep the outbox file and tell us")
    if summary.alarms:
        yield fails("alarms", ", ".join(summary.alarms), "See the technician's page for each")


_LOSS = "The outbox was full or damaged: give it more room (outbox.bytes_max), look at the card"


def _confirming(configuration: EdgeConfiguration, oldest_ms: int, now_ms: int) -> Finding:
    """Batches are confirmed within a few intervals, or something on the way is shut."""
    if not oldest_ms:
        return passes("confirming", "everything sealed is confirmed")
    age_s = max(0, now_ms - oldest_ms) / 1000
    allowed_s = LATE_INTERVALS * configuration.outbox.seal_interval_s
    seen = f"the oldest reading that waits is {age_s:.0f} s old"
    if age_s > allowed_s:
        return warns("confirming", seen, "Nothing is lost; see broker and cloud, above")
    return passes("confirming", seen)
