"""Accounts, passwords, tries, sessions, the audit log: each by itself."""

from __future__ import annotations

import asyncio
import os
import random
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.operators.account_file import open_file
from dashboards.operators.accounts import AccountError, Accounts
from dashboards.operators.attempts import NAMES_MAX, Buckets
from dashboards.operators.audit import REFUSED, TEXT_MAX, Audit, Entry
from dashboards.operators.passwords import NOBODYS, PasswordError, hashed, matches
from dashboards.operators.sessions import AN_ACCOUNTS_MAX, Sessions
from dashboards.operators.visitor import Role, Visitor
from tests.dashboards.operators.entrance_rig import PASSWORD, HandClock
from wire.configuration import ConfigurationError


@pytest.fixture
def file(tmp_path):
    with open_file(str(tmp_path / "accounts.db"), make=True) as opened:
        yield opened
    opened.close()


def test_a_password_matches_its_hash_and_no_other_does():
    kept = hashed("kopi sanger panas", bytes(range(16)))
    assert kept.startswith("scrypt$15$8$3$")
    assert "kopi" not in kept
    assert matches("kopi sanger panas", kept)
    assert not matches("kopi sanger dingin", kept)
    assert not matches("", kept)
    assert not matches("kopi sanger panas", NOBODYS)


def test_letters_that_look_the_same_are_the_same_on_every_keyboard():
    assert matches("cafe\u0301 malam hari", hashed("café malam hari", bytes(16)))


@pytest.mark.parametrize(
    "kept",
    ["", "scrypt", "scrypt$30$8$3$AA==$AA==", "scrypt$15$8$3$!$!", "md5$15$8$3$AAAA$AAAA",
     "scrypt$-1$8$3$AAAA$AAAA", "scrypt$a$8$3$AAAA$AAAA", "scrypt$15$9999$3$AAAA$AAAA"],
)  # fmt: skip
def test_a_hash_that_was_never_written_here_matches_nothing_and_costs_nothing(kept):
    assert not matches("kopi sanger panas", kept)


@pytest.mark.parametrize("easy", ["pendek", "aaaaaaaaaaaa", "malam-malam-1", "x" * 600])
def test_what_is_easily_guessed_is_refused(file, easy):
    with pytest.raises(PasswordError):
        Accounts(file).add("malam", Role.VIEWER, easy, 0)
    assert Accounts(file).all() == []


@pytest.mark.parametrize("name", ["", "Malam", "a b", "a\nb", "../x", "x" * 65, "ü", "-x"])
def test_a_name_has_plain_letters(file, name):
    with pytest.raises(AccountError, match="lower-case"):
        Accounts(file).add(name, Role.VIEWER, PASSWORD, 0)


def test_an_account_is_there_once_and_only_what_is_there_can_be_changed(file):
    accounts = Accounts(file)
    accounts.add("malam", Role.VIEWER, PASSWORD, 5)
    with pytest.raises(AccountError, match="there already"):
        accounts.add("malam", Role.ADMIN, PASSWORD, 6)
    for change in (
        lambda: accounts.remove("siang"),
        lambda: accounts.set_role("siang", Role.ADMIN, 7),
        lambda: accounts.set_password("siang", PASSWORD, 7),
    ):
        with pytest.raises(AccountError, match="no account"):
            change()
    (one,) = accounts.all()
    assert (one.name, one.role, one.changed_ms, one.sessions) == ("malam", Role.VIEWER, 5, 0)


def test_the_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "accounts.db"
    with pytest.raises(ConfigurationError, match="gampong account add makes it"):
        open_file(str(path))
    before = os.umask(0)
    open_file(str(path), make=True).close()
    os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        open_file(str(path))


def test_a_file_that_isnt_one_of_ours_is_said_to_be_and_left_alone(tmp_path):
    path = tmp_path / "accounts.db"
    path.write_bytes(b"not a database, but somebody's letter " * 20)
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="not a database"):
        open_file(str(path))
    assert path.read_bytes() == before


def test_the_file_keeps_no_token_that_could_be_used(file):
    Accounts(file).add("malam", Role.VIEWER, PASSWORD, 0)
    sessions = Sessions(file, HandClock(), idle_s=60, life_s=600)
    token = sessions.begin("malam")
    dump = "\n".join(file.iterdump())
    assert token not in dump
    assert PASSWORD not in dump
    assert sessions.find(token)
    for wrong in ("", token[:-1], token + "x", "ä" * 43, "x" * 43):
        assert sessions.find(wrong) is None


@pytest.mark.parametrize("log_out", [False, True], ids=["account-removed", "log-out"])
def test_a_page_whose_browser_has_gone_keeps_no_other_page_from_being_told(file, log_out):
    accounts = Accounts(file)
    accounts.add("malam", Role.VIEWER, PASSWORD, 0)
    sessions = Sessions(file, HandClock(), idle_s=3600, life_s=36_000)
    session = sessions.find(sessions.begin("malam"))
    assert session
    told = []

    async def gone() -> None:
        raise ConnectionResetError

    async def closed_already() -> None:
        raise RuntimeError("unexpected message after a close was sent")

    async def here() -> None:
        await asyncio.sleep(0)  # the others fail first
        told.append("here")

    async def story() -> None:
        for ended in (gone, closed_already, here):
            sessions.hold(session.digest, ended)
        if log_out:
            await sessions.end(session.digest)
        else:
            accounts.remove("malam")
            await sessions.look()
        await sessions.look()

    asyncio.run(story())
    assert told == ["here"]


def test_one_account_has_so_many_sessions_and_the_oldest_end(file):
    Accounts(file).add("malam", Role.VIEWER, PASSWORD, 0)
    clock = HandClock()
    sessions = Sessions(file, clock, idle_s=3600, life_s=36_000)
    tokens = []
    for _ in range(AN_ACCOUNTS_MAX + 5):
        clock.passed_s += 1
        tokens.append(sessions.begin("malam"))
    assert [sessions.find(token) is not None for token in tokens] == [False] * 5 + [
        True
    ] * AN_ACCOUNTS_MAX


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 9), st.floats(1, 50))
def test_nobody_tries_more_often_than_they_may(waits, tries, try_s):
    clock = HandClock()
    buckets = Buckets(clock, tries, try_s)
    taken = 0
    for wait in waits:
        clock.passed_s += wait
        wait_s = buckets.take("malam")
        if wait_s:
            clock.passed_s += wait_s
            assert buckets.take("malam") == 0
        taken += 1
    assert taken <= tries + clock.passed_s / try_s + 1e-6


@pytest.mark.parametrize("try_s", [tenths / 10 for tenths in range(10, 500, 7)])
def test_who_has_waited_as_long_as_was_said_may_try(try_s):
    clock = HandClock()
    clock.passed_s = 1e6 / 7
    buckets = Buckets(clock, 1, try_s)
    for _ in range(20):
        if wait_s := buckets.take("malam"):
            clock.passed_s += wait_s
            assert buckets.take("malam") == 0


def test_a_million_names_take_no_more_room_than_the_bound(seed):
    buckets, draw = Buckets(HandClock(), 3, 60), random.Random(seed)
    for _ in range(NAMES_MAX + 5000):
        buckets.take(f"{draw.random()}")
    assert len(buckets._left) == NAMES_MAX


def test_the_audit_log_is_bounded_and_its_texts_are_one_line_each(file):
    log = Audit(file, 1000)
    for number in range(1250):
        log.write(Entry(number, "a\nb\x1b[31m\ud800", "::1", "log-in", note="x" * 999))
    kept = log.newest(5000)
    assert 1000 <= len(kept) <= 1100
    number, newest = kept[0]
    assert (number, newest.time_ms) == (1250, 1249)
    assert newest.who == "a b [31m "
    assert len(newest.note) == TEXT_MAX
    assert log.newest(2, before=number)[0][1].time_ms == 1248


def test_a_flood_of_refused_log_ins_pushes_out_nothing_that_was_done(file):
    log = Audit(file, 1000)
    log.write(Entry(0, "malam", "::1", "acknowledge", "bin_full bin-03"))
    for number in range(1, 2500):
        log.write(Entry(number, f"nama{number}", "::1", REFUSED))
    kept = [entry for _, entry in log.newest(5000)]
    assert kept[-1].action == "acknowledge"
    assert 100 <= len(kept) - 1 <= 200


def test_each_role_may_what_the_one_before_it_may():
    may = [[Visitor("x", role).may(needed) for needed in Role] for role in Role]
    assert may == [[True, False, False], [True, True, False], [True, True, True]]
