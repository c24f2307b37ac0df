"""A device that moved: the new gateway's lines wait as dead letters until an operator agrees."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from gampong.cli import main
from ingest.moves import Move, leave_word, waiting_words
from ingest.registry import Owner, Registry
from ingest.registry_file import load_registry, save_registry
from ingest.registry_keeping import RegistryKeeping
from tests.ingest.batches import line
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting, toml_of
from tests.ingest.test_ingestor import letters, stored
from tests.ingest.test_watch import announce, inventory, newest, watching
from wire.clock import SystemClock


def toml(folder: Path, text: str) -> str:
    """The configuration's file, with the watch's registry."""
    file = folder / "ingest.toml"
    file.write_text(f'{text}[watch]\nregistry_path = "{folder}/registry.json"\n')
    return str(file)


def test_an_accepted_claim_brings_its_dead_letters_back_from_its_date_on(tmp_path, broker, capsys):
    async def run() -> None:
        settings, clock = configuration(tmp_path, broker, registry="needed"), SystemClock()
        file = toml(tmp_path, toml_of(settings))
        async with (
            Gateway(broker, "mahirah-01") as before,
            Gateway(broker, "mahirah-02") as after,
            watching(settings, tmp_path, clock) as (watch, _),
        ):
            announce(before, "bay-1")
            await eventually(lambda: "bay-1" in watch.registry.file.owners, "it is announced")
            early_ms = clock.now_ms()
            announce(after, "bay-1")
            kept = tmp_path / "registry.json"
            await eventually(lambda: load_registry(kept).claims, "the claim is kept")
            async with ingesting(settings) as (ingestor, store):
                late_ms = clock.now_ms()
                await eventually(lambda: ingestor.owner_of("bay-1", late_ms), "the owner is told")
                after.send([line("bay-1", early_ms - 1), line("bay-1", late_ms)], 1)
                assert (await after.fate(1)).rejected == {"claim": 2}
                assert await asyncio.to_thread(main, ["ingest", "replay", file]) == 0
                assert capsys.readouterr().out.splitlines() == ["stored 0", "still claim 2"]

                assert await asyncio.to_thread(main, ["device", "claims", file]) == 0
                assert "bay-1 of mahirah-01 claimed by mahirah-02" in capsys.readouterr().out
                accept = ["device", "accept", file, "bay-1", "mahirah-02"]
                assert await asyncio.to_thread(main, accept) == 0
                await eventually(lambda: ingestor.owner_of("bay-1", late_ms) == after.name, "told")
                assert ingestor.owner_of("bay-1", early_ms - 1) == before.name

                capsys.readouterr()
                assert await asyncio.to_thread(main, ["ingest", "replay", file]) == 0
                assert capsys.readouterr().out.splitlines() == ["stored 1", "still claim 1"]
                after.send([line("bay-1", late_ms + 1)], 2)
                assert (await after.fate(2)).stored == 1
                before.send([line("bay-1", late_ms + 2)], 1)
                assert (await before.fate(1)).rejected == {"claim": 1}
                rows = await stored(store)
                assert [(row.time_ms, row.tags["gateway"]) for row in rows] == [
                    (late_ms, after.name),
                    (late_ms + 1, after.name),
                ]
                assert len(letters(tmp_path)) == 3

    asyncio.run(run())


def test_a_move_left_while_no_watch_ran_is_taken_up_at_its_start(tmp_path, broker):
    registry = Registry()
    registry.announce(inventory("a", "bay-1"), 1000)
    registry.announce(inventory("b", "bay-1"), 2000)
    path = tmp_path / "registry.json"
    save_registry(path, registry.file)
    for gateway in ("b", "nobody"):
        leave_word(path, Move("bay-1", gateway), len(gateway))
    (tmp_path / "registry.json.move-9").write_bytes(b"\xff not a move")

    async def run() -> None:
        settings = configuration(tmp_path, broker)
        async with watching(settings, tmp_path, SystemClock()) as (watch, _):
            await eventually(lambda: not waiting_words(path), "all are taken up")
            assert watch.registry.file.owners["bay-1"] == [Owner("a", 0), Owner("b", 2000)]
            assert watch.registry.file.claims == []

    asyncio.run(run())


def test_a_gateway_that_is_gone_for_good_leaves_registry_and_map_and_may_come_back(
    tmp_path, broker, capsys
):
    async def run() -> None:
        settings = configuration(tmp_path, broker)
        file = toml(tmp_path, toml_of(settings))
        words = ["gateway", "retire", file, "mahirah-01"]
        async with (
            Gateway(broker, "mahirah-01") as gateway,
            watching(settings, tmp_path, SystemClock()) as (watch, store),
        ):

            async def told() -> dict[str, object]:
                rows = await newest(store, "device_registry")
                return {name: row.fields["kind"] for name, row in rows.items()}

            announce(gateway, "bay-1", online=False)
            await shown(told, {"mahirah-01": "gateway", "bay-1": "parking_spot"})
            kept = tmp_path / "registry.json"
            await eventually(lambda: load_registry(kept).inventories, "it is kept")
            assert await asyncio.to_thread(main, words) == 0
            assert "gampong gateway revoke" in capsys.readouterr().out
            assert load_registry(kept).inventories == {}

            await shown(told, {"mahirah-01": "gateway_removed", "bay-1": "removed"})
            announce(gateway, "bay-1", "bay-2", online=False)  # the broker still has it, too
            assert await asyncio.to_thread(main, words) == 1
            assert "retired already" in capsys.readouterr().out
            held = watch.registry.file.retired
            there = lambda: len(held["mahirah-01"].inventory.devices) == 2  # noqa: E731
            await eventually(there, "what it announces is kept")
            assert await asyncio.to_thread(main, [*words, "--back"]) == 0
            both = {"bay-1": "parking_spot", "bay-2": "parking_spot"}
            await shown(told, {"mahirah-01": "gateway", **both})

    asyncio.run(run())


async def shown(
    told: Callable[[], Awaitable[dict[str, object]]], wanted: dict[str, object]
) -> None:
    async with asyncio.timeout(20):
        while await told() != wanted:  # noqa: ASYNC110 - the store sets no asyncio.Event
            await asyncio.sleep(0.05)


def test_a_gateway_that_nobody_knows_can_not_be_retired(tmp_path, broker, capsys):
    file = toml(tmp_path, toml_of(configuration(tmp_path, broker)))
    assert main(["gateway", "retire", file, "mahirah-09"]) == 1
    assert "no gateway mahirah-09" in capsys.readouterr().out
    assert main(["gateway", "retire", file, "mahirah-09", "--back"]) == 1
    assert "mahirah-09 isn't retired" in capsys.readouterr().out
    assert waiting_words(tmp_path / "registry.json") == []


def test_what_nobody_claims_can_not_be_accepted(tmp_path, broker, capsys):
    file = toml(tmp_path, toml_of(configuration(tmp_path, broker)))
    assert main(["device", "accept", file, "bay-1", "mahirah-02"]) == 1
    assert "mahirah-02 doesn't claim bay-1" in capsys.readouterr().out
    assert waiting_words(tmp_path / "registry.json") == []


def test_a_replay_waits_for_the_registry_rather_than_trust_a_claim(
    tmp_path, broker, capsys, monkeypatch
):
    monkeypatch.setattr("gampong.ingest_command.REGISTRY_S", 0.5)
    file = toml(tmp_path, toml_of(configuration(tmp_path, broker, registry="needed")))
    assert main(["ingest", "replay", file]) == 2
    assert "Start gampong watch" in capsys.readouterr().err


def test_a_move_that_a_full_disk_could_not_keep_is_asked_for_again_after_a_restart(tmp_path):
    async def run() -> None:
        path = tmp_path / "kept" / "registry.json"
        path.parent.mkdir()
        registry, counts = Registry(), Counter[str]()
        for number, gateway in enumerate(("gw-1", "gw-2")):
            registry.announce(inventory(gateway, "bay-1"), 1_790_000_000_000 + number)
        save_registry(path, registry.file)
        keeping = RegistryKeeping(registry, path, SystemClock(), counts)
        leave_word(path, Move("bay-1", "gw-2"), 1)
        part = path.with_name(f".{path.name}.part")
        (part / "x").mkdir(parents=True)  # as good as a full disk, as root too
        await keeping.take_words()
        await keeping.take_words()
        assert counts == {"moved": 1, "not_kept": 2}
        assert load_registry(path).owners["bay-1"][-1].gateway == "gw-1"
        assert len(waiting_words(path)) == 1
        (part / "x").rmdir()
        part.rmdir()
        await keeping.take_words()
        assert load_registry(path).owners["bay-1"][-1].gateway == "gw-2"
        assert waiting_words(path) == []
        assert counts["moved"] == 1

    asyncio.run(run())
