"""How the file is opened, and what is said when it can't be."""

from __future__ import annotations

import sqlite3

import pytest

from edge.outbox_file import OutboxDamaged, OutboxUnusable, disk_errors
from tests.edge.outbox.rig import Rig


def pragma(rig, name):
    return rig.outbox._connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_every_commit_is_synced(rig):
    assert pragma(rig, "journal_mode") == "wal"
    assert pragma(rig, "synchronous") == 2
    rig.restart()
    assert (pragma(rig, "journal_mode"), pragma(rig, "synchronous")) == ("wal", 2)


def test_the_file_is_made_to_write_little_and_to_shrink(rig):
    assert pragma(rig, "page_size") == 4096
    assert pragma(rig, "auto_vacuum") == 2
    assert pragma(rig, "secure_delete") == 0
    assert pragma(rig, "wal_autocheckpoint") == 0  # by itself: see outbox_log.py


@pytest.mark.parametrize(("bytes_max", "longest"), [(2**20, 2**17), (2**30, 2**22 + 2**17)])
def test_the_log_is_written_back_before_it_is_long(make_rig, bytes_max, longest):
    rig = make_rig(bytes_max=bytes_max)
    sizes = set()
    for _ in range(300):
        rig.seal(20)
        sizes.add(rig.log.stat().st_size)
    assert max(sizes) < longest
    rig.kill()
    assert len(rig.waiting()) > 200


def test_the_log_is_written_back_again_when_its_reader_has_gone(make_rig):
    rig = make_rig(bytes_max=2**20)
    reader = rig.connect(rig.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM batches").fetchone()
    for _ in range(40):
        rig.seal(1)
    long = rig.log.stat().st_size
    assert long > 2**17
    reader.close()
    for _ in range(40):
        rig.seal(1)
    assert rig.log.stat().st_size <= 2**17


def test_a_start_beside_a_reader_does_not_wait_for_it(rig):
    rig.seal(3)
    rig.cut_power()
    reader = sqlite3.connect(rig.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM batches").fetchone()
    rig.outbox = rig.open()
    rig.seal(3)
    assert rig.ledger().waiting == 6
    reader.close()


def test_a_missing_folder_is_made(tmp_path):
    rig = Rig(tmp_path / "var" / "lib" / "gampong")
    assert rig.path.exists()
    rig.outbox.close()


def test_a_path_below_a_file_is_unusable_and_the_error_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxUnusable, match=r"file/outbox\.db.*Give outbox\.path a folder"):
        Rig(tmp_path / "file")


def test_a_folder_in_the_place_of_the_file_is_unusable(tmp_path):
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(OutboxUnusable, match=r"outbox\.db.*Make it a file"):
        Rig(tmp_path)


def test_a_read_only_disk_is_unusable_and_nothing_is_moved_aside(rig):
    rig.seal(3)
    rig.cut_power()

    def read_only(path, **settings):
        return sqlite3.connect(path.replace("psow=0", "mode=ro"), **settings)

    rig.connect = read_only
    with pytest.raises(OutboxUnusable, match="mount it read-write"):
        rig.open()
    rig.connect = sqlite3.connect
    rig.outbox = rig.open()
    assert rig.ledger().waiting == 3
    assert list(rig.path.parent.glob("*.damaged-*")) == []


def test_a_second_agent_is_kept_out(rig):
    with pytest.raises(OutboxUnusable, match="in use by another process"):
        rig.open()
    rig.restart()


def test_a_database_of_another_program_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "outbox.db") as other:
        other.execute("CREATE TABLE dashboards (id INTEGER)")
    other.close()
    with pytest.raises(OutboxUnusable, match="another program"):
        Rig(tmp_path)
    assert [path.name for path in tmp_path.glob("outbox.db*")].count("outbox.db") == 1
    assert list(tmp_path.glob("*.damaged-*")) == []


def test_a_file_of_a_newer_version_is_left_alone(rig):
    rig.outbox._connection.execute("PRAGMA user_version=3")
    rig.outbox.close()
    with pytest.raises(OutboxUnusable, match="newer version"):
        rig.open()


def test_an_error_tells_reason_and_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxUnusable) as raised:
        Rig(tmp_path / "file")
    assert raised.value.remedy in str(raised.value)
    assert raised.value.reason in str(raised.value)


def test_a_mistake_of_ours_is_not_blamed_on_the_disk(rig):
    with pytest.raises(sqlite3.OperationalError, match="no such table"), disk_errors(rig.path):
        rig.outbox._connection.execute("SELECT * FROM nowhere")


def test_damage_met_while_running_asks_for_a_restart(rig):
    rig.seal(2000)
    rig.restart()
    data = bytearray(rig.path.read_bytes())
    data[1024:] = bytes(len(data) - 1024)
    rig.path.write_bytes(data)
    rig.outbox._connection.execute("PRAGMA shrink_memory")
    with pytest.raises(OutboxDamaged, match="Restart the agent"):
        rig.outbox.waiting(0, 10)
