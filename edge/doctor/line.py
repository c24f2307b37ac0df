"""The outbox, looked at from beside the agent: does it drain, and how quickly?

In: the outbox file. Out: findings: what waits, how long confirmations took, the SIM's month,
losses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from edge.configuration import EdgeConfiguration
from edge.doctor import Finding, fails, passes, warns
from edge.doctor.settings import look_at_sim
from edge.outbox_export import look_at
from edge.outbox_file import OutboxError, disk_errors, read_only
from edge.outbox_rows import CONFIRMED

FULL_WARN_HOURS = 48.0
CONFIRMED_LOOKED_AT = 100
LATE_INTERVALS = 3


def look_at_outbox(configuration: EdgeConfiguration, now_ms: int) -> Iterator[Finding]:
    """What waits, since when, and for how long there is room."""
    path = Path(configuration.outbox.path)
    try:
        with look_at(path) as outbox:
            summary, states = outbox.summary(), outbox.states()
        times_s = settle_times_s(path)
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
    if times_s:
        yield _confirm_time(configuration, times_s)
    yield from look_at_sim(configuration, states)
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


def settle_times_s(outbox: Path) -> list[float]:
    """From seal to confirmation, of the newest batches that were confirmed. A confirmation reaches
    the card with the next seal, so each is an upper bound, by one seal interval at most.

    Raises:
        OutboxError: it can't be read.
    """
    sql = (
        "SELECT settled_ms - seal_ms FROM batches WHERE state = ? AND settled_ms >= seal_ms"
        " ORDER BY sequence DESC LIMIT ?"
    )
    with disk_errors(outbox), closing(read_only(outbox)) as connection:
        return [ms / 1000 for (ms,) in connection.execute(sql, (CONFIRMED, CONFIRMED_LOOKED_AT))]


def _confirm_time(configuration: EdgeConfiguration, times_s: list[float]) -> Finding:
    """Slow confirmations are a thin link, or a database that labours."""
    interval_s = configuration.outbox.seal_interval_s
    middle_s, most_s = median(times_s), max(times_s)
    seen = f"from seal to confirmation: half of the last {len(times_s)} batches within"
    seen += f" {middle_s:.0f} s, all within {most_s:.0f} s (noted each {interval_s:g} s)"
    if middle_s > LATE_INTERVALS * interval_s:
        return warns("confirm time", seen, "A thin link, or a slow database: see gampong edge top")
    return passes("confirm time", seen)


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
