"""More of the city: every kind from its definition, in both stores; a new one needs no code."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import msgspec
import pytest

from dashboards.board import Board
from dashboards.operators.other_kinds import (
    Way,
    chart_of,
    columns_of,
    day_of_kind,
    number_of,
    other_kinds,
    rows_of,
    way_of,
)
from dashboards.operators.spoken import Spoken
from dashboards.texts import Language, words
from devices.kinds import ENERGY_METER, KINDS, PAYMENT, TRAFFIC_COUNTER, WATER_LEVEL, Kind
from devices.reading import Value
from ingest.health import point
from ingest.stores import Bucket, Row, Written
from ingest.stores.live import Change
from tests.ingest.stores import databases
from tests.ingest.stores.databases import NOW_MS, Database

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
SPOKEN = Spoken(Language.INDONESIAN, words(Language.INDONESIAN), UTC)


@pytest.fixture(params=["sqlite", pytest.param("influxdb2", marks=pytest.mark.live)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return databases.sqlite(tmp_path)
    return databases.influx(request.getfixturevalue("influxd"), tmp_path)


def line(kind: Kind, device: str, ago_ms: int, fields: dict[str, Value]) -> str:
    return point(kind, (device, "gw-1", "pasar", "a"), fields, NOW_MS - ago_ms)


def day(database: Database, kind: Kind, lines: list[str], devices: int = 1):
    async def use(store):
        assert await store.write(Bucket.CITY, lines) == Written()
        return await day_of_kind(store, kind, devices, NOW_MS, UTC)

    found = database.run(use)
    assert found is not None
    return found


def board_of(kind: str, fields: dict[str, Value], ago_ms: int = 0, device: str = "x-1") -> Board:
    board = Board()
    tags = {"device": device, "gateway": "gw-1", "site": "pasar", "zone": "a"}
    known: dict[str, Value] = {"kind": kind, "label": "<i>Krueng</i>", "expiry_s": 900.0}
    board.apply([Change("device_registry", Row(NOW_MS - HOUR_MS, tags, known))], NOW_MS)
    board.apply([Change(kind, Row(NOW_MS - ago_ms, tags, fields))], NOW_MS)
    return board


def test_a_mean_is_shown_of_what_is_measured(database: Database) -> None:
    lines = [
        line(WATER_LEVEL, "river-1", n * 5 * MINUTE_MS, {"level_m": 1.0 + n}) for n in range(40)
    ]
    found = day(database, WATER_LEVEL, lines)
    steps = found.lines["river-1"]
    assert sum(steps.values()) / len(steps) == pytest.approx(20.5, abs=1.5)
    assert found.today == {}
    board = board_of("water_level", {"level_m": 1.0}, device="river-1")
    chart = chart_of(WATER_LEVEL, found, list(board.devices.values()), SPOKEN, UTC)
    assert [one.name for one in chart.series] == ["<i>Krueng</i>"]
    assert len(chart.labels) == len(chart.series[0].data) == 48  # two readings in each
    assert chart.series[0].data[0] is None  # a gap is a gap


def test_a_counter_is_shown_by_what_it_counted(database: Database) -> None:
    hour = NOW_MS % HOUR_MS
    counts = [(3, 100), (2, 160), (1, 40), (0, 90)]  # it began anew an hour ago
    lines = [
        line(TRAFFIC_COUNTER, "traffic-1", back * HOUR_MS + hour, {"vehicle_count": count})
        for back, count in counts
    ]
    found = day(database, TRAFFIC_COUNTER, lines)
    start = NOW_MS - hour
    assert found.lines["traffic-1"] == {
        **{start - 2 * HOUR_MS: 60.0, start - HOUR_MS: 40.0, start: 50.0},
    }


def test_payments_are_added_up(database: Database) -> None:
    today_ms = NOW_MS % (24 * HOUR_MS)
    lines = [
        line(PAYMENT, "pay-1", ago_ms, {"amount_idr": 2000, "transaction": f"T{ago_ms}"})
        for ago_ms in (0, 1000, 2000, min(today_ms, 5 * MINUTE_MS))
    ]
    found = day(database, PAYMENT, lines)
    assert found.today == {"pay-1": 8000.0}
    board = board_of("payment", {"amount_idr": 2000, "transaction": "T1"}, device="pay-1")
    number = number_of(PAYMENT, list(board.devices.values()), found, SPOKEN)
    assert number.notes == ["hari ini 8.000 IDR"]


def test_an_old_reading_is_a_dash_and_its_device_unknown() -> None:
    board = board_of("energy_meter", {"active_power_w": 1200.0, "voltage_v": 221.0})
    devices = list(board.devices.values())
    (row,) = rows_of(ENERGY_METER, devices, None, NOW_MS, SPOKEN)
    assert row.cells[2] == "1.200 W"
    assert "tegangan 221,0 V" in row.cells[3]
    board.tick(NOW_MS + HOUR_MS)
    (row,) = rows_of(ENERGY_METER, devices, None, NOW_MS + HOUR_MS, SPOKEN)
    assert row.cells[2] == "–"
    assert row.cells[1] == {"t": "tidak diketahui", "state": "unknown"}
    assert row.cells[0]["t"] == "<i>Krueng</i>"  # type: ignore[index]


def test_only_kinds_that_are_there_and_have_no_page_of_their_own_are_shown() -> None:
    board = board_of("water_level", {"level_m": 1.0})
    tags = {"device": "bay-1", "gateway": "gw-1", "site": "pasar", "zone": "a"}
    board.apply([Change("parking_spot", Row(NOW_MS, tags, {"occupied": 1}))], NOW_MS)
    assert [kind.name for kind in other_kinds(board.devices.values())] == ["water_level"]


def test_a_kind_that_nobody_has_heard_of_needs_no_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cellar = msgspec.structs.replace(
        ENERGY_METER, name="cellar_damp", state="relative_humidity", about="a cellar"
    )
    monkeypatch.setitem(KINDS, "cellar_damp", cellar)
    board = board_of("cellar_damp", {"relative_humidity": 0.42})
    devices = list(board.devices.values())
    assert [kind.name for kind in other_kinds(devices)] == ["cellar_damp"]
    (row,) = rows_of(cellar, devices, None, NOW_MS, SPOKEN)
    assert row.cells[2] == "42 %"
    assert len(row.cells) == len(columns_of(cellar, SPOKEN))
    assert SPOKEN.say("kind.cellar_damp") == "cellar damp"


def test_what_is_a_counter_or_an_event_is_said_by_the_kind() -> None:
    ways = {kind.name: way_of(kind) for kind in KINDS.values()}
    assert ways["traffic_counter"] is Way.RISE
    assert ways["payment"] is Way.SUM
    assert {name for name, way in ways.items() if way is Way.MEAN} >= {
        *("energy_meter", "water_level", "environment", "people_counter"),
    }
