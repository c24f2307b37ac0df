"""A waste bank's book: sent once however often it is sent, and nobody's name with it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dashboards.deposits import Sum, deposits
from devices.reading import Value
from edge.configuration import load_configuration
from edge.links.make import make_links
from edge.links.webhook import WebhookLink
from gampong.cli import main
from gampong.deposit_book import BookError, read_book
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.sender import BANK
from tests.ingest.stores import databases
from tests.ingest.stores.databases import NOW_MS, line, write
from wire.clock import SystemClock

ZONE = ZoneInfo("Asia/Jakarta")
SECRET = "the waste banks' own secret"

BOOK = """deposit,time,bank,name,waste_kind,weight_kg,points
1,{today} 09:30,bank-a,Cut Meutia,plastic,2.5,25
2,{today} 09:40,bank-a,Teuku Umar,kertas,4,20
3,{today},bank-b,,besi,1.25,
"""

TOML = """
[gateway]
name = "waste-banks"
site = "kota"

[time]
trust = "system"

{bank}

[[link]]
type = "webhook"
name = "banks"
listen = "127.0.0.1:0"
numbers_path = "{folder}/numbers.db"
signature = {{ secret_files = ["{folder}/bank.secret"], time_header = "X-Time" }}

[[device]]
name = "bank-a"
driver = "bank"
link = "banks"
topic = "deposits"
match = {{ bank = "bank-a" }}

[[device]]
name = "bank-b"
driver = "bank"
link = "banks"
topic = "deposits"
match = {{ bank = "bank-b" }}
"""


def book(text: str, bank: str = ""):
    return read_book(text.encode(), ZONE, bank)


@contextmanager
def gateway(folder: Path) -> Iterator[tuple[str, Heard]]:
    """The webhook in a thread of its own; its address and what it took."""
    (folder / "bank.secret").write_text(SECRET)
    (folder / "bank.secret").chmod(0o600)
    sink, up, done = Heard(), threading.Event(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        (link,) = make_links(
            load_configuration(TOML.format(folder=folder, bank=BANK), "t"), sink, SystemClock()
        )
        assert isinstance(link, WebhookLink)
        async with running(link):
            await until(lambda: link.port)
            address.append(f"http://127.0.0.1:{link.port}/deposits")
            up.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert up.wait(10)
    try:
        yield address[0], sink
    finally:
        done.set()
        thread.join()


def today() -> str:
    return (datetime.now(ZONE) - timedelta(days=1)).date().isoformat()


def send(file: Path, url: str, secret: Path, capsys: pytest.CaptureFixture[str]):
    words = ["deposits", "send", str(file), "--to", url, "--secret-file", str(secret)]
    code = main(words)
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    return code, said.out, said.err


def test_a_book_is_sent_once_and_the_names_in_it_never(tmp_path, capsys):
    file = tmp_path / "book.csv"
    file.write_text(BOOK.format(today=today()))
    with gateway(tmp_path) as (url, sink):
        code, out, err = send(file, url, tmp_path / "bank.secret", capsys)
        assert code == 0
        assert "3 deposits, 7.8 kg, 45 points" in out
        assert "stored 3, known already 0, refused 0" in out
        assert "not sent: the columns name" in err
        code, out, _ = send(file, url, tmp_path / "bank.secret", capsys)
        assert (code, "stored 0, known already 3, refused 0" in out) == (0, True)
        told = [json.loads(uplink.decoded) for uplink in sink.uplinks]
        assert [one["waste_kind"] for one in told] == ["plastic", "paper", "metal"]
        assert [uplink.dev_eui for uplink in sink.uplinks] == ["bank-a", "bank-a", "bank-b"]
        assert all("Cut" not in uplink.decoded.decode() for uplink in sink.uplinks)
        assert told[0]["time"] == f"{today()}T09:30:00+07:00"


def test_lines_that_cannot_be_taken_are_named_and_the_others_are_sent(tmp_path, capsys):
    file = tmp_path / "book.csv"
    file.write_text(BOOK.format(today=today()) + f"4,{today()},bank-z,,plastic,1,\n5,{today()},x,,"
                    "gold,1,\n")  # fmt: skip
    with gateway(tmp_path) as (url, sink):
        code, out, err = send(file, url, tmp_path / "bank.secret", capsys)
        assert code == 2
        assert "line 5: no such bank at the gateway" in err
        assert "line 6: waste_kind must be one of" in err
        assert "stored 3" in out
        assert len(sink.uplinks) == 3


def test_a_gateway_that_is_away_or_another_secret_sends_nothing_and_says_so(tmp_path, capsys):
    file = tmp_path / "book.csv"
    file.write_text(BOOK.format(today=today()))
    with gateway(tmp_path) as (url, sink):
        other = tmp_path / "other.secret"
        other.write_text("another secret, of somebody")
        other.chmod(0o600)
        code, _, err = send(file, url, other, capsys)
        assert code == 1
        assert "the secret isn't the gateway's" in err
        assert sink.uplinks == []
    code, out, err = send(file, url, tmp_path / "bank.secret", capsys)
    assert code == 1
    assert "stored 0" in out
    assert "run it again" in err


def test_a_dry_run_only_looks(tmp_path, capsys):
    file = tmp_path / "book.csv"
    file.write_text(BOOK.format(today=today()))
    assert main(["deposits", "send", str(file), "--dry-run"]) == 0
    assert "3 deposits" in capsys.readouterr().out


def test_a_spreadsheet_of_the_city_is_read_as_it_is_saved():
    text = (
        "\ufeffNomor;Tanggal;Jenis Sampah;Berat kg;Poin;No HP\nA/1;2026-11-22;Plastik;2,5;25;08\n"
    )
    found = book(text, "bank-a")
    (deposit,) = found.deposits
    assert deposit.event() == {
        "deposit": "A/1", "time": "2026-11-22T12:00:00+07:00", "bank": "bank-a",
        "waste_kind": "plastic", "weight_kg": 2.5, "points": 25,
    }  # fmt: skip
    assert found.left_out == ("no_hp",)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1,,bank-a,plastic,1", "time"),
        ("1,soon,bank-a,plastic,1", "time"),
        ("1,2026-11-22,Bank A,plastic,1", "bank"),
        ("1,2026-11-22,bank-a,gold,1", "waste_kind"),
        ("1,2026-11-22,bank-a,plastic,much", "weight_kg"),
        ("1,2026-11-22,bank-a,plastic,-1", "weight_kg"),
        ("1,2026-11-22,bank-a,plastic,nan", "weight_kg"),
        (",2026-11-22,bank-a,plastic,1", "number"),
        ("<b>,2026-11-22,bank-a,plastic,1", "deposit"),
    ],
)
def test_a_line_that_is_no_deposit_says_why(line, why):
    found = book(f"deposit,time,bank,waste_kind,weight_kg\n{line}\n")
    assert found.deposits == ()
    assert why in found.refused[0][1]


def test_a_number_twice_in_one_book_is_a_mistake_of_the_book():
    line = "1,2026-11-22,bank-a,plastic,1\n"
    found = book("deposit,time,bank,waste_kind,weight_kg\n" + line + line)
    assert len(found.deposits) == 1
    assert found.refused == ((3, "deposit 1 a second time"),)


@pytest.mark.parametrize("text", ["", "a,b\n", "deposit,time,waste_kind,weight_kg\n"])
def test_a_file_that_is_no_book_is_refused(text):
    with pytest.raises(BookError):
        book(text)
    with pytest.raises(BookError, match="UTF-8"):
        read_book(b"\xff\xfe", ZONE)


@pytest.fixture(params=["sqlite", pytest.param("influxdb2", marks=pytest.mark.live)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> databases.Database:
    if request.param == "sqlite":
        return databases.sqlite(tmp_path)
    return databases.influx(request.getfixturevalue("influxd"), tmp_path)


def test_what_was_brought_is_summed_by_bank_and_kind(database):
    def brought(bank: str, number: int, kind: str, kg: float, points: int, ago_ms: int) -> str:
        fields: dict[str, Value] = {
            "weight_kg": kg,
            "waste_kind": kind,
            "points": points,
            "deposit": str(number),
        }
        return line(bank, NOW_MS - ago_ms, fields, kind="waste_deposit")

    async def play(store):
        await write(
            store,
            brought("bank-a", 1, "plastic", 2.5, 25, 1000),
            brought("bank-a", 2, "plastic", 1.5, 15, 3000),
            brought("bank-a", 3, "paper", 9.0, 45, 2000),
            brought("bank-b", 4, "metal", 1.0, 30, 5000),
        )
        return await deposits(store, NOW_MS - 86_400_000, NOW_MS + 1, ZONE)

    found = database.run(play)
    assert [(one.bank, one.waste_kind, one.sum) for one in found.brought] == [
        ("bank-a", "paper", Sum(1, 9.0, 45)),
        ("bank-a", "plastic", Sum(2, 4.0, 40)),
        ("bank-b", "metal", Sum(1, 1.0, 30)),
    ]
    assert found.brought[1].newest_ms == NOW_MS - 1000
    assert found.total == Sum(4, 14.0, 115)
    assert sum(day.weight_kg for _, day in found.days) == 14.0


def test_a_city_without_a_waste_bank_has_an_empty_table(database):
    async def play(store):
        return await deposits(store, NOW_MS - 86_400_000, NOW_MS, ZONE)

    found = database.run(play)
    assert (found.brought, found.days, found.total) == ((), (), Sum())
