"""The last reading of each device: what panels are shown first after a silence.

In: lines as they are accepted. Out: payloads without a key: written, never confirmed, since the
same readings wait in the outbox as well. Only accepted readings are in it, so that the database
never has one that the ledger doesn't. An event with a number of its own isn't: the outbox may have
moved it on by a millisecond, and where it was first there is another one's point.
"""

from __future__ import annotations

from collections.abc import Iterable

from edge.records import Line
from wire.batch import decode_batch, encode_batch

LINES_A_BATCH = 500
_UPTIME_BELOW_MS = 10**11  # a boot's uptime: not sent before its time is known


class LastReadings:
    """The newest accepted line of each device and kind."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], tuple[int, str]] = {}
        self._numbered: set[tuple[str, str]] = set()

    def take(self, lines: Iterable[Line]) -> None:
        """Lines that were just accepted."""
        for line in lines:
            self._take(line.device, line.kind, line.time_ms, line.text)
            if line.number:
                self._numbered.add((line.device, line.kind))

    def recall(self, payload: bytes) -> None:
        """A batch that was sealed before this process began."""
        for text in decode_batch(payload):
            kind, device, _ = text.split(",", 2)
            time_ms = int(text.rpartition(" ")[2])
            self._take(device.removeprefix("device="), kind, time_ms, text)

    def newest(self, device: str, kind: str) -> str:
        """The newest line of that device and kind, "" when there is none."""
        return self._lines.get((device, kind), (0, ""))[1]

    def batches(self) -> list[bytes]:
        """Payloads of all of them."""
        texts = [text for key, (_, text) in self._lines.items() if key not in self._numbered]
        starts = range(0, len(texts), LINES_A_BATCH)
        return [encode_batch(texts[start : start + LINES_A_BATCH]) for start in starts]

    def _take(self, device: str, kind: str, time_ms: int, text: str) -> None:
        known_ms, _ = self._lines.get((device, kind), (0, ""))
        if time_ms >= known_ms and time_ms >= _UPTIME_BELOW_MS:
            self._lines[device, kind] = time_ms, text
