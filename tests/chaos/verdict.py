"""What the chaos did to the readings: InfluxDB against ledgers, outboxes and the city's truth.

ledgers   each gateway's points, counted by the database, are as many as its ledger calls stored
outboxes  every line that a gateway still holds is in the database, value for value
truth     every uplink that the site's broker took is there, with its values and its time; every
          polled value is one that its device gave, and, where nobody turned the gateway's
          clock, gave just before
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import msgspec

from gampong.truth import Comparison, TruthRow, compare, read_truth
from ingest.stores import Row
from tests.chaos.line import TURNED, ChaosLine
from tests.live.line import points_of
from wire.clock import CityTime
from wire.line import parse_value
from wire.messages import Ledger

POLLED_BEFORE_MS = 8_000
"""A value waits so long at most between device and stamp: time-outs, a UART's buffer."""

FROZEN_MS = 31_000
SHOWN_MAX = 20
_Point = tuple[str, str, int]  # gateway, device, time


class Verdict(msgspec.Struct):
    """The figures of the table, and what is wrong."""

    ledger: Ledger
    compared: Comparison
    points: int = 0
    lost: int = 0
    """Stored by a ledger and not there, or sent to the site's broker and not there; an accepted
    uplink that is gone counts as both."""
    twice: int = 0
    held: int = 0
    """Lines in the outboxes, each looked up in the database."""
    problems: list[str] = []

    @property
    def good(self) -> bool:
        return not (self.lost or self.twice or self.problems)


def judge(line: ChaosLine) -> Verdict:
    """Compare everything, once the line has come to rest."""
    stored = asyncio.run(points_of(line.settings))
    rows = [row for rows in stored.values() for row in rows]
    ledgers = {agent.name: agent.ledger() for agent in line.agents}
    compared = _against_truth(line, stored)
    verdict = Verdict(sum(ledgers.values(), Ledger()), compared, points=len(rows))
    verdict.problems += compared.words
    _against_ledgers(verdict, ledgers, Counter(row.tags["gateway"] for row in rows))
    _against_outboxes(verdict, line, rows)
    verdict.lost += compared.uplinks_missing
    return verdict


def _against_ledgers(verdict: Verdict, ledgers: dict[str, Ledger], points: Counter[str]) -> None:
    for name in sorted(points.keys() - ledgers.keys()):
        verdict.problems.append(f"{points[name]} points of a gateway that isn't there: {name}")
    for name, ledger in ledgers.items():
        verdict.lost += max(0, ledger.stored - points[name])
        verdict.twice += max(0, points[name] - ledger.stored)
        if points[name] != ledger.stored:
            text = f"{name}: {points[name]} points, its ledger says stored {ledger.stored}"
            verdict.problems.append(text)
        if not ledger.balanced:
            verdict.problems.append(f"{name}: the ledger doesn't balance: {ledger}")
        if ledger.waiting or ledger.open:
            verdict.problems.append(f"{name}: {ledger.waiting} wait, {ledger.open} are open")
        if ledger.rejected:
            verdict.problems.append(f"{name}: good readings were rejected: {ledger.rejected}")


def _against_outboxes(verdict: Verdict, line: ChaosLine, rows: list[Row]) -> None:
    there = {_identity(row): row.fields for row in rows}
    seen: set[_Point] = set()
    missing: list[str] = []
    for agent in line.agents:
        for text in agent.export():
            row = _parsed(text)
            verdict.held += 1
            point = _identity(row)
            if point in seen:
                missing.append(f"two readings are one point: {text}")
            elif there.get(point) != row.fields:
                missing.append(f"held and not stored so: {text}, stored {there.get(point)}")
            seen.add(point)
    verdict.problems += missing[:SHOWN_MAX]
    if missing:
        verdict.problems.append(f"{len(missing)} such lines")


def _identity(row: Row) -> _Point:
    return row.tags["gateway"], row.tags["device"], row.time_ms


def _parsed(text: str) -> Row:
    """A line of `gampong outbox export`. No value of ours holds a comma, a space or an equals."""
    head, fields, time_ms = text.split(" ")
    tags = dict(pair.split("=") for pair in head.split(",")[1:])
    values = (pair.split("=") for pair in fields.split(","))
    return Row(int(time_ms), tags, {name: parse_value(value) for name, value in values})


def _against_truth(line: ChaosLine, stored: dict[str, list[Row]]) -> Comparison:
    turned = {gateway.name for gateway in line.city.gateways[:TURNED]}
    devices = {
        device
        for device, rows in stored.items()
        if any(row.tags["gateway"] in turned for row in rows)
    }
    truth = _in_wall_time(read_truth(line.truth), line.city_time)
    return compare(truth, stored, POLLED_BEFORE_MS + FROZEN_MS, any_time=devices)


def _in_wall_time(rows: Iterator[TruthRow], city: CityTime) -> Iterator[TruthRow]:
    """Polls are stamped by the gateways' clocks, which don't follow the city's time."""
    for row in rows:
        if row.uplink:
            yield row
        else:
            wall_ms = city.wall_ms + (row.time_ms - city.city_ms) / city.rate
            yield msgspec.structs.replace(row, time_ms=round(wall_ms))
