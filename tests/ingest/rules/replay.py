"""Replay fixtures: what arrived, in which order, and what the rule must have made of it.

A file a rule in `fixtures/`. Times are minutes after 08:00 WIB; points stand in order of arrival,
and arrive at their own time or at `now_min`, never before those above them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from devices.reading import Value
from ingest.rules import RULES, Rule
from ingest.rules.standing import Hours

FOLDER = Path(__file__).parent / "fixtures"
JAKARTA = Hours(ZoneInfo("Asia/Jakarta"))
EIGHT_MS = 1_793_581_200_000
"""2026-11-02 08:00 in Banda Aceh."""

SHOWS = ("fires", "does not fire", "no data", "late data", "flapping", "gateway offline")


class FixturePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at_min: float
    fields: dict[str, Value]
    now_min: float = 0


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`changes`: word and minute of each; `level` of the subject at the end; `offline`: its gateway
    is, by then."""

    shows: str
    points: list[FixturePoint]
    changes: list[str]
    level: str
    offline: bool = False

    def arrivals(self) -> Iterator[tuple[FixturePoint, float]]:
        """Each point with the minute it arrives."""
        now_min = 0.0
        for point in self.points:
            now_min = max(now_min, point.at_min, point.now_min)
            yield point, now_min


class Fixture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: str
    case: list[Case]
    device_kind: str = ""


def fixtures() -> dict[str, Fixture]:
    """Every file, by its rule."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        fixture = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Fixture)
        assert fixture.rule == path.stem
        found[fixture.rule] = fixture
    return found


FIXTURES = fixtures()
CASES = [
    (RULES[name], fixture.device_kind, case)
    for name, fixture in FIXTURES.items()
    for case in fixture.case
]


def label(value: object) -> str:
    """A case's name in the test's."""
    if isinstance(value, Rule):
        return value.id
    return value.shows.replace(" ", "-") if isinstance(value, Case) else ""
