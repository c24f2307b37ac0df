"""The watch's part in configurations, commands and maintenance; who is believed about what."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ingest.broker import Door, connected
from ingest.desk import Closed, Desk, Kept, SetConfiguration
from ingest.remote import TOLD_A_TURN, Remote, in_maintenance
from tests.edge.uplink.far_side import retained
from tests.ingest.gateway import configuration, eventually
from tests.ingest.test_watch import watching
from tests.servers import Mosquitto
from wire.clock import SystemClock
from wire.messages import BadMessage, Inventory, InventoryDevice, decode_message, pack_message
from wire.remote import Applied, CommandResult, ConfigurationState, Desired
from wire.topics import Leaf, topic


def inventory(*devices: InventoryDevice) -> Inventory:
    return Inventory("gw-1", "pasar", 60, devices)


def bay(name: str, until_ms: int = 0, maintenance: bool = False) -> InventoryDevice:
    return InventoryDevice(
        name, "parking_spot", "bosch_tps110", "a", 600, 1560.0, maintenance=maintenance,
        maintenance_until_ms=until_ms,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("device", "closed", "now_ms", "holds"),
    [
        (bay("bay-1"), {}, 10, False),
        (bay("bay-1", maintenance=True), {}, 10, True),
        (bay("bay-1", until_ms=11), {}, 10, True),
        (bay("bay-1", until_ms=10), {}, 10, False),
        (bay("bay-1"), {"bay-1": Closed(11, 0)}, 10, True),
        (bay("bay-1"), {"bay-1": Closed(10, 0)}, 10, False),
        (bay("bay-1"), {"bay-2": Closed(11, 0)}, 10, False),
    ],
)
def test_maintenance_holds_until_its_moment_whoever_said_it(device, closed, now_ms, holds):
    seen = in_maintenance(inventory(device), closed, now_ms)
    assert seen.devices[0].maintenance is holds


def test_maintenance_that_has_ended_is_noticed_without_a_word(tmp_path):
    remote = Remote(tmp_path / "registry.json", SystemClock())
    known = {"gw-1": inventory(bay("bay-1", until_ms=100)), "gw-2": inventory(bay("bay-2"))}
    assert remote.turned(known, 50) == {"gw-1"}
    assert remote.turned(known, 60) == set()
    assert remote.turned(known, 100) == {"gw-1"}


def test_a_gateway_answers_only_for_itself_and_only_what_it_was_asked(tmp_path):
    async def main() -> None:
        registry = tmp_path / "registry.json"
        remote, desk = Remote(registry, SystemClock()), Desk(registry)
        applied = Applied(3, "d", ConfigurationState.APPLIED)
        await remote.take(topic("gw-1", Leaf.CONFIG_APPLIED), pack_message(applied))
        assert desk.kept("gw-1").applied == applied
        assert desk.kept("gw-2").applied is None
        result = pack_message(CommandResult("0123", True, text="[gateway]"))
        with pytest.raises(BadMessage):
            await remote.take(topic("gw-1", Leaf.COMMAND_RESULT), result)
        assert desk.result("0123") is None
        assert desk.kept("gw-1").running == ""

    asyncio.run(main())


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", "GW"])
def test_a_name_that_is_none_reaches_no_file(tmp_path: Path, name: str):
    desk = Desk(tmp_path / "registry.json")
    assert desk.kept(name).desired is None
    with pytest.raises(BadMessage):
        desk.result(name)


def test_versions_only_grow_also_after_the_folder_was_lost(tmp_path):
    async def main() -> None:
        registry = tmp_path / "registry.json"
        desk, versions = Desk(registry), []
        for text in ("a", "b", "c"):
            remote = Remote(registry, SystemClock())
            desk.leave(SetConfiguration("gw-1", text), SystemClock().now_ms())
            assert await remote.take_asks()
            desired = desk.kept("gw-1").desired
            assert desired is not None
            assert desired.text == text
            versions.append(desired.version)
            if text == "b":
                (desk.folder / "configurations" / "gw-1.json").write_text("{")  # a damaged file
        assert versions[0] < versions[1]
        assert versions[2] >= versions[0] > 1_700_000_000

    asyncio.run(main())


def test_a_request_that_is_none_is_put_away(tmp_path):
    async def main() -> None:
        registry = tmp_path / "registry.json"
        (tmp_path / "registry.json.ask-1-1").write_text("{}")
        Desk(registry).leave(SetConfiguration("no name", "x"), 2)
        assert await Remote(registry, SystemClock()).take_asks()
        assert [one.name for one in tmp_path.iterdir() if "ask" in one.name] == []

    asyncio.run(main())


def test_a_broker_that_forgot_is_told_again_what_is_wanted(tmp_path):
    async def main() -> None:
        name = topic("gw-1", Leaf.CONFIG)
        with Mosquitto(tmp_path / "broker") as broker:
            settings, clock = configuration(tmp_path, broker), SystemClock()
            async with watching(settings, tmp_path, clock) as (watch, _):
                Desk(tmp_path / "registry.json").leave(SetConfiguration("gw-1", "x"), 1)
                await eventually(lambda: retained(broker, name), "it is retained")
                broker.kill()
                broker.start()
                await eventually(lambda: watch.listening, "the watch is back")
                await eventually(lambda: retained(broker, name), "it is retained again")
                assert decode_message(retained(broker, name), Desired).text == "x"

    asyncio.run(main())


def test_what_is_wanted_anew_just_after_a_connection_is_not_undone_by_what_was_wanted_before(
    tmp_path,
):
    gateways = [f"gw-{number:03}" for number in range(TOLD_A_TURN + 1)]

    async def main() -> None:
        with Mosquitto(tmp_path / "broker") as broker:
            registry, clock = tmp_path / "registry.json", SystemClock()
            remote, desk = Remote(registry, clock), Desk(registry)
            for gateway in gateways:
                desk.keep(gateway, Kept(desired=Desired(7, "old")))
            door = Door(configuration(tmp_path, broker).broker, None, None)
            async with connected(door, "watch") as connection:
                await remote.greet(connection)
                last = [*desk.wanted()][-1]  # the others are told before it
                desk.leave(SetConfiguration(last, "new"), 1)
                while await remote.take_asks():
                    pass
                said = decode_message(retained(broker, topic(last, Leaf.CONFIG)), Desired)
                assert said.text == "new"

    asyncio.run(main())


def test_a_disk_that_is_full_ends_nothing_and_what_was_asked_is_taken_up_later(tmp_path: Path):
    async def main() -> None:
        registry = tmp_path / "registry.json"
        remote, desk = Remote(registry, SystemClock()), Desk(registry)
        desk.leave(SetConfiguration("gw-1", "[gateway]"), 1)
        desk.folder.write_text("no folder can be made here")  # as good as a full disk, as root too
        assert await remote.take_asks()
        assert len(desk.asks()) == 1
        desk.folder.unlink()
        await remote.take_asks()
        assert desk.asks() == []
        wanted = desk.kept("gw-1").desired
        assert wanted and wanted.text == "[gateway]"

    asyncio.run(main())
