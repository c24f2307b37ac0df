"""Files that a person, a card or another process may have spoilt, for `bench.fuzz`.

Takers: the registry, requests of operators, dead letters, a backup, a waste bank's book, a damaged
outbox, requests for certificates, an authority's list.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec
import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.fuzz_inputs import mutated, mutated_text
from bench.fuzz_scratch import Scratch
from bench.fuzzing import Broken, Taker, refusing
from edge.configuration import OutboxSettings
from edge.outbox import Outbox
from edge.outbox_file import OutboxError
from edge.records import Line
from gampong.deposit_book import BookError, read_book
from ingest.alerts.desk import (
    Acknowledge,
    Ask,
    AskSilence,
    DeskFile,
    leave_ask,
    load_desk,
    waiting_asks,
)
from ingest.backup_folder import BackupError, Day, Manifest, lines_of, read_manifest
from ingest.broker import Door
from ingest.counters import Counters
from ingest.dead_letters import DeadLetters, Letter
from ingest.moves import Move, Retire, leave_word, waiting_words
from ingest.ownership import Ownership
from ingest.registry import Owner, Registry, RegistryFile
from ingest.registry_file import load_registry, save_registry
from ingest.rules.muting import Silence
from ingest.trust.access import Role
from ingest.trust.authority import Authority
from ingest.trust.issued import Issued, TrustError, read_issued
from ingest.trust.renewals import Renewals
from wire.certificates import CertificateRequest
from wire.clock import SystemClock
from wire.configuration import Broker, ConfigurationError
from wire.messages import Inventory, InventoryDevice, pack_message

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PASSPHRASE = b"for the fuzzer only"


def takers(scratch: Scratch) -> list[Taker]:
    """All of them."""
    return [
        *_cloud_files(scratch),
        *_desk(scratch),
        *_books(scratch),
        _outbox(scratch),
        *_certificates(scratch),
    ]


def _cloud_files(scratch: Scratch) -> list[Taker]:
    devices = tuple(InventoryDevice(f"b-{n}", "parking_spot", "x", "a", 60, 90) for n in range(3))
    registry = Registry(RegistryFile())
    registry.announce(Inventory("gw-a", "s", 60.0, devices), 1)
    registry.announce(Inventory("gw-b", "s", 60.0, devices[:1]), 2)
    registry.announce(Inventory("gw-d", "s", 60.0, devices[:1]), 2)
    registry.retire("gw-d", 3)
    path = scratch.path / "registry.json"
    save_registry(path, registry.file)
    letters = [Letter(5, "gw-a", "ab" * 16, 7, "cd" * 8, n, "range", "bin,x") for n in range(3)]
    letters.append(Letter(5, "gw-a", "ab" * 16, 8, "cd" * 8, -1, "not_zstd", payload=b"xyz"))
    lines = b"".join(msgspec.json.encode(letter) + b"\n" for letter in letters)

    def read_registry(data: bytes, _draw: random.Random) -> str:
        try:
            found = Registry(load_registry(scratch.file("registry.json", data)))
        except ConfigurationError:
            return "refused"
        found.announce(Inventory("gw-c", "s", 60.0, devices), 3)
        found.accept("b-0", "gw-b")
        found.retire("gw-a", 4)
        found.bring_back("gw-a", 5)
        return "taken"

    def read_words(data: bytes, draw: random.Random) -> str:
        left = leave_word(path, draw.choice((Move("b-0", "gw-b"), Retire("gw-a"))), 5)
        left.write_bytes(data)
        ((_, word),) = waiting_words(path)
        left.unlink()
        return "taken" if word else "refused"

    def read_letters(data: bytes, _draw: random.Random) -> str:
        file = scratch.file("letters.jsonl", data)
        dead = DeadLetters(file, 10**7, 10**6)
        fresh = Letter(6, "gw-z", "ef" * 16, 1, "00" * 8, 0, "time", "bay,x")
        if dead.append([[fresh]]) != [""]:
            raise Broken("a damaged file takes no letter")
        if dead.waiting()[-1] != fresh:
            raise Broken("the letter isn't the last one of the file")
        return "taken"

    seed = path.read_bytes()
    words = [msgspec.json.encode(word) for word in (Move("b-0", "gw-b"), Retire("gw-a"))]
    return [
        Taker("files", "registry.json", [seed], read_registry, mutated_text),
        Taker("files", "operator's word", words, read_words, mutated_text),
        Taker("files", "dead letters", [lines], read_letters, mutated_text, 0.3),
    ]


def _desk(scratch: Scratch) -> list[Taker]:
    """What the watch keeps of alerts, what it is asked, what an ingestor hears of the registry."""
    asks: list[Ask] = [Acknowledge("bin_full", "b-1", "sari", "on my way")]
    asks.append(AskSilence(5, "sari", "market day", site="pasar"))
    path = scratch.path / "alerts.json"
    desk = DeskFile([Silence(5, "sari", "x", device="b-1")])
    door = Door(Broker(), None, None)

    def ask(data: bytes, _draw: random.Random) -> str:
        left = leave_ask(path, asks[0], 5)
        left.write_bytes(data)
        ((_, found),) = waiting_asks(path)
        left.unlink()
        return "taken" if found else "refused"

    def registry(data: bytes, _draw: random.Random) -> str:
        counters = Counters()
        heard = Ownership(door, SystemClock(), counters)
        heard.take(data)
        heard.owner_of("b-1", 5)
        return "refused" if counters.noise["registry"] else "taken"

    owners = msgspec.json.encode({"b-1": [Owner("gw-a", 1), Owner("gw-b", 7)]})
    kept = refusing(lambda data: load_desk(scratch.file("alerts.json", data)), ConfigurationError)
    return [
        Taker("files", "alerts.json", [msgspec.json.encode(desk)], kept, mutated_text, 0.3),
        Taker("files", "ask", [*map(msgspec.json.encode, asks)], ask, mutated_text, 0.3),
        Taker("files", "registry message", [owners], registry, mutated_text),
    ]


def _books(scratch: Scratch) -> list[Taker]:
    """A waste bank's book, a backup, what an authority has signed."""
    manifest = Manifest(1, 5, {"city/parking_spot/2026-11-20": Day({"#occupied": 3}, 3, 9, "ab")})
    lines = b"parking_spot,device=b occupied=1i 1795136400000000000\n" * 20
    issued = Issued(name="gw-a", role=Role.GATEWAY, serial="77", from_ms=1, until_ms=10**13)
    columns = b"deposit,time,bank,waste_kind,weight_kg,points,nama\n"
    row = b"0001,2026-11-22 09:30,bank-1,plastik,2.5,25,Siti\n"
    indonesian = b"nomor;waktu;bank;jenis;berat_kg;poin\n7;2026-11-22;b-1;kaca;2,5;3\n"
    zone = ZoneInfo("Asia/Jakarta")
    folder = scratch.path / "backup"
    folder.mkdir()

    def book(data: bytes, _draw: random.Random) -> str:
        try:
            found = read_book(data, zone, "bank-1")
        except BookError:
            return "refused"
        for deposit in found.deposits:
            msgspec.json.encode(deposit.event())
        return "deposits" if found.deposits else "none"

    def backup(data: bytes) -> Manifest:
        (folder / "backup.json").write_bytes(data)
        return read_manifest(folder)

    def day(data: bytes) -> int:
        return sum(1 for _ in lines_of(scratch.file("day.lines.zst", data)))

    def signed(data: bytes) -> list[Issued]:
        (folder / "issued.json").write_bytes(data)
        return read_issued(folder)

    packed = zstandard.ZstdCompressor().compress(lines)
    return [
        Taker("files", "book", [columns + row * 3, indonesian], book, mutated_text),
        Taker("files", "backup", [msgspec.json.encode(manifest)], refusing(backup, BackupError),
              mutated_text, 0.3),
        Taker("files", "backup's day", [packed], refusing(day, BackupError), mutated, 0.3),
        Taker("files", "issued", [msgspec.json.encode([issued])], refusing(signed, TrustError),
              mutated_text, 0.3),
    ]  # fmt: skip


def _outbox(scratch: Scratch) -> Taker:
    """A file of which a card has spoilt some pages: it opens, or says why not, and balances."""
    folder = scratch.path / "outbox"
    folder.mkdir()
    path = folder / "outbox.db"
    settings = OutboxSettings(path=str(path), bytes_max=8 * 2**20, ballast_bytes=0)
    clock = SystemClock()
    filled(settings, clock)
    seed = path.read_bytes()

    def mutate(_seeds: object, draw: random.Random) -> bytes:
        data = bytearray(seed)
        for _ in range(draw.choice((1, 1, 3, 20))):
            at, size = draw.randrange(len(data)), draw.choice((1, 4, 100, 512, 4096))
            data[at : at + size] = draw.choice(
                (draw.randbytes(size), bytes(size), data[:size], b"\xff" * size)
            )
        if draw.random() < 0.1:
            del data[draw.randrange(len(data)) :]
        return bytes(data)

    def take(data: bytes, _draw: random.Random) -> str:
        for file in folder.iterdir():
            file.unlink()
        path.write_bytes(data)
        try:
            outbox = Outbox.open(settings, clock, "machine card")
        except OutboxError as error:
            return f"refused {type(error).__name__}"
        try:
            if not outbox.ledger(Counter(), 0).balanced:
                raise Broken("the ledger doesn't balance")
        except OutboxError:
            return "opened, fails later"
        finally:
            with suppress(OutboxError, sqlite3.Error):
                outbox.close()
        return "opened"

    return Taker("files", "outbox.db", [seed], take, mutate, 0.02)


def filled(settings: OutboxSettings, clock: SystemClock) -> None:
    """An outbox with batches, a journal and states in it, closed."""
    outbox = Outbox.open(settings, clock, "machine card")
    now_ms = clock.now_ms()
    for batch in range(30):
        lines = [_line(f"bay-{batch}-{n}", now_ms + batch) for n in range(13)]
        outbox.seal(lines, {"bay-1": b"state"}, Counter({("taken", ""): 13}))
    outbox.journal([_line("bay-j", now_ms)], Counter({("taken", ""): 1}))
    outbox.close()


def _line(device: str, time_ms: int) -> Line:
    text = f"parking_spot,device={device},site=s,zone=a occupied=1i {time_ms}"
    return Line(text, device, "parking_spot", time_ms, False)


def _certificates(scratch: Scratch) -> list[Taker]:
    authority = Authority.create(scratch.path / "authority", "banda-aceh", PASSPHRASE, NOW)
    renewals = Renewals(authority, 90)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw-a")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    der = request.public_bytes(serialization.Encoding.DER)

    def asks(data: bytes, draw: random.Random) -> str:
        payload = pack_message(CertificateRequest(data)) if draw.random() < 0.8 else data
        answer = renewals.answer(draw.choice(("gw-a", "gw-b")), payload, NOW)
        if answer.certificates:
            raise Broken("a certificate for a gateway that never had one")
        return f"refused {answer.refused}"

    return [Taker("files", "certificate request", [der], asks, mutated, 0.5)]
