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
from edge.outbox_reader import OutboxSummary
from edge.outbox_rows import CONFIRMED
from wire.sentence import Told, constant, told

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
        remedy = told("Has the agent run yet? Start it: systemctl start gampong-edge")
        yield warns(told("outbox"), _why_not(error, path), remedy)
        return
    share = summary.bytes / summary.bytes_max if summary.bytes_max else 0.0
    waiting = told(
        "{count} batches wait, {share:.0%} full", count=summary.waiting_batches, share=share
    )
    if summary.hours_left is not None:
        waiting = told(
            "{waiting}, room for {hours:.0f} hours more", waiting=waiting, hours=summary.hours_left
        )
    if summary.hours_left is not None and summary.hours_left < FULL_WARN_HOURS:
        remedy = told("See what keeps it from sending: broker and cloud, above")
        yield warns(told("outbox"), waiting, remedy)
    else:
        yield passes(told("outbox"), waiting)
    yield _confirming(configuration, summary.oldest_waiting_ms, now_ms)
    if times_s:
        yield _confirm_time(configuration, times_s)
    yield from look_at_sim(configuration, states)
    yield from _troubles(summary)


def _why_not(error: OutboxError, path: Path) -> Told:
    if not path.is_file():
        return told("no outbox at {path}. Name the outbox file, or the gateway's TOML", path=path)
    return told("{reason}. {remedy}", reason=error.reason, remedy=constant(error.remedy))


def _troubles(summary: OutboxSummary) -> Iterator[Finding]:
    """What a sound outbox hasn't."""
    if count := summary.parked:
        seen = told("{count} batches that the broker hangs up on", count=count)
        yield warns(told("parked"), seen, told("See its log"))
    if count := summary.unplaced:
        seen = told("{count} batches of a boot without a clock", count=count)
        yield warns(told("time"), seen, told("They wait for the time"))
    if dropped := sum(summary.ledger.dropped.values()):
        seen = told(
            "{count} readings dropped so far: {reasons}",
            count=dropped,
            reasons=summary.ledger.dropped,
        )
        remedy = told(
            "The outbox was full or damaged: give it more room (outbox.bytes_max), look at the card"
        )
        yield warns(told("loss"), seen, remedy)
    if not summary.ledger.balanced:
        remedy = told("A bug: keep the outbox file and tell us")
        yield fails(told("ledger"), told("doesn't balance"), remedy)
    if summary.alarms:
        seen = told("{alarms}", alarms=", ".join(summary.alarms))
        yield fails(told("alarms"), seen, told("See the technician's page for each"))


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
    seen = told(
        "from seal to confirmation: half of the last {count} batches within {middle_s:.0f} s, "
        "all within {most_s:.0f} s (noted each {interval_s:g} s)",
        count=len(times_s),
        middle_s=middle_s,
        most_s=most_s,
        interval_s=interval_s,
    )
    if middle_s > LATE_INTERVALS * interval_s:
        remedy = told("A thin link, or a slow database: see gampong edge top")
        return warns(told("confirm time"), seen, remedy)
    return passes(told("confirm time"), seen)


def _confirming(configuration: EdgeConfiguration, oldest_ms: int, now_ms: int) -> Finding:
    """Batches are confirmed within a few intervals, or something on the way is shut."""
    if not oldest_ms:
        return passes(told("confirming"), told("everything sealed is confirmed"))
    age_s = max(0, now_ms - oldest_ms) / 1000
    allowed_s = LATE_INTERVALS * configuration.outbox.seal_interval_s
    seen = told("the oldest reading that waits is {age_s:.0f} s old", age_s=age_s)
    if age_s > allowed_s:
        remedy = told("Nothing is lost; see broker and cloud, above")
        return warns(told("confirming"), seen, remedy)
    return passes(told("confirming"), seen)
