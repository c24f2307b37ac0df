"""The watch's rounds on real stores: the fixtures again, restarts, offline gateways, people."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from devices.kinds import KINDS
from devices.reading import Value
from ingest.alerts.desk import Acknowledge, AskSilence, leave_ask
from ingest.alerts.looks import HOURS_A_ROUND
from ingest.alerts.news import Box
from ingest.health import Fact
from ingest.rules import RULES, Level, Rule, Subject
from ingest.stores.live import Change, LiveStore
from tests.ingest.alerts.rounds import alerts, hourly, inventory, look, place, states, write
from tests.ingest.rules.replay import CASES, Case
from tests.ingest.stores.databases import NOW_MS, Database, HandClock

MINUTE_MS = 60_000
DAY_MS = 86_400_000
EIGHT_MS = (NOW_MS + 7 * 3_600_000) // DAY_MS * DAY_MS - 7 * 3_600_000 + 8 * 3_600_000 - 2 * DAY_MS
"""08:00 in Banda Aceh, the day before yesterday: InfluxDB judges retention by its own clock."""


def news_of(box: Box) -> list[str]:
    return [f"{one.became} {one.rule} {one.place.device}" for one in box.due]


def test_every_fixture_ends_as_the_evaluator_says_in_the_store_too(
    database: Database, tmp_path: Path
) -> None:
    async def play(store: LiveStore) -> list[str]:
        wrong = []
        for number, (rule, device_kind, case) in enumerate(CASES):
            name = f"{rule.id}-{hashlib.md5(str(case).encode()).hexdigest()[:8]}"
            level = await replay(store, tmp_path / str(number), rule, device_kind, case, name)
            if level != case.level:
                wrong.append(f"{name} {case.shows}: {level}, not {case.level}")
        return wrong

    assert database.run(play, HandClock()) == []


async def replay(
    store: LiveStore, folder: Path, rule: Rule, device_kind: str, case: Case, name: str
) -> str:
    folder.mkdir()
    own, at = alerts(store, folder), place(name, f"gw-{name}")
    known = [inventory(at.gateway, name, kind=device_kind or "waste_container")]
    now_ms = EIGHT_MS
    for arriving, now_min in case.arrivals():
        time_ms, now_ms = (
            EIGHT_MS + int(arriving.at_min * MINUTE_MS),
            EIGHT_MS + int(now_min * MINUTE_MS),
        )
        points, facts = [], []
        if rule.source in KINDS:
            points = [await write(store, rule.source, at, arriving.fields, time_ms)]
        elif time_ms == now_ms:  # what the watch establishes is never late
            facts = [Fact(rule.source, at, dict(arriving.fields), device_kind)]
        await own.round(look(now_ms, points, facts, known))
    if case.offline:
        offline = Fact("gateway_health", place(at.gateway, at.gateway), {"online": 0})
        now_ms += MINUTE_MS
        await own.round(look(now_ms, facts=[offline], inventories=known))
    found = (await states(store, now_ms)).get(name, {})
    return Level(int(found.get(rule.id, 0))).name.lower()


def test_a_restart_forgets_nothing_and_tells_nothing_again(
    database: Database, tmp_path: Path
) -> None:
    known = [inventory("gw-1", "bin-1", "bin-2")]

    async def play(store: LiveStore) -> None:
        first = alerts(store, tmp_path)
        full = await write(store, "waste_container", place("bin-1"), {"filling_level": 0.9}, T0)
        fire = await write(store, "waste_container", place("bin-2"), {"status": "burning"}, T0)
        await first.round(look(T0, [full, fire], inventories=known))
        told = ["fires bin_full bin-1", "incident bin_burning bin-2"]
        assert news_of(first.newsroom.boxes["all"]) == told
        again = alerts(store, tmp_path)
        await again.round(look(T0 + MINUTE_MS, [full, fire], inventories=known))
        assert again.evaluator.standings["bin_full", "bin-1", ""].since_ms == T0
        assert [one.at_ms for one in again.evaluator.incidents.open] == [T0]
        assert news_of(again.newsroom.boxes["all"]) == told
        late = await write(
            store, "waste_container", place("bin-1"), {"filling_level": 0.1}, T0 - MINUTE_MS
        )
        await again.round(look(T0 + 2 * MINUTE_MS, [late], inventories=known))
        assert (await states(store, T0))["bin-1"]["bin_full"] == Level.TOLD

    database.run(play, HandClock())


T0 = NOW_MS - 6 * 3_600_000


def test_a_fire_in_the_backlog_of_an_outage_is_told_with_its_time(
    database: Database, tmp_path: Path
) -> None:
    """The newest reading came first; only the hours that the ingestor notes lead to the fire."""
    known = [inventory("gw-1", "bin-1")]
    fire_ms = T0 - 26 * 3_600_000

    async def play(store: LiveStore) -> None:
        own = alerts(store, tmp_path)
        at = place("bin-1")
        now = await write(store, "waste_container", at, {"status": "ok"}, T0)
        await own.round(look(T0, [now], inventories=known))
        await write(store, "waste_container", at, {"status": "burning"}, fire_ms)
        await write(store, "waste_container", at, {"status": "ok"}, fire_ms + 30 * MINUTE_MS)
        await own.round(look(T0 + MINUTE_MS, inventories=known))
        assert own.evaluator.incidents.open == []
        own.touch("gw-1", fire_ms - fire_ms % 3_600_000)
        await own.round(look(T0 + 2 * MINUTE_MS, inventories=known))
        (news,) = own.newsroom.boxes["all"].due
        assert (news.became, news.rule, news.at_ms) == ("incident", "bin_burning", fire_ms)
        (row,) = await hourly(store, "device_incident", ["bin_burning"], T0)
        assert (row.time_ms, row.fields["bin_burning"]) == (fire_ms, "open")
        assert (await states(store, T0))["bin-1"]["worst"] == "bin_burning"

    database.run(play, HandClock())


def test_a_gateway_that_touches_old_hours_for_ever_hides_no_fire_of_another(
    database: Database, tmp_path: Path
) -> None:
    known = [inventory("gw-1", "bin-1")]
    fire_ms = T0 - 26 * 3_600_000
    old = range(HOURS_A_ROUND)

    async def play(store: LiveStore) -> None:
        own = alerts(store, tmp_path)
        await own.round(look(T0, inventories=known))
        await write(store, "waste_container", place("bin-1"), {"status": "burning"}, fire_ms)
        for again in range(3):
            for hour in old:
                own.touch("gw-2", fire_ms - fire_ms % 3_600_000 - (hour + 1) * 3_600_000)
            if not again:
                own.touch("gw-1", fire_ms - fire_ms % 3_600_000)
            await own.round(look(T0 + (again + 1) * MINUTE_MS, inventories=known))
        (incident,) = own.evaluator.incidents.open
        assert incident.at_ms == fire_ms

    database.run(play, HandClock())


def test_a_gateway_that_is_offline_is_one_message_and_its_devices_none(
    database: Database, tmp_path: Path
) -> None:
    names = [f"bin-{number}" for number in range(80)]
    known = [inventory("gw-1", *names)]

    async def play(store: LiveStore) -> None:
        own = alerts(store, tmp_path)

        def facts(online: int, state: str) -> list[Fact]:
            health = [
                Fact("device_health", place(name), {"state": state}, "waste_container")
                for name in names
            ]
            gateway = Fact("gateway_health", place("gw-1", zone="main"), {"online": online})
            return [gateway, *health]

        async def minutes(start: int, count: int, online: int, state: str) -> None:
            for minute in range(start, start + count):
                now_ms = T0 + minute * MINUTE_MS
                await own.round(look(now_ms, facts=facts(online, state), inventories=known))

        box = own.newsroom.boxes["all"]
        await minutes(0, 2, 1, "ok")
        await minutes(2, 3, 0, "ok")
        await minutes(5, 30, 0, "gateway_offline")
        assert news_of(box) == ["fires gateway_offline gw-1"]
        await minutes(35, 15, 1, "delayed")
        await minutes(50, 5, 1, "ok")
        assert news_of(box) == ["fires gateway_offline gw-1", "clears gateway_offline gw-1"]

    database.run(play, HandClock())


def test_what_fires_is_told_once_its_gateway_is_back_if_it_was_not_before(
    database: Database, tmp_path: Path
) -> None:
    known = [inventory("gw-1", "bin-1")]

    async def play(store: LiveStore) -> None:
        own, box = (made := alerts(store, tmp_path)), made.newsroom.boxes["all"]
        off = Fact("gateway_health", place("gw-1", zone="main"), {"online": 0})
        on = Fact("gateway_health", place("gw-1", zone="main"), {"online": 1})
        full = await write(store, "waste_container", place("bin-1"), {"filling_level": 0.9}, T0)
        await own.round(look(T0, [full], [off], known))
        assert news_of(box) == ["fires gateway_offline gw-1"]
        assert (await states(store, T0))["bin-1"]["bin_full"] == Level.MUTED
        await own.round(look(T0 + MINUTE_MS, [], [on], known))
        assert news_of(box)[1:] == ["fires bin_full bin-1", "clears gateway_offline gw-1"]

    database.run(play, HandClock())


def test_maintenance_silences_all_but_fire(tmp_path: Path, sqlite: Database) -> None:
    device = msgspec.structs.replace(inventory("gw-1", "bin-1").devices[0], maintenance=True)
    known = [msgspec.structs.replace(inventory("gw-1"), devices=(device,))]

    async def play(store: LiveStore) -> None:
        own = alerts(store, tmp_path)
        fields: Mapping[str, Value] = {"filling_level": 0.9, "status": "burning"}
        reading = await write(store, "waste_container", place("bin-1"), fields, T0)
        await own.round(look(T0, [reading], inventories=known))
        assert news_of(own.newsroom.boxes["all"]) == ["incident bin_burning bin-1"]

    sqlite.run(play, HandClock())


def test_an_acknowledgement_ends_an_incident_and_quiets_what_still_fires(
    database: Database, tmp_path: Path
) -> None:
    known = [inventory("gw-1", "bin-1")]

    async def play(store: LiveStore) -> None:
        own = alerts(store, tmp_path)
        fields: Mapping[str, Value] = {"filling_level": 0.9, "status": "burning"}
        reading = await write(store, "waste_container", place("bin-1"), fields, T0)
        await own.round(look(T0, [reading], inventories=known))
        for rule in ("bin_full", "bin_burning"):
            ask = Acknowledge(rule, "bin-1", "Cut Nyak", "pemadam di lokasi")
            path = leave_ask(own.newsroom.path, ask, T0)
            await own.take_asks(T0 + 1000)
            assert not path.exists()
        await own.round(look(T0 + MINUTE_MS, inventories=known))
        assert (await states(store, T0, "bin_full"))["bin-1"] == {"bin_full": Level.MUTED}
        assert (await states(store, T0, "bin_burning"))["bin-1"] == {"bin_burning": Level.CLEAR}
        names = ["bin_burning", "bin_burning_who", "bin_burning_why"]
        (row,) = await hourly(store, "device_incident", names, T0)
        assert list(row.fields.values()) == ["acknowledged", "Cut Nyak", "pemadam di lokasi"]
        history = await hourly(store, "rule_change", ["rule", "became", "who"], T0)
        said = {
            (row.fields["rule"], row.fields["became"], row.fields.get("who")) for row in history
        }
        assert said == {
            ("bin_full", "fires", None),
            ("bin_burning", "incident", None),
            ("bin_full", "acknowledged", "Cut Nyak"),
            ("bin_burning", "acknowledged", "Cut Nyak"),
        }
        last = news_of(own.newsroom.boxes["all"])[-1]
        assert last == "acknowledged bin_burning bin-1"
        empty = await write(
            store, "waste_container", place("bin-1"), {"filling_level": 0.1}, T0 + 2 * MINUTE_MS
        )
        await own.round(look(T0 + 2 * MINUTE_MS, [empty], inventories=known))
        assert own.newsroom.file.acknowledged == []

    database.run(play, HandClock())


def test_a_silence_holds_until_it_ends_and_its_history_stays(
    database: Database, tmp_path: Path
) -> None:
    known = [inventory("gw-1", "bin-1")]

    async def play(store: LiveStore) -> None:
        own = alerts(store, tmp_path)
        await own.round(look(T0, inventories=known))
        ask = AskSilence(T0 + 10 * MINUTE_MS, "Teuku", "pasar malam", site="pasar")
        leave_ask(own.newsroom.path, ask, T0)
        await own.take_asks(T0)
        reading = await write(store, "waste_container", place("bin-1"), {"filling_level": 0.9}, T0)
        await own.round(look(T0 + MINUTE_MS, [reading], inventories=known))
        assert news_of(own.newsroom.boxes["all"]) == []
        await own.round(look(T0 + 10 * MINUTE_MS, inventories=known))
        assert news_of(own.newsroom.boxes["all"]) == ["fires bin_full bin-1"]
        fields = ["rule", "became", "who", "until_ms"]
        rows = await hourly(store, "rule_change", fields, T0)
        silenced = [row.fields for row in rows if row.fields["became"] == "silenced"]
        assert silenced == [
            {"rule": "all", "became": "silenced", "who": "Teuku", "until_ms": ask.until_ms}
        ]

    database.run(play, HandClock())


async def two_full_bins(store: LiveStore) -> list[Change]:
    return [
        await write(store, "waste_container", place(name), {"filling_level": 0.9}, T0)
        for name in ("bin-1", "bin-2")
    ]


def test_a_device_that_is_taken_away_is_retired_and_one_that_moves_is_not(
    tmp_path: Path, sqlite: Database
) -> None:
    async def play(store: LiveStore) -> None:
        own, box = (made := alerts(store, tmp_path)), made.newsroom.boxes["all"]
        readings = await two_full_bins(store)
        known = [inventory("gw-1", "bin-1", "bin-2"), inventory("gw-2")]
        await own.round(look(T0, readings, inventories=known))
        moved = [inventory("gw-1"), inventory("gw-2", "bin-2")]
        await own.round(look(T0 + MINUTE_MS, inventories=moved))
        assert news_of(box)[2:] == ["retired bin_full bin-1"]
        assert (await states(store, T0))["bin-1"]["bin_full"] == Level.CLEAR
        await own.round(look(T0 + 2 * MINUTE_MS, inventories=moved))
        assert len(box.due) == 3

    sqlite.run(play, HandClock())


def test_a_retired_gateway_is_looked_for_no_more_nor_is_what_it_alone_named(
    tmp_path: Path, sqlite: Database
) -> None:
    async def play(store: LiveStore) -> None:
        own, box = (made := alerts(store, tmp_path)), made.newsroom.boxes["all"]
        readings = await two_full_bins(store)
        known = [inventory("gw-1", "bin-1", "bin-2"), inventory("gw-2")]
        at = place("gw-1", "gw-1", zone="main")
        for minute in range(10):
            now_ms = T0 + minute * MINUTE_MS
            silent = Fact("gateway_health", at, {"online": 0})
            await own.round(look(now_ms, readings if not minute else (), [silent], known))
        assert "fires gateway_offline gw-1" in news_of(box)
        told, left = len(box.due), [inventory("gw-2", "bin-2")]
        await own.round(look(now_ms + MINUTE_MS, inventories=left, retired=["gw-1"]))
        # bin-2 was told by a dead gateway, and is by a living one now.
        ended = sorted(news_of(box)[told:])
        assert ended == ["fires bin_full bin-2", "retired gateway_offline gw-1"]
        state = await states(store, T0)
        assert state["gw-1"]["gateway_offline"] == Level.CLEAR
        assert state["bin-1"]["bin_full"] == Level.CLEAR

    sqlite.run(play, HandClock())


def test_a_series_that_disappears_resolves_nothing(tmp_path: Path, sqlite: Database) -> None:
    known = [inventory("gw-1", "bin-1")]

    async def play(store: LiveStore) -> None:
        own = alerts(store, tmp_path)
        reading = await write(store, "waste_container", place("bin-1"), {"filling_level": 0.9}, T0)
        await own.round(look(T0, [reading], inventories=known))
        for hour in range(1, 49):
            await own.round(look(T0 + hour * 3_600_000, inventories=known))
        assert news_of(own.newsroom.boxes["all"]) == ["fires bin_full bin-1"]
        state = (await states(store, T0 + 48 * 3_600_000))["bin-1"]
        assert (state["bin_full"], state["bin_full_since_ms"]) == (Level.TOLD, T0)

    sqlite.run(play, HandClock())


@pytest.mark.parametrize("subject", Subject)
def test_every_sort_of_subject_has_a_rule(subject: Subject) -> None:
    assert any(rule.subject is subject for rule in RULES.values())
