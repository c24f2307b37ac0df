"""Whether what fires can be believed: the watch judges each minute, and says that it did."""

from __future__ import annotations

from dashboards.operators.context import Context
from dashboards.operators.spoken import Spoken


def warning(context: Context, spoken: Spoken) -> str:
    """What to say when the list of what fires may be wrong; empty when it may be believed."""
    alarms, now_ms = context.alarms, context.clock.now_ms()
    if not alarms.read_ms:
        return spoken.say("alerts.not_read")
    if alarms.away:
        return spoken.say("alerts.away", spoken.span(now_ms - alarms.read_ms))
    if not alarms.watch_ms:
        return spoken.say("alerts.no_watch")
    if alarms.stale:
        return spoken.say("alerts.watch_silent", spoken.span(now_ms - alarms.watch_ms))
    return ""
