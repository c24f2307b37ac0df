"""What fires, read from a real store; what operators say of it, left for the watch."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import cast
from zoneinfo import ZoneInfo

import msgspec
import pytest
from nicegui import Client

from dashboards.archive import Archive
from dashboards.configuration import PageConfiguration
from dashboards.feed import Feed
from dashboards.operators.account_file import MEMORY, open_file
from dashboards.operators.alarms import WORDS_MAX, Alarms
from dashboards.operators.audit import Audit
from dashboards.operators.context import Context
from dashboards.operators.portal import sayer
from dashboards.operators.shared import SHARED_MAX, Shared
from dashboards.operators.visitor import NotAllowedError, Role, Visitor
from dashboards.store_file import open_source
from dashboards.texts import Language
from ingest.alerts.desk import Acknowledge, AskSilence, waiting_asks
from ingest.stores import Bucket, Written
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from tests.dashboards.operators.entrance_rig import HandClock
from wire.clock import SystemClock

WATCH = "device=watch,gateway=watch,site=cloud,zone=cloud"
PLACE = "device=bin-03,gateway=mahirah-01,site=pasar-mahirah,zone=pelataran"


def context(tmp_path, role: Role, desk: str = "alerts.json") -> Context:
    settings = SqliteSettings(path=str(tmp_path / "city.db"))
    clock = SystemClock()
    source = partial(open_source, settings, clock)
    archive = Archive(source, waiting_max=16, patience_s=60)
    return Context(
        feed=Feed(source, clock),
        source=archive,
        shared=Shared(clock),
        clock=clock,
        language=Language.ENGLISH,
        say=sayer(Language.ENGLISH),
        visitor=Visitor("malam", role),
        client=cast(Client, object()),  # of no use here
        configuration=PageConfiguration(store=settings),
        zone=ZoneInfo("Asia/Jakarta"),
        round=None,
        alarms=Alarms(archive, clock, str(tmp_path / desk) if desk else ""),
        address="203.0.113.7",
        log=Audit(open_file(MEMORY), 1000),
        wall=clock,
    )


async def looked(alarms: Alarms) -> None:
    """Run it until it has looked once."""
    seen = asyncio.Event()
    alarms.followers.add(seen.set)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(alarms.run())
        await seen.wait()
        running.cancel()


def test_what_fires_is_seen_and_a_store_that_is_away_is_said_to_be(tmp_path):
    async def story() -> None:
        here = context(tmp_path, Role.VIEWER)
        await looked(here.alarms)
        assert "start the ingestor" in here.alarms.away
        assert here.alarms.read_ms == 0
        now_ms = here.clock.now_ms()
        async with open_store(SqliteSettings(path=str(tmp_path / "city.db")), here.clock) as store:
            line = f"rule_state,{PLACE} bin_full=3i {now_ms - 5000}"
            assert await store.write(Bucket.HEALTH, [line]) == Written()
        await looked(here.alarms)
        assert here.alarms.away == ""
        assert here.alarms.stale  # the watch has never said that it looked
        (alert,) = here.alarms.firing
        assert (alert.rule, alert.place.device) == ("bin_full", "bin-03")
        async with open_store(SqliteSettings(path=str(tmp_path / "city.db")), here.clock) as store:
            said = f"watch_health,{WATCH} uptime_s=60 {now_ms - 60_000}"
            assert await store.write(Bucket.HEALTH, [said]) == Written()
        await looked(here.alarms)
        assert not here.alarms.stale
        (tmp_path / "alerts.json").write_text("{")
        await looked(here.alarms)
        assert "damaged" in here.alarms.away
        assert here.alarms.firing == (alert,)  # the last that was known, with its age

    asyncio.run(story())


def test_an_operator_acknowledges_and_silences_and_the_log_has_it(tmp_path):
    async def story() -> None:
        here = context(tmp_path, Role.OPERATOR)
        await here.acknowledge("bin_full", "bin-03", "truk\n di jalan ")
        await here.silence(5_000, "pasar malam", site="pasar-mahirah")
        asks = [ask for _, ask in waiting_asks(tmp_path / "alerts.json")]
        assert asks == [
            Acknowledge("bin_full", "bin-03", "malam", "truk di jalan"),
            AskSilence(5_000, "malam", "pasar malam", site="pasar-mahirah"),
        ]
        said = [(one.who, one.address, one.action, one.note) for _, one in here.log.newest(9)]
        assert said == [
            ("malam", "203.0.113.7", "silence", "pasar malam"),
            ("malam", "203.0.113.7", "acknowledge", "truk di jalan"),
        ]

    asyncio.run(story())


def test_a_viewer_changes_nothing(tmp_path):
    async def story() -> None:
        here = context(tmp_path, Role.VIEWER)
        with pytest.raises(NotAllowedError):
            await here.acknowledge("bin_full", "bin-03", "truk di jalan")
        with pytest.raises(NotAllowedError):
            await here.silence(5_000, "pasar malam")
        assert waiting_asks(tmp_path / "alerts.json") == []
        assert here.log.newest(9) == []

    asyncio.run(story())


@pytest.mark.parametrize("why", ["", " \n ", "x" * (WORDS_MAX + 1)])
def test_a_reason_is_needed_and_fits_into_a_message(tmp_path, why):
    async def story() -> None:
        with pytest.raises(ValueError, match="write 1 to"):
            await context(tmp_path, Role.OPERATOR).acknowledge("bin_full", "bin-03", why)

    asyncio.run(story())


def test_without_a_desk_nothing_is_left_and_nothing_is_logged(tmp_path):
    async def story() -> None:
        here = context(tmp_path, Role.OPERATOR, desk="")
        assert not here.alarms.can_answer
        with pytest.raises(OSError, match="desk_file"):
            await here.acknowledge("bin_full", "bin-03", "truk di jalan")
        assert here.log.newest(9) == []

    asyncio.run(story())


def test_two_who_answer_in_one_moment_are_both_heard(tmp_path):
    async def story() -> None:
        here = context(tmp_path, Role.OPERATOR)
        alarms = Alarms(here.source, HandClock(), str(tmp_path / "alerts.json"))
        asks = [Acknowledge("bin_full", f"bin-{n:02d}", "malam", "x") for n in range(20)]
        async with asyncio.TaskGroup() as group:
            for ask in asks:
                group.create_task(alarms.leave(ask))
        left = [msgspec.json.encode(ask) for _, ask in waiting_asks(tmp_path / "alerts.json")]
        assert sorted(left) == sorted(map(msgspec.json.encode, asks))

    asyncio.run(story())


def test_what_many_ask_for_is_reckoned_once_while_it_is_fresh():
    clock, reckoned = HandClock(), []

    async def make() -> int:
        reckoned.append(clock.passed_s)
        await asyncio.sleep(0)
        return len(reckoned)

    async def fails() -> int:
        raise OSError("no")

    async def story() -> None:
        shared = Shared(clock)
        asked = [shared.get("week", 60, make) for _ in range(50)]
        assert await asyncio.gather(*asked) == [1] * 50
        clock.passed_s = 60
        assert await shared.get("week", 60, make) == 1
        clock.passed_s = 61
        assert await shared.get("week", 60, make) == 2
        with pytest.raises(OSError, match="no"):
            await shared.get("other", 60, fails)
        for number in range(SHARED_MAX * 2):
            await shared.get(f"week {number}", 60, make)
        assert len(shared._answers) == SHARED_MAX
        assert shared._turns == {}

    asyncio.run(story())
    assert reckoned[:2] == [0, 61]
