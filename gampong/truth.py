"""Compares what is stored with what happened.

In: the world's truth file (a JSON line for each thing a device was asked or sent) and a store.
Out: a `Comparison` that lists every difference. Uplinks must match one to one by their envelope's
time, with every value the device gave; a polled device's stored points must each be a value that
the device gave shortly before, and their number must be the ledger's.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from devices.driver import LorawanLink, load_driver
from devices.kinds import KINDS, PAYMENT
from devices.reading import Value
from ingest.stores import Query, Row, Store, StoreError
from ingest.stores.query import ROWS_MAX

DIFFERENCES_MAX = 50
_TIME_HIGH_MS = 9_200_000_000_000  # the year 2261, the last that InfluxDB counts in nanoseconds


_driver = functools.cache(load_driver)


class TruthRow(msgspec.Struct, frozen=True):
    """One row of the truth file (`simulators/truth.py` says what each `how` and `fault` means)."""

    device: str
    kind: str
    driver: str
    how: str
    time_ms: int
    fields: dict[str, Value] = {}
    fault: str = ""
    ailment: str = ""

    @property
    def uplink(self) -> bool:
        """Came through the network server, or as a payment: with a time of its own."""
        if self.kind == PAYMENT.name:
            return True
        return isinstance(_driver(self.driver).link, LorawanLink)

    @property
    def due(self) -> bool:
        """An uplink that the site's broker took and that says something: it must be stored."""
        good = self.fault not in ("unknown_device", "unacknowledged")
        good = good and self.ailment != "clock_wrong"
        return self.how == "sent" and good and bool(self.fields) and self.uplink


def uplinks_due(path: Path) -> int:
    """How many different uplinks the file says must be stored."""
    return len({(row.device, row.time_ms) for row in read_truth(path) if row.due})


class Comparison(msgspec.Struct):
    """What was compared and every difference found (the first 50 in words)."""

    uplinks_sent: int = 0
    uplinks_stored: int = 0
    uplinks_missing: int = 0
    polled_asked: int = 0
    polled_stored: int = 0
    differences: int = 0
    words: list[str] = []

    @property
    def stored(self) -> int:
        return self.uplinks_stored + self.polled_stored

    def differ(self, text: str) -> None:
        """Note one difference."""
        self.differences += 1
        if len(self.words) < DIFFERENCES_MAX:
            self.words.append(text)


def read_truth(path: Path) -> Iterator[TruthRow]:
    """Rows of the file, in the order they were written; a half-written last line is left out."""
    decoder = msgspec.json.Decoder(TruthRow)
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield decoder.decode(line)


async def stored_points(store: Store) -> dict[str, list[Row]]:
    """Every stored point of the devices' kinds, by device.

    Raises:
        StoreError: the store can't be read, or holds more than one comparison can.
    """
    points: dict[str, list[Row]] = {}
    for kind in KINDS.values():
        query = Query(
            kind=kind.name,
            fields=tuple(kind.fields),
            start_ms=0,
            stop_ms=_TIME_HIGH_MS,
            group=("device", "gateway"),
            limit=ROWS_MAX,
        )
        rows = await store.read(query)
        if len(rows) == ROWS_MAX:
            raise StoreError(f"more than {ROWS_MAX} points of {kind.name}: compare a shorter run")
        for row in rows:
            points.setdefault(row.tags["device"], []).append(row)
    return points


def compare(
    truth: Iterable[TruthRow],
    points: dict[str, list[Row]],
    slack_ms: int,
    any_time: Collection[str] = (),
) -> Comparison:
    """Every difference between truth and store.

    `slack_ms` is how long, in city time, a polled value may take from the device to its stamp.
    Of the polled devices in `any_time`, whose gateway's clock was wrong, only values are compared.
    """
    found = Comparison()
    by_device: dict[str, list[TruthRow]] = {}
    for row in truth:
        by_device.setdefault(row.device, []).append(row)
    for device in sorted(points.keys() - by_device.keys()):
        found.differ(f"{device}: {len(points[device])} points of a device that said nothing")
    for device, rows in sorted(by_device.items()):
        stored = sorted(points.get(device, []), key=lambda row: row.time_ms)
        if rows[0].uplink:
            _compare_uplinks(found, device, rows, stored)
        else:
            within_ms = None if device in any_time else slack_ms
            _compare_polled(found, device, rows, stored, within_ms)
    return found


def _compare_uplinks(
    found: Comparison, device: str, rows: list[TruthRow], stored: list[Row]
) -> None:
    due = {row.time_ms: row for row in rows if row.due}
    kept = {row.time_ms: row for row in stored}
    found.uplinks_sent += len(due)
    found.uplinks_stored += len(stored)
    found.uplinks_missing += len(due.keys() - kept.keys())
    for time_ms in sorted(due.keys() - kept.keys()):
        found.differ(f"{device}: sent at {time_ms}, not stored")
    in_doubt = {row.time_ms for row in rows if row.fault == "unacknowledged"}
    for time_ms in sorted(kept.keys() - due.keys() - in_doubt):
        found.differ(f"{device}: stored at {time_ms}, never sent")
    for time_ms in sorted(due.keys() & kept.keys()):
        for name, value in due[time_ms].fields.items():
            if kept[time_ms].fields.get(name) != value:
                was = kept[time_ms].fields.get(name)
                found.differ(f"{device}: at {time_ms} {name} was {value}, stored {was}")


def _compare_polled(
    found: Comparison, device: str, rows: list[TruthRow], stored: list[Row], slack_ms: int | None
) -> None:
    driver = _driver(rows[0].driver)
    good = [row for row in rows if driver.raw_field in row.fields]
    if slack_ms is None:
        good.sort(key=lambda row: float(row.fields[driver.raw_field]))
        keys = [float(row.fields[driver.raw_field]) for row in good]
    else:
        keys = [float(row.time_ms) for row in good]
    within = "ever" if slack_ms is None else f"in the {slack_ms} ms before"
    found.polled_asked += len(rows)
    found.polled_stored += len(stored)
    for point in stored:
        value = point.fields.get(driver.raw_field)
        if value is None:
            continue  # an access point that didn't answer: only the gateway's own probes
        if slack_ms is None:
            low, high = float(value) - driver.resolution, float(value) + driver.resolution
        else:
            low, high = point.time_ms - slack_ms, point.time_ms + 1
        near = good[bisect.bisect_left(keys, low) : bisect.bisect_right(keys, high)]
        candidates = (row.fields[driver.raw_field] for row in near)
        if not any(_same(value, given, driver.resolution) for given in candidates):
            text = f"{device}: stored {driver.raw_field} {value} at {point.time_ms}"
            found.differ(f"{text}, not given {within}")


def _same(stored: Value, given: Value, resolution: float) -> bool:
    if isinstance(stored, str) or isinstance(given, str):
        return stored == given
    return abs(stored - given) <= resolution / 2 + 1e-9
