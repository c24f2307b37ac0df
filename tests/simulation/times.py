"""When a reading was taken, truly, and what its point may say of it.

an uplink                    the network server's time, to the millisecond
polled, time trusted         the agent's clock at that moment; moved by less than `STEP_BACK_MS`
                             where two would fall together
polled before it was         its uptime plus its boot's offset, which is wrong by what the
                             clock was wrong by when it was trusted, and no more
of a boot that never learnt  says so (`time_quality`), before its gateway's next boot
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from edge.lanes import POLLED, STEP_BACK_MS
from tests.simulation.database import Mark

if TYPE_CHECKING:
    from tests.simulation.machine import MachineClock

LANE_MS = 20
"""How far a stamp may be from its clock by rounding."""

CLOUD_LATE_MS = 100_000
"""How old the cloud's word for the time can be when a link has stalled: its keepalive's time."""

ESTIMATED = ',time_quality="estimated"'
_POINT = re.compile(r"(\S+) (\S+) (\d+)")
_OCCUPIED = re.compile(r"occupied=(\d)i")


class Heard(msgspec.Struct, frozen=True):
    """A reading as it left its sensor. `stamp_ms` is the time that the agent's clock, or for an
    uplink the network server's, had then; None while the agent didn't know it."""

    at_s: float
    true_ms: int
    stamp_ms: int | None
    uptime_ms: int = 0
    boot: str = ""
    regime: int = 0
    occupied: int | None = None


class Times:
    """Judges points by what was heard."""

    def __init__(self) -> None:
        self.offsets: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self.offset_error_ms = 0
        self.written: dict[Mark, int] = {}

    def learnt(self, name: str, boot: str, offset_ms: int) -> None:
        """A boot's offset is committed."""
        self.offsets[name, boot].append(offset_ms)

    def wrong_offset(self, clock: MachineClock, stepped: bool, offset_ms: int) -> str:
        """Why it is no offset for this boot, or ""."""
        true_ms = clock.now_ms() - clock.off_ms - int(1000 * clock.uptime_s())
        error_ms = abs(offset_ms - true_ms)
        if not stepped:
            self.offset_error_ms = max(self.offset_error_ms, error_ms)
        wrong = error_ms > max(abs(clock.off_ms) + LANE_MS, CLOUD_LATE_MS)
        return f"a boot's offset is wrong by {error_ms} ms" if wrong else ""

    def differs(self, name: str, mark: Mark, heard: Heard, text: str, line: str) -> str:
        """Why this point isn't what was accepted as `text`, or ""."""
        accepted, written = _POINT.fullmatch(text), _POINT.fullmatch(line)
        if accepted is None or written is None:
            return f"not a line: {line}"
        estimated = ESTIMATED in line
        series = re.sub(",gateway=[^, ]+", "", written[1])
        fields = written[2].replace(ESTIMATED, "")
        if (series, fields) != (accepted[1], accepted[2]):
            return f"written as {line}, accepted as {text}"
        found = _OCCUPIED.search(line)
        if heard.occupied is not None and found and int(found[1]) != heard.occupied:
            return f"occupied {heard.occupied} became {line}"
        time_ms = int(written[3])
        self.written[mark] = time_ms
        why = self._misplaced(name, heard, time_ms, estimated)
        return why and f"{mark} at {time_ms}: {why}"

    def _misplaced(self, name: str, heard: Heard, time_ms: int, estimated: bool) -> str:
        if heard.occupied is not None:
            return "" if time_ms == heard.stamp_ms and not estimated else "not the network's time"
        if heard.regime >= POLLED.stop:  # set back so often that a stamp may be late
            return ""
        if heard.stamp_ms is not None:
            near = abs(time_ms - heard.stamp_ms) <= STEP_BACK_MS + LANE_MS
            return "" if near and not estimated else f"stamped at {heard.stamp_ms}"
        expected = [heard.uptime_ms + offset for offset in self.offsets[name, heard.boot]]
        if any(abs(time_ms - one) <= LANE_MS for one in expected):
            return "estimated though known" if estimated else ""
        if estimated:
            return "" if not expected else f"should be at {expected}"
        return f"unknown time, and doesn't say so; {expected}"
