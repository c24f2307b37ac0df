"""Another sensor in the same bay: what was learnt of the old one is gone, all else stays."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from edge.configuration import Device, EdgeConfiguration, Gateway, OutboxSettings
from edge.device_edits import in_maintenance_until, with_another_sensor
from edge.outbox_thread import OutboxThread
from edge.replaced import forget_replaced
from edge.site_log import What, read_log
from wire.clock import SystemClock

NOW_MS = 1_790_000_000_000


def configuration(folder: Path, **of_bay: object) -> EdgeConfiguration:
    bay = Device(name="bay-1", driver="bosch_tps110", link="radio", dev_eui="0004a30b001c0530")
    other = msgspec.structs.replace(bay, name="bay-2", dev_eui="0004a30b001c0531")
    return EdgeConfiguration(
        gateway=Gateway(name="gateway-1", site="s"),
        outbox=OutboxSettings(path=str(folder / "outbox.db"), ballast_bytes=0),
        device=(msgspec.structs.replace(bay, **of_bay), other),
    )


async def started(settings: EdgeConfiguration) -> tuple[list[str], dict[str, bytes]]:
    """One start of the agent, as far as this goes; both have learnt something by its end."""
    outbox = await OutboxThread.open(settings.outbox, SystemClock(), "machine", "boot")
    try:
        forgotten = await forget_replaced(settings, outbox, NOW_MS)
        states = await outbox.states()
        await outbox.seal((), {"bay-1": b"learnt", "bay-2": b"learnt"}, Counter())
        return forgotten, states
    finally:
        await outbox.close()


def test_only_the_replaced_one_is_forgotten(tmp_path):
    async def scenario() -> None:
        assert await started(configuration(tmp_path)) == ([], {})
        assert await started(configuration(tmp_path)) == (
            [],
            {"bay-1": b"learnt", "bay-2": b"learnt"},
        )
        for change in ({"dev_eui": "0004a30b001c0539"}, {"sensor": "4711"}):
            forgotten, states = await started(configuration(tmp_path, **change))
            assert forgotten == ["bay-1"]
            assert states == {"bay-1": b"", "bay-2": b"learnt"}
            assert (await started(configuration(tmp_path, **change)))[0] == []
        assert [(one.what, one.device) for one in read_log(tmp_path)] == [
            (What.REPLACED, "bay-1"), (What.REPLACED, "bay-1"),
        ]  # fmt: skip

    asyncio.run(scenario())


def test_an_upgrade_from_before_forgets_nothing(tmp_path):
    async def scenario() -> None:
        await started(configuration(tmp_path))
        (tmp_path / "outbox.sensors.json").unlink()
        assert await started(configuration(tmp_path, sensor="4711")) == (
            [], {"bay-1": b"learnt", "bay-2": b"learnt"},
        )  # fmt: skip

    asyncio.run(scenario())


def test_a_power_cut_between_forgetting_and_remembering_forgets_once_more(tmp_path):
    async def scenario() -> None:
        await started(configuration(tmp_path))
        before = (tmp_path / "outbox.sensors.json").read_bytes()
        await started(configuration(tmp_path, sensor="4711"))
        (tmp_path / "outbox.sensors.json").write_bytes(before)
        forgotten, states = await started(configuration(tmp_path, sensor="4711"))
        assert (forgotten, states["bay-1"]) == (["bay-1"], b"")

    asyncio.run(scenario())


def test_a_card_that_takes_nothing_forgets_nothing_and_says_nothing_of_it(tmp_path):
    connections: list[sqlite3.Connection] = []

    def connect(path: str, **how: Any) -> sqlite3.Connection:
        connections.append(sqlite3.connect(path, **{**how, "check_same_thread": False}))
        return connections[-1]

    async def scenario() -> None:
        await started(configuration(tmp_path))
        settings = configuration(tmp_path, sensor="4711")
        outbox = await OutboxThread.open(settings.outbox, SystemClock(), "machine", "", connect)
        connections[-1].execute("PRAGMA query_only = ON")  # as a card that went read-only
        assert await forget_replaced(settings, outbox, NOW_MS) == []
        assert (await outbox.states())["bay-1"] == b"learnt"
        connections[-1].execute("PRAGMA query_only = OFF")
        await outbox.close()
        assert list(read_log(tmp_path)) == []
        assert (await started(settings))[0] == ["bay-1"]

    asyncio.run(scenario())


TEXT = """\
# the market
[[device]]
name = "bay-1"   # the first
driver = "raw_magnet"
magnet = { occupied_above_ut = 9.0, free_ut = [1.0, 2.0, 3.0] }

[[device]]
name = "bay-2"
"""


def test_the_file_keeps_its_comments_and_loses_the_old_sensors_field():
    after = with_another_sensor(TEXT, "t", "bay-1", {"sensor": "4711", "unit": 3})
    assert "# the market" in after
    assert "# the first" in after
    assert "free_ut" not in after
    assert "occupied_above_ut = 9.0" in after
    assert 'sensor = "4711"' in after
    assert after.index('"4711"') < after.index('name = "bay-2"')


def test_maintenance_comes_and_goes_in_the_file():
    from datetime import UTC, datetime

    until = datetime(2026, 12, 1, 10, tzinfo=UTC)
    during = in_maintenance_until(TEXT, "t", "bay-2", until)
    assert "maintenance_until = 2026-12-01T10:00:00" in during
    assert in_maintenance_until(during, "t", "bay-2", None) == TEXT
