"""The gateways page: how long until it is full, which cable fails, how long the card lasts."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from dashboards.board import Board
from dashboards.operators.gateway_past import (
    YEAR_MS,
    Card,
    Past,
    cards_of,
    errors_of,
    gateways_past,
    hours_until_full,
)
from dashboards.operators.gateways_shown import gateways_of, shown
from dashboards.operators.spoken import Spoken
from dashboards.texts import Language, words
from ingest.health import point
from ingest.stores import Bucket, Row, Written
from ingest.stores.kinds import (
    DEVICE_HEALTH,
    DROPPED_FOR,
    GATEWAY_COMPLETENESS,
    GATEWAY_HEALTH,
)
from ingest.stores.live import Change
from tests.ingest.stores import databases
from tests.ingest.stores.databases import NOW_MS

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
DAY_MS = 24 * HOUR_MS
OWN = ("gw-1", "gw-1", "pasar", "main")
SPOKEN = Spoken(Language.ENGLISH, words(Language.ENGLISH), UTC)


def growing(start: float, an_hour: float) -> list[tuple[int, float]]:
    steps = range(-12, 1)
    return [(NOW_MS + n * 15 * MINUTE_MS, start + an_hour * (n + 12) / 4) for n in steps]


def test_an_outbox_that_fills_says_in_how_many_hours_it_is_full():
    assert hours_until_full(growing(0.40, 0.10), NOW_MS) == pytest.approx(3.5, abs=0.6)
    odd = growing(0.40, 0.10)
    odd[-1] = (odd[-1][0], 0.0)  # one odd step doesn't bend it
    assert hours_until_full(odd, NOW_MS) == pytest.approx(3.5, abs=0.8)


@pytest.mark.parametrize(
    "shares", [[], growing(0.3, 0.0), growing(0.9, -0.1), growing(0.3, 0.1)[:2]]
)
def test_an_outbox_that_doesnt_fill_says_nothing_of_hours(shares):
    assert hours_until_full(shares, NOW_MS) is None


def test_a_cable_is_named_by_its_devices_with_the_most_failed_reads():
    def row(device: str, minute: int, errors: int) -> Row:
        tags = {"gateway": "gw-1", "device": device}
        return Row(NOW_MS - minute * MINUTE_MS, tags, {"read_errors": errors})

    rows = [row("bay-1", 45, 10), row("bay-2", 45, 7), row("bay-1", 30, 12), row("bay-3", 30, 99)]
    rows += [row("bay-1", 0, 3), row("bay-2", 0, 19)]  # bay-1's gateway began anew
    assert errors_of(rows) == {"gw-1": [("bay-2", 12), ("bay-1", 5)]}


def test_a_cards_years_are_told_once_a_step_was_seen():
    def row(ago_ms: int, used: float) -> Row:
        return Row(NOW_MS - ago_ms, {"device": "gw-1"}, {"card_life_used": used})

    year = int(YEAR_MS)
    assert Card((0, 0.2), (year, 0.2)).years_left is None
    assert Card((0, 0.2), (2 * year, 0.4)).years_left == pytest.approx(6.0)
    assert Card((0, 0.2), (2 * year, 1.1)).years_left == 0
    found = cards_of([row(2 * year, 0.9), row(year, 0.1), row(0, 0.2)])  # another card since
    assert found["gw-1"].years_left == pytest.approx(8.0)


def health(minute: int, **fields: int | float | str) -> str:
    return point(GATEWAY_HEALTH, OWN, fields, NOW_MS - minute * MINUTE_MS)


@pytest.fixture(params=["sqlite", pytest.param("influxdb2", marks=pytest.mark.live)])
def past(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Past]:
    """Two hours of a gateway whose outbox fills, four days of completeness, two slaves."""
    if request.param == "sqlite":
        database = databases.sqlite(tmp_path)
    else:
        database = databases.influx(request.getfixturevalue("influxd"), tmp_path)
    today = NOW_MS - NOW_MS % DAY_MS
    lines = {
        Bucket.HEALTH: [
            *(
                health(minute, waiting=120 - minute, outbox_share=0.5 - minute / 1000)
                for minute in range(120, -1, -1)
            ),
            *(
                point(
                    DEVICE_HEALTH,
                    (device, "gw-1", "pasar", "a"),
                    {"state": "ok", "read_errors": each * (60 - minute)},
                    NOW_MS - minute * MINUTE_MS,
                )
                for device, each in (("bay-1", 0), ("bay-2", 2))
                for minute in range(59, -1, -1)
            ),
        ],
        Bucket.HOURLY: [
            point(
                GATEWAY_COMPLETENESS,
                OWN,
                {
                    **{"share": 1 - back / 100, "missing": back, "why": "dropped full"},
                    **{"radio_expected": 100, "radio_heard": 100 - back},
                    "card_life_used": 0.4,
                },
                today - back * DAY_MS,
            )
            for back in range(4)
        ]
        + [point(GATEWAY_COMPLETENESS, OWN, {"card_life_used": 0.2}, today - 300 * DAY_MS)],
    }

    async def use(store):
        for bucket, some in lines.items():
            assert await store.write(bucket, some) == Written()
        return await gateways_past(store, NOW_MS)

    return database.run(use)


def test_what_a_gateway_did_is_what_the_watch_wrote_of_it(past: dict[str, Past]) -> None:
    (name,) = past
    own = past[name]
    assert name == "gw-1"
    assert own.waiting[-1][1] == 120
    assert hours_until_full(own.shares, NOW_MS) == pytest.approx(0.5 / 0.06, rel=0.3)
    assert [day.share for day in own.days] == [0.97, 0.98, 0.99, 1.0]
    ((device, errors),) = own.errors
    assert device == "bay-2"
    assert errors == pytest.approx(2 * 45, abs=2 * 16)  # quarters of an hour
    assert own.card is not None and own.card.years_left is not None
    assert own.card.years_left == pytest.approx(0.6 / 0.2 * 300 / 365.25, rel=0.15)


def test_a_card_says_everything_with_the_age_of_the_gateways_own_word(
    past: dict[str, Past],
) -> None:
    board = Board()
    fields: dict[str, int | float | str] = {
        **{"online": 0, "age_s": 600.0, "waiting": 120, "oldest_waiting_s": 7200.0},
        **{"dropped": 5, "dropped_full": 4, "dropped_damaged": 1, "rejected": 0, "balanced": 1},
        **{"outbox_share": 0.5, "links": 3, "links_down": 1, "link_error_share": 0.07},
        **{"temperature_c": 82.0, "uplink_bytes": 120_000_000, "uplink_share": 0.24},
        **{"clock": "untrusted", "version": "<b>0.1</b>", "card_life_used": 0.4},
    }
    tags = dict(zip(("device", "gateway", "site", "zone"), OWN, strict=True))
    board.apply([Change("gateway_health", Row(NOW_MS, tags, fields))], NOW_MS)
    gateways = gateways_of(board.devices.values())
    page = shown(gateways, past, {"bay-2": "Petak 2"}, NOW_MS, SPOKEN, UTC)
    (card,) = page.cards
    assert (card.state, card.age) == ("offline", NOW_MS - 600_000)
    said = {fact.key: fact.cell for fact in card.facts}
    notes = {
        key: cell["note"] for key, cell in said.items() if isinstance(cell, dict) and "note" in cell
    }
    bad = {key for key, cell in said.items() if isinstance(cell, dict) and cell.get("bad")}
    assert notes["dropped"] == "full 4, damaged 1"
    assert notes["bus"].startswith("Petak 2 ")
    assert notes["outbox"].startswith("full in ")
    assert notes["radio"] == "6 / 400 uplinks"
    assert "years left" in notes["card"]
    assert said["version"] == "<b>0.1</b>"  # the browser writes it as text
    assert notes["uplink"] == "24 % of its quota"
    assert bad == {"waiting", "dropped", "links", "clock", "bus", "temperature"}
    assert {one.key: one.figure for one in page.numbers} == {
        **{"online": "0", "behind": "–", "complete": "100.00 %", "dropped": "5"},
    }


def test_a_gateway_that_never_spoke_has_dashes_and_no_zeros():
    board = Board()
    tags = dict(zip(("device", "gateway", "site", "zone"), OWN, strict=True))
    board.apply([Change("device_registry", Row(NOW_MS, tags, {"kind": "gateway"}))], NOW_MS)
    page = shown(gateways_of(board.devices.values()), {}, {}, NOW_MS, SPOKEN, UTC)
    said = {fact.key: fact.cell for fact in page.cards[0].facts}
    assert {said[key] for key in ("waiting", "outbox", "dropped", "rejected", "ledger")} == {"–"}
    assert page.cards[0].age == 0
    assert page.numbers[3].figure == "–"


def test_the_store_names_every_reason_for_which_an_outbox_lets_readings_go():
    assert {f"dropped_{reason}" for reason in DROPPED_FOR} <= GATEWAY_HEALTH.fields.keys()
    for language in Language:
        assert {f"dropped.{reason}" for reason in DROPPED_FOR} <= words(language).keys()


def test_an_empty_store_has_no_past(tmp_path: Path) -> None:
    database = databases.sqlite(tmp_path)
    assert database.run(lambda store: gateways_past(store, NOW_MS)) == {}
