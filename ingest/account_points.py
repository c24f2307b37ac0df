"""The fields of a gateway's day, from what was counted, its ledger and its radio. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from devices.kinds import TEXT_LENGTH
from devices.reading import Value
from ingest.account_answers import Known
from ingest.completeness import Day, Hole, Mark, ranges_text
from ingest.health import clean_text
from ingest.radio import Heard, Radio, Span, count_uplinks

_SEAL_MS = 120_000
"""A reading is sealed at most so much later than taken."""


def radio_of(
    uplinks: Iterable[Sequence[Heard]], start_ms: int, holes: Iterable[Hole]
) -> dict[str, Value]:
    """Uplinks of every device with a frame counter; nothing for a gateway without any."""
    unsure: list[Span] = [(hole.start_ms - _SEAL_MS, hole.stop_ms) for hole in holes]
    radio = Radio()
    for heard in uplinks:
        radio.add(count_uplinks(heard, start_ms, unsure))
    if not radio.expected:
        return {}
    return {
        "radio_expected": radio.expected,
        "radio_heard": radio.heard,
        "radio_share": radio.heard / radio.expected,
        "radio_unsure": radio.unsure,
    }


def fields_of(day: Day, mark: Mark, dropped_before: int) -> dict[str, Value]:
    """What was counted, and why something is missing."""
    return {
        "sealed": day.sealed,
        "stored": day.stored,
        "rejected": day.rejected,
        "waiting": day.waiting,
        "gaps": len(day.missing),
        "missing_ranges": ranges_text(day.missing, TEXT_LENGTH),
        "why": why_missing(day, mark, dropped_before),
        "readings": day.readings,
        "readings_rejected": day.readings_rejected,
        "share": 1.0 if day.share is None else day.share,  # nothing is due: nothing is lost
    }


def remembered(own: Known, before: Known, mark: Mark, is_today: bool) -> Known:
    """What a later count must know of this day. Once it is over, it stays as it was."""
    if not is_today:
        return own if own.epoch else Known(dropped_ever=before.dropped_ever)
    dropped = sum(mark.dropped.values())
    now = Known(0, 0, dropped, mark.epoch, mark.newest, mark.time_ms)
    last = [given for given in own.given if given.epoch != mark.epoch]
    if not last:
        return now
    epoch, newest, time_ms = msgspec.structs.astuple(last[-1])
    return msgspec.structs.replace(
        now, epoch_before=epoch, newest_before=newest, newest_before_ms=time_ms
    )


def why_missing(day: Day, mark: Mark, dropped_before: int) -> str:
    """What the gateway's ledger says: `dropped full`, when it dropped readings since that day
    began; `epoch ended`, when the numbers are of an outbox it no longer has; else `unexplained`."""
    if not day.missing:
        return ""
    dropped = sum(mark.dropped.values())
    if dropped and dropped != dropped_before:  # less than before: another file, counting anew
        return clean_text("dropped " + " ".join(r for r, n in sorted(mark.dropped.items()) if n))
    if all(hole.epoch != mark.epoch for hole in day.missing):
        return "epoch ended"
    return "unexplained"
