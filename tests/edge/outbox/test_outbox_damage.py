"""Every corruption we could think of or met: the agent starts, saves what can be read, counts."""

from __future__ import annotations

import random
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator

import msgspec
import pytest

from edge.outbox_file import OutboxDamaged
from tests.edge.outbox.rig import Rig, counts, fate

PAGE = 4096


class Held(msgspec.Struct):
    """The files of an outbox whose power went, and what was in it."""

    database: bytes
    log: bytes
    clock_ms: int
    count: int
    lines: list[str]


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> Held:
    """60 batches of 5, 20 of them confirmed, two journalled lines, states: 202 readings wait."""
    rig, draw = Rig(tmp_path_factory.mktemp("held")), random.Random(60)
    batches = []
    for _ in range(60):
        noises = [b64encode(draw.randbytes(300)).decode() for _ in range(5)]
        batches.append(rig.seal_one([rig.line(noise=noise) for noise in noises]))
    lines = rig.waiting_lines()
    rig.confirm(*batches[:19])
    rig.confirm(batches[19], rejected={"range": 2})
    rig.seal(0, {f"bay-{n}": b"state" * 20 for n in range(30)})
    journalled = rig.lines(2)
    rig.outbox.journal(journalled, counts(2))
    rig.restart()
    rig.cut_power()
    lines += [line.text for line in journalled]
    return Held(rig.path.read_bytes(), rig.log.read_bytes(), rig.clock.ms, rig.count, lines)


@pytest.fixture
def make_damaged(tmp_path) -> Iterator[Callable[[], Damaged]]:
    made: list[Damaged] = []

    def make() -> Damaged:
        made.append(Damaged(tmp_path / f"damaged-{len(made)}"))
        return made[-1]

    yield make
    for rig in made:
        rig.outbox._file.close()


class Damaged(Rig):
    """An outbox whose power went, before it is started again."""

    lines_in: list[str]


@pytest.fixture
def full(make_damaged: Callable[[], Damaged], held: Held) -> Damaged:
    """That outbox, before it is started again. All but the last start is in the file itself."""
    rig = make_damaged()
    rig.cut_power()
    rig.path.write_bytes(held.database)
    rig.log.write_bytes(held.log)
    rig.clock.ms, rig.count, rig.lines_in = held.clock_ms, held.count, held.lines
    return rig


def start(rig: Damaged) -> None:
    """It starts, its ledger balances, nothing is made up, and it works."""
    rig.outbox = rig.open()
    assert set(rig.waiting_lines()) <= set(rig.lines_in)
    before = rig.ledger()
    rig.seal(1)
    after = rig.ledger()
    found = after.dropped.get("damaged", 0) - before.dropped.get("damaged", 0)
    assert after.waiting == before.waiting + 1 - found  # a journalled line may be broken


def zero(rig: Rig, page: int) -> None:
    data = bytearray(rig.path.read_bytes())
    data[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    rig.path.write_bytes(data)


def damaged(rig: Rig) -> list[str]:
    found = rig.path.parent.glob("outbox.db.damaged-*")
    return sorted(path.name for path in found if not path.name.endswith(("-wal", "-shm")))


def test_a_sound_file_is_left_alone(full):
    start(full)
    assert damaged(full) == []
    assert full.ledger().dropped == {}
    assert full.ledger().waiting == 203


def test_a_zeroed_page_costs_what_was_on_it_and_no_more(full):
    pages = full.path.stat().st_size // PAGE
    whole = full.path.read_bytes()
    waiting = {}
    for page in range(1, pages + 1):
        full.path.write_bytes(whole)
        full.log.unlink(missing_ok=True)  # it holds whole copies of some pages
        zero(full, page)
        start(full)
        waiting[page] = full.ledger().waiting - 1
        assert len(damaged(full)) == 1
        full.cut_power()
        for left in full.path.parent.glob("outbox.db.damaged-*"):
            left.unlink()
    connection = full.connect(full.path)
    sql = "SELECT rootpage FROM sqlite_master WHERE name = 'payloads'"
    (root,) = connection.execute(sql).fetchone()
    connection.close()
    assert pages > 25
    assert waiting.pop(root) == 2  # the one way to all payloads
    assert min(waiting.values()) > 100
    assert waiting[1] == 202


def test_the_description_of_the_tables_can_be_made_again(full):
    full.log.unlink(missing_ok=True)
    zero(full, 1)
    start(full)
    assert full.outbox.summary().alarms == ("damaged",)
    assert (full.ledger().waiting, full.ledger().dropped) == (203, {})


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_database_starts_with_what_is_left(full, kept):
    data = full.path.read_bytes()
    full.path.write_bytes(data[: int(len(data) * kept)])
    start(full)
    assert len(damaged(full)) == 1
    ledger = full.ledger()
    if kept == 0.99:
        assert ledger.waiting > 150
        assert ledger.accepted >= 302


def test_readings_that_cannot_be_read_are_dropped_as_damaged(full):
    connection = full.connect(full.path)
    sql = "SELECT rootpage FROM sqlite_master WHERE name = 'payloads'"
    (root,) = connection.execute(sql).fetchone()
    connection.close()
    full.log.unlink(missing_ok=True)
    zero(full, root)
    full.outbox = full.open()
    ledger = full.ledger()
    assert ledger.accepted == 302
    assert (ledger.stored, ledger.rejected) == (98, {"range": 2})
    assert ledger.dropped == {"damaged": 200}
    assert ledger.waiting == 2  # journalled
    assert full.outbox.states() == {f"bay-{n}": b"state" * 20 for n in range(30)}


def test_batches_whose_heads_are_lost_wait_again_under_their_numbers(full):
    connection = full.connect(full.path)
    sql = "SELECT rootpage FROM sqlite_master WHERE name = 'batches'"
    (root,) = connection.execute(sql).fetchone()
    connection.close()
    full.log.unlink(missing_ok=True)
    zero(full, root)
    full.outbox = full.open()
    assert full.waiting() == list(range(1, 61))
    assert full.ledger().waiting == 302
    assert full.ledger().dropped == {}


def test_damage_in_a_file_too_large_to_be_checked_at_the_start_is_found_later(full, monkeypatch):
    """Checking 1 GiB took 26 s; a gateway has to read its sensors by then."""
    monkeypatch.setattr("edge.outbox_file.check.__defaults__", (0,))
    full.log.unlink(missing_ok=True)
    for page in range(30, 33):
        zero(full, page)
    full.outbox = full.open()
    assert damaged(full) == []
    with pytest.raises(OutboxDamaged):
        for _ in range(100):
            full.waiting_lines()
    full.cut_power()
    start(full)
    assert len(damaged(full)) == 1
    assert full.ledger().waiting > 150


def test_a_large_file_is_still_checked_where_it_is_small(full, monkeypatch):
    monkeypatch.setattr("edge.outbox_file.check.__defaults__", (0,))
    connection = full.connect(full.path)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'counters'"
    ).fetchone()
    connection.close()
    full.log.unlink(missing_ok=True)
    zero(full, page)
    start(full)
    assert len(damaged(full)) == 1
    assert full.ledger().waiting == 203


def test_a_file_of_rubbish_is_moved_aside_with_its_date(full):
    full.path.write_bytes(random.Random(1).randbytes(50_000))
    start(full)
    assert damaged(full) == ["outbox.db.damaged-2026-09-21"]
    assert full.ledger().gaps == 1


def test_after_a_repair_numbers_go_on_under_a_new_epoch(full):
    epoch = full.outbox.epoch
    zero(full, 9)
    full.log.unlink(missing_ok=True)
    full.outbox = full.open()
    assert full.outbox.epoch != epoch
    assert full.seal_one().key.sequence == 61
    old = full.outbox.waiting(0, 1)[0]
    assert full.outbox.confirm(epoch, [fate(old)]) == []


def test_seal_times_go_on_rising_after_a_repair(full):
    full.path.write_bytes(full.path.read_bytes()[: -4 * PAGE])
    full.outbox = full.open()
    newest = max(sealed.seal_ms for sealed in full.outbox.waiting(0, 999))
    full.clock.turn(-10_000)
    assert full.seal_one().seal_ms > newest


def test_a_lost_log_costs_what_was_only_in_it(rig):
    rig.seal(3)
    rig.restart()  # closing writes the log back
    rig.seal(4)
    rig.cut_power()
    rig.log.unlink()
    rig.outbox = rig.open()
    assert rig.ledger().waiting == 3
    assert damaged(rig) == []


def test_a_log_cut_short_costs_whole_commits_only(rig):
    for _ in range(5):
        rig.seal(3)
    rig.cut_power()
    log = rig.log.read_bytes()
    for size in range(0, len(log), 1500):
        rig.log.write_bytes(log[:size])
        rig.outbox = rig.open()
        assert rig.ledger().waiting in (0, 3, 6, 9, 12, 15)
        rig.cut_power()
    assert damaged(rig) == []


def test_a_first_page_torn_while_it_was_written_back_is_whole_in_the_log(rig):
    rig.seal(5000)
    rig.cut_power()
    rig.path.write_bytes(bytes(512) + rig.path.read_bytes()[512:])
    rig.outbox = rig.open()
    assert damaged(rig) == []
    assert rig.ledger().waiting == 5000


def test_a_file_that_was_never_finished_is_made_again(tmp_path):
    uri = f"{(tmp_path / 'outbox.db').as_uri()}?psow=0"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    connection.executescript("PRAGMA cache_size=0; BEGIN; CREATE TABLE batches (a)")
    for number in range(5000):
        connection.execute("INSERT INTO batches VALUES (?)", (f"{number:0900}",))
    for name in ("outbox.db", "outbox.db-journal"):
        shutil.copy(tmp_path / name, tmp_path / f"{name}.held")
    connection.close()
    for name in ("outbox.db", "outbox.db-journal"):
        (tmp_path / f"{name}.held").replace(tmp_path / name)
    assert (tmp_path / "outbox.db").stat().st_size > 0
    rig = Rig(tmp_path)
    assert damaged(rig) == []
    rig.seal()
    rig.outbox.close()


def test_a_log_of_rubbish_is_ignored(full):
    full.log.write_bytes(random.Random(2).randbytes(40_000))
    start(full)
    assert full.ledger().waiting == 203


def test_the_log_of_another_outbox_is_noticed(make_damaged):
    mine, other = make_damaged(), make_damaged()
    for rig, batches in ((mine, 200), (other, 7)):
        for _ in range(batches):
            rig.seal(3)
        rig.restart()
        rig.seal(3)
        rig.lines_in = rig.waiting_lines()
        rig.cut_power()
    mine.log.write_bytes(other.log.read_bytes())
    mine.lines_in += other.lines_in
    start(mine)
    assert len(damaged(mine)) == 1
    assert mine.ledger().waiting > 100


def test_an_empty_file_beside_a_log_is_damage_and_the_log_is_kept(full):
    log = full.log.read_bytes()
    full.path.write_bytes(b"")
    start(full)
    (name,) = damaged(full)
    assert full.path.with_name(f"{name}-wal").read_bytes() == log


def test_random_damage_never_stops_the_start_nor_the_ledger(full, seed):
    draw = random.Random(seed)
    whole, log = full.path.read_bytes(), full.log.read_bytes()
    for _ in range(25):
        data, tail = bytearray(whole), bytearray(log)
        for _ in range(draw.randint(1, 20)):
            broken = draw.choice((data, data, data, tail))
            start_at = draw.randrange(len(broken))
            piece = draw.randbytes(draw.randint(1, 400))[: len(broken) - start_at]
            broken[start_at : start_at + len(piece)] = piece
        full.path.write_bytes(data)
        full.log.write_bytes(tail)
        start(full)
        full.cut_power()


def test_journalled_lines_that_the_card_changed_are_dropped_as_damaged(full):
    data = full.path.read_bytes()
    line = full.lines_in[-1].encode()
    assert data.count(line) == 1
    full.path.write_bytes(data.replace(line, line.replace(b"pasar", b"p\xffsar")))
    full.log.unlink(missing_ok=True)
    full.outbox = full.open()
    assert full.seal_one(0).readings == 1
    assert (full.ledger().waiting, full.ledger().dropped) == (201, {"damaged": 1})


def test_names_that_the_card_changed_stop_nothing(full):
    data = full.path.read_bytes().replace(b"bay-29", b"\xff\xfe\xfd-29")
    full.path.write_bytes(data)
    full.log.unlink(missing_ok=True)
    start(full)
    assert len(full.outbox.states()) == 30


def test_damage_found_while_running_is_repaired_by_the_next_start(full):
    full.outbox = full.open()
    with pytest.raises(OutboxDamaged), full.outbox._file.transaction():
        full.outbox._connection.execute("INSERT INTO payloads VALUES (60, x'00', x'00')")
    full.cut_power()
    start(full)
    assert len(damaged(full)) == 1
    assert full.ledger().waiting == 203
    full.restart()
    assert len(damaged(full)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE counters SET value = 9223372036854775807 WHERE reason = 'sequence'",
        "UPDATE counters SET value = 59 WHERE reason = 'sequence'",
        "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = replace(sql, 'size', 'sise')",
        "PRAGMA writable_schema=ON; DELETE FROM sqlite_master WHERE name = 'waiting'",
        "UPDATE counters SET value = 7 WHERE name = 'taken'",
    ],
)
def test_what_a_check_of_pages_cannot_see_is_seen(full, sql):
    connection = full.connect(full.path)
    connection.executescript(sql)
    connection.close()
    start(full)
    assert len(damaged(full)) == 1
    assert full.ledger().waiting == 203


def test_only_the_two_newest_damaged_files_are_kept(full):
    for _ in range(4):
        full.path.write_bytes(b"rubbish" * 1000)
        full.outbox = full.open()
        full.cut_power()
        full.clock.turn(86_400)
    assert damaged(full) == ["outbox.db.damaged-2026-09-23", "outbox.db.damaged-2026-09-24"]


def test_a_repair_that_was_cut_short_begins_anew(full):
    full.path.with_name("outbox.db.repaired").write_bytes(b"half")
    full.path.with_name("outbox.db.repaired-journal").write_bytes(b"half")
    full.path.write_bytes(full.path.read_bytes()[: -4 * PAGE])
    start(full)
    assert full.ledger().waiting > 100


def test_a_repair_that_was_done_but_not_in_place_is_put_there(full):
    full.outbox = full.open()
    full.outbox.close()
    full.path.rename(full.path.with_name("outbox.db.repaired"))
    full.path.with_name("outbox.db.damaged-2026-09-20").write_bytes(b"the damaged one")
    full.log.write_bytes(b"its log")
    start(full)
    assert full.ledger().waiting == 203
    assert full.path.with_name("outbox.db.damaged-2026-09-20-wal").read_bytes() == b"its log"


def test_a_ledger_that_does_not_balance_is_damage(full):
    full.outbox = full.open()
    full.outbox._connection.execute("UPDATE counters SET value = 1 WHERE name = 'accepted'")
    full.cut_power()
    start(full)
    assert len(damaged(full)) == 1
    assert full.ledger().waiting == 203
