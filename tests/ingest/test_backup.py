"""A copy of a store: what is in it comes back, point by point, and a copy never loses anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gampong.cli import main
from ingest.backup import check, make, restore
from ingest.backup_folder import BackupError, copy_files, read_manifest
from ingest.stores import Bucket, Query, Row, StoreError
from ingest.stores.configuration import InfluxSettings
from ingest.stores.live import LiveStore
from ingest.stores.points import kinds_of
from tests.ingest.stores.databases import CLOCK, DAY_MS, NOW_MS, Database, influx, sqlite
from tests.secret_file import write_secret
from tests.servers import free_port

HOUR_MS = 3_600_000
TAGS = "device={},gateway=gw-1,site=pasar,zone=a"
WEEK = [
    f"parking_spot,{TAGS.format(f'bay-{bay}')} occupied={(bay + hour) % 2}i,distance_mm={hour}.5"
    f" {NOW_MS - hour * HOUR_MS}"
    for bay in range(3)
    for hour in range(7 * 24)
] + [f'waste_container,{TAGS.format("bin-1")} status="ok",filling_level=0.25 {NOW_MS}']
HOURS = [
    f"parking_spot,{TAGS.format('bay-0')} occupied_mean=0.5,occupied_count=60i {hour_ms}"
    for hour_ms in range(NOW_MS - NOW_MS % HOUR_MS - 5 * HOUR_MS, NOW_MS, HOUR_MS)
]


def fill(database: Database, lines: list[str], bucket: Bucket = Bucket.CITY) -> None:
    answer = database.run(lambda store: store.write(bucket, lines))
    assert answer.rejected == {}, answer  # type: ignore[union-attr]


def copied(database: Database, folder: Path) -> list[str]:
    """Names of the days that were read."""
    told: list[str] = []
    days = database.settings.retention.days
    database.run(lambda store: make(store, folder, days, CLOCK, told.append))
    return [line.partition(":")[0] for line in told]


def restored(database: Database, folder: Path, since: str = "", until: str = "9999") -> int:
    return database.run(
        lambda store: restore(store, folder, CLOCK, lambda line: None, since, until)
    ).points


def contents(database: Database) -> dict[str, list[Row]]:
    async def read(store: LiveStore) -> dict[str, list[Row]]:
        found = {}
        for bucket in (Bucket.CITY, Bucket.HOURLY):
            for kind in kinds_of(bucket).values():
                query = Query(
                    kind=kind.name,
                    fields=tuple(kind.fields),
                    start_ms=0,
                    stop_ms=NOW_MS + DAY_MS,
                    bucket=bucket,
                )
                if rows := await store.read(query):
                    found[f"{bucket}/{kind.name}"] = rows
        return found

    return database.run(read)


@pytest.fixture
def filled(database: Database) -> Database:
    fill(database, WEEK)
    fill(database, HOURS, Bucket.HOURLY)
    return database


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    folder = tmp_path / "first"
    folder.mkdir()
    return sqlite(folder)


@pytest.fixture
def empty(tmp_path: Path) -> Database:
    folder = tmp_path / "second"
    folder.mkdir()
    return sqlite(folder)


def test_every_point_comes_back_in_an_empty_store(filled, empty, tmp_path) -> None:
    copied(filled, tmp_path / "copy")
    assert check(tmp_path / "copy") == []
    assert restored(empty, tmp_path / "copy") == len(WEEK) + len(HOURS)
    assert contents(empty) == contents(filled)
    restored(empty, tmp_path / "copy")  # again, without harm
    assert contents(empty) == contents(filled)


def test_the_next_night_reads_only_the_days_that_changed(filled, tmp_path) -> None:
    assert len(copied(filled, tmp_path / "copy")) >= 8
    assert copied(filled, tmp_path / "copy") == []
    late_ms = NOW_MS - 3 * DAY_MS - 1
    fill(filled, [f"parking_spot,{TAGS.format('bay-9')} occupied=1i {late_ms}"])
    (day,) = copied(filled, tmp_path / "copy")
    assert day.startswith("city/parking_spot/")


def test_a_copy_that_is_cut_off_before_it_is_written_down_can_be_restored_as_it_was(
    filled, empty, tmp_path, monkeypatch
) -> None:
    copied(filled, tmp_path / "copy")
    fill(filled, [f"parking_spot,{TAGS.format('bay-9')} occupied=1i {NOW_MS}"])

    def killed(folder: Path, manifest: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr("ingest.backup.write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            copied(filled, tmp_path / "copy")
    assert check(tmp_path / "copy") == []
    assert restored(empty, tmp_path / "copy") == len(WEEK) + len(HOURS)
    copied(filled, tmp_path / "copy")
    assert restored(empty, tmp_path / "copy") == len(WEEK) + len(HOURS) + 1
    days = list((tmp_path / "copy" / "points").rglob("*.zst"))
    assert len(days) == len(read_manifest(tmp_path / "copy").days)


def test_an_hour_that_was_rolled_up_again_is_copied_again(filled, tmp_path) -> None:
    copied(filled, tmp_path / "copy")
    fill(filled, [HOURS[0].replace("0.5", "0.75")], Bucket.HOURLY)
    (day,) = copied(filled, tmp_path / "copy")
    assert day.startswith("city_hourly/parking_spot/")


def test_a_store_that_lost_points_never_takes_them_from_the_copy(filled, empty, tmp_path) -> None:
    copied(filled, tmp_path / "copy")
    before = read_manifest(tmp_path / "copy").days
    fill(empty, WEEK[:5])
    days = empty.settings.retention.days
    made = empty.run(lambda store: make(store, tmp_path / "copy", days, CLOCK, print))
    assert made.fewer == [*before]  # those too of which nothing is left
    assert read_manifest(tmp_path / "copy").days == before
    assert restored(empty, tmp_path / "copy") == len(WEEK) + len(HOURS)


def test_a_damaged_day_is_named_and_nothing_of_the_copy_is_written(filled, empty, tmp_path) -> None:
    (name, *_) = copied(filled, tmp_path / "copy")
    (path,) = (tmp_path / "copy" / "points").glob(f"{name}.*.lines.zst")
    path.write_bytes(path.read_bytes()[:-3])
    assert [str(path) in each for each in check(tmp_path / "copy")] == [True]
    with pytest.raises(BackupError, match=path.name):
        restored(empty, tmp_path / "copy")
    assert contents(empty) == {}


def test_one_day_can_be_restored_alone(filled, empty, tmp_path) -> None:
    copied(filled, tmp_path / "copy")
    manifest = read_manifest(tmp_path / "copy")
    day = sorted(manifest.days)[1].rpartition("/")[2]
    of_that_day = [each.points for name, each in manifest.days.items() if name.endswith(day)]
    assert restored(empty, tmp_path / "copy", since=day, until=day) == sum(of_that_day)


def test_more_points_than_one_answer_holds_are_copied_whole(
    database, empty, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("ingest.backup.ROWS_A_READ", 50)
    fill(database, WEEK)
    copied(database, tmp_path / "copy")
    assert restored(empty, tmp_path / "copy") == len(WEEK)
    assert contents(empty) == contents(database)


def test_more_points_of_one_moment_than_an_answer_holds_are_copied_whole(
    database, empty, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("ingest.backup.ROWS_A_READ", 2)
    points = [HOURS[0].replace("bay-0", f"bay-{bay}") for bay in range(5)]  # an hour's, of a city
    fill(database, points, Bucket.HOURLY)
    copied(database, tmp_path / "copy")
    assert restored(empty, tmp_path / "copy") == len(points)


def test_named_files_are_copied_and_a_database_as_one_moment_of_it(tmp_path) -> None:
    settings = tmp_path / "etc" / "ingest.toml"
    settings.parent.mkdir()
    settings.write_text("[store]")
    with sqlite3.connect(tmp_path / "etc" / "alerts.db") as alerts:
        alerts.execute("PRAGMA journal_mode = WAL")
        alerts.execute("CREATE TABLE silences (name)")
        alerts.execute("INSERT INTO silences VALUES ('night')")
    assert copy_files(tmp_path / "copy", [settings.parent]) >= 2
    inside = tmp_path / "copy" / "files" / str(tmp_path).lstrip("/") / "etc"
    assert (inside / "ingest.toml").read_text() == "[store]"
    assert (inside / "ingest.toml").stat().st_mode & 0o077 == 0
    with sqlite3.connect(inside / "alerts.db") as copy:
        assert copy.execute("SELECT name FROM silences").fetchall() == [("night",)]
    with pytest.raises(BackupError, match="no such file"):
        copy_files(tmp_path / "copy", [tmp_path / "nothing"])


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format": 9}', '{"days": {"city/../x": {}}}', '{"files": {"../a": ""}}']
)
def test_a_folder_that_holds_something_else_is_refused(text, empty, tmp_path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "backup.json").write_text(text)
    if text == "{}":  # a copy of an empty city
        assert restored(empty, folder) == 0
        return
    with pytest.raises(BackupError, match=r"backup\.json"):
        restored(empty, folder)


def test_the_command_makes_checks_and_restores(filled, empty, tmp_path, capsys) -> None:
    def toml(database: Database) -> str:
        path = Path(database.settings.path).with_name("ingest.toml")  # type: ignore[union-attr]
        letters = path.with_name("dead.jsonl")
        text = f'[store]\ntype = "sqlite"\npath = "{path.with_name("store.db")}"\n'
        path.write_text(text + f'[dead_letters]\npath = "{letters}"\n')
        return str(path)

    copy = str(tmp_path / "copy")
    assert main(["backup", "make", toml(filled), "--to", copy, "--file", toml(filled)]) == 0
    assert "copied 1 files" in capsys.readouterr().out
    assert main(["backup", "check", copy]) == 0
    assert main(["backup", "restore", toml(empty), "--from", copy]) == 0
    assert f"stored {len(WEEK) + len(HOURS)} points" in capsys.readouterr().out
    assert contents(empty) == contents(filled)
    assert main(["backup", "check", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.live
def test_a_village_on_sqlite_moves_to_influxdb_and_back(filled, empty, tmp_path, influxd) -> None:
    copied(filled, tmp_path / "there")
    city = influx(influxd, tmp_path)
    assert restored(city, tmp_path / "there") == len(WEEK) + len(HOURS)
    assert contents(city) == contents(filled)
    copied(city, tmp_path / "back")
    assert copied(city, tmp_path / "back") == []
    restored(empty, tmp_path / "back")
    assert contents(empty) == contents(filled)


def test_a_store_that_is_away_says_so_and_the_copy_stays(filled, tmp_path) -> None:
    copied(filled, tmp_path / "copy")
    before = read_manifest(tmp_path / "copy").days
    token = tmp_path / "token"
    write_secret(token, "none")
    away = Database(InfluxSettings(url=f"http://127.0.0.1:{free_port()}", token_file=str(token)))
    with pytest.raises(StoreError, match="away"):
        copied(away, tmp_path / "copy")
    assert read_manifest(tmp_path / "copy").days == before
