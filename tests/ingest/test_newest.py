"""The newest reading of a device: what the watch judges silence and states by."""

from __future__ import annotations

from devices.reading import Value
from ingest.newest import Newest, Timed
from ingest.stores import Row
from ingest.stores.live import Change

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


def reading(time_ms: int, **fields: Value) -> Change:
    tags = {"device": "bin-1", "gateway": "g", "site": "s", "zone": "z"}
    return Change("waste_container", Row(time_ms, tags, fields))


def test_a_reading_of_a_clock_that_runs_hours_ahead_hides_nothing_that_comes_after_it() -> None:
    newest = Newest()
    newest.take([reading(NOW_MS - HOUR_MS, filling_level=0.2)], NOW_MS)
    newest.take(
        [reading(NOW_MS, filling_level=0.9), reading(NOW_MS + 20 * HOUR_MS, filling_level=0.1)],
        NOW_MS,
    )
    assert newest.times_ms == {"bin-1": NOW_MS}
    assert newest.fields["bin-1"] == {"filling_level": Timed(0.9, NOW_MS)}
    assert [change.row.time_ms for change in newest.unjudged] == [NOW_MS]


def test_a_clock_that_runs_a_little_ahead_is_heard() -> None:
    newest = Newest()
    newest.take([reading(NOW_MS + 60_000, filling_level=0.3)], NOW_MS)
    assert newest.times_ms == {"bin-1": NOW_MS + 60_000}
