"""What fires now, from what the watch last wrote: nothing that is over, nothing twice."""

from __future__ import annotations

from ingest.alerts.current import WRITTEN_MS, firing_of
from ingest.alerts.desk import DeskFile
from ingest.rules import Level
from ingest.rules.muting import Acknowledged, Silence
from ingest.stores import Row

NOW_MS = 1_795_100_400_000
MINUTE_MS = 60_000


def state(device: str, rule: str, level: Level, ago_ms: int = 0, gateway: str = "gw-1") -> Row:
    tags = {"device": device, "gateway": gateway, "site": "pasar", "zone": "a"}
    fields = {rule: int(level), f"{rule}_since_ms": NOW_MS - 7 * MINUTE_MS, f"{rule}_value": 0.91}
    return Row(NOW_MS - ago_ms, tags, {**fields, "worst": rule})


def names(rows: list[Row], desk: DeskFile | None = None) -> list[tuple[str, str]]:
    return [(one.rule, one.place.device) for one in firing_of(rows, desk or DeskFile(), NOW_MS)]


def test_the_worst_stands_first_and_what_is_clear_or_pending_isnt_listed():
    rows = [
        state("bin-1", "bin_full", Level.TOLD),
        state("bin-2", "bin_burning", Level.MUTED),
        state("bin-3", "bin_burning", Level.TOLD),
        state("bin-4", "bin_full", Level.CLEAR),
        state("bin-5", "bin_full", Level.PENDING),
    ]
    assert names(rows) == [
        ("bin_burning", "bin-3"),
        ("bin_full", "bin-1"),
        ("bin_burning", "bin-2"),
    ]


def test_a_device_that_moved_to_another_gateway_is_listed_once_by_its_newest_word():
    old = state("bin-1", "bin_full", Level.TOLD, 30 * MINUTE_MS, "gw-0")
    assert names([old, state("bin-1", "bin_full", Level.CLEAR)]) == []
    assert names([old, state("bin-1", "bin_full", Level.TOLD)]) == [("bin_full", "bin-1")]


def test_what_the_watch_no_longer_writes_while_it_writes_others_is_gone():
    old = state("bin-1", "bin_full", Level.TOLD, WRITTEN_MS)
    assert names([old, state("bin-2", "bin_full", Level.TOLD)]) == [("bin_full", "bin-2")]
    assert names([old]) == [("bin_full", "bin-1")]  # the watch is away: its last word


def test_who_sees_to_it_and_who_silenced_it_is_told():
    rows = [state("bin-1", "bin_full", Level.MUTED), state("bin-2", "bin_full", Level.MUTED)]
    since_ms = NOW_MS - 7 * MINUTE_MS
    desk = DeskFile(
        [Silence(NOW_MS + MINUTE_MS, "Cut", "pasar malam", device="bin-2")],
        [
            Acknowledged("bin_full", "bin-1", since_ms, "Budi", "truk jam 9"),
            Acknowledged("bin_full", "bin-2", since_ms - 1, "Budi", "the time before"),
        ],
    )
    first, second = firing_of(rows, desk, NOW_MS)
    assert (first.note, first.until_ms) == ("Budi: truk jam 9", 0)
    assert (second.note, second.until_ms) == ("Cut: pasar malam", NOW_MS + MINUTE_MS)
