"""`gampong ingest setup|replay|run` as an operator uses them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from gampong.cli import main
from ingest.dead_letters import DeadLetters, Letter
from ingest.guard import HOUR_MS, Limits
from ingest.replay import Replayed, replay
from ingest.stores import Query
from ingest.stores.configuration import SqliteSettings
from ingest.stores.open import open_store
from tests.ingest.batches import line, lines
from tests.ingest.test_ingestor import lock
from wire.batch import encode_batch
from wire.clock import SystemClock


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ingest.toml"
    path.write_text(
        f'[store]\ntype = "sqlite"\npath = "{tmp_path}/store.db"\nbusy_timeout_s = 0.2\n'
        f'[dead_letters]\npath = "{tmp_path}/letters.jsonl"\n[ingest]\nregistry = "none"\n'
    )
    return path


def bury(folder: Path, *bad: str, payload: bytes = b"") -> None:
    letters = DeadLetters(folder / "letters.jsonl", 10**6, 10**6)
    made = [
        Letter(now_ms(), "gw-1", "ab" * 16, 1, "cd" * 8, index, "time", text)
        for index, text in enumerate(bad)
    ]
    if payload:
        made.append(Letter(now_ms(), "gw-1", "ab" * 16, 2, "cd" * 8, -1, "text", payload=payload))
    assert letters.append([made]) == [""]


def devices(folder: Path) -> dict[str, str]:
    """Device → gateway of what is stored."""

    async def ask() -> dict[str, str]:
        settings = SqliteSettings(path=f"{folder}/store.db")
        query = Query(
            kind="parking_spot",
            fields=("occupied",),
            start_ms=0,
            stop_ms=now_ms() + 99 * HOUR_MS,
            group=("device", "gateway"),
        )
        async with open_store(settings, SystemClock()) as store:
            return {row.tags["device"]: row.tags["gateway"] for row in await store.read(query)}

    return asyncio.run(ask())


def test_setup_makes_the_embedded_store_again_and_again(file, capsys):
    assert main(["ingest", "setup", str(file)]) == 0
    assert main(["ingest", "setup", str(file)]) == 0
    assert (file.parent / "store.db").exists()
    assert "ready" in capsys.readouterr().out


def test_replay_stores_what_is_good_now_and_leaves_the_rest(file, capsys):
    ahead = line("bay-ahead", now_ms() + 30 * HOUR_MS)
    bad = line("bay-bad", now_ms()).replace("=1i", "=8i")
    bury(file.parent, ahead, bad, payload=encode_batch(lines(3, now_ms())))
    assert main(["ingest", "replay", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == ["stored 1", "still range 1", "still time 1"]
    file.write_text(file.read_text() + "future_s_max = 172800\n")  # the fix
    assert main(["ingest", "replay", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == ["stored 1", "still range 1"]
    assert devices(file.parent) == dict.fromkeys(
        ["bay-ahead", "bay-0000", "bay-0001", "bay-0002"], "gw-1"
    )
    assert main(["ingest", "replay", str(file)]) == 0
    assert capsys.readouterr().out.splitlines() == ["stored 0", "still range 1"]


def test_replay_says_when_the_store_takes_nothing_and_marks_nothing(file):
    folder, clock = file.parent, SystemClock()
    bury(folder, line("bay-good", now_ms()))

    async def again() -> tuple[Replayed, Replayed]:
        letters = DeadLetters(folder / "letters.jsonl", 10**6, 10**6)
        settings = SqliteSettings(path=f"{folder}/store.db", busy_timeout_s=0.1)
        async with open_store(settings, clock) as store:
            locked = lock(folder / "store.db")
            first = await replay(letters, store, clock, Limits())
            assert "done_ms" not in json.loads((folder / "letters.jsonl").read_text())
            locked.close()
            return first, await replay(letters, store, clock, Limits())

    first, second = asyncio.run(again())
    assert first.stored == 0
    assert first.kept
    assert second == Replayed(1, {})
    assert devices(folder) == {"bay-good": "gw-1"}


@pytest.mark.parametrize("word", ["run", "setup", "replay"])
def test_a_configuration_that_can_not_be_used_is_exit_2_with_its_remedy(tmp_path, word, capsys):
    file = tmp_path / "ingest.toml"
    assert main(["ingest", word, str(file)]) == 2
    assert str(file) in capsys.readouterr().err
    file.write_text('[store]\ntype = "sqlite"\npath = "/no/such/folder/store.db"\n')
    assert main(["ingest", word, str(file)]) == 2
    assert f"{file}: store.path: no folder /no/such/folder. mkdir" in capsys.readouterr().err


def test_a_city_time_that_is_none_is_exit_2(file, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["ingest", "run", str(file), "--city-time", "now"])
    assert ended.value.code == 2
    assert "--city-time" in capsys.readouterr().err
