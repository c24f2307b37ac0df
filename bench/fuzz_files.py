"""Files that a person, a card or another process may have spoilt, for `bench.fuzz`.

Takers: every configuration (a gateway's may come from afar), the registry, requests of operators,
dead letters, a damaged outbox, requests for certificates, revocation lists.
"""

from __future__ import annotations

import random
import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.fuzzing import Broken, Taker, mutated, mutated_text
from bench.running import ROOT
from dashboards.configuration import load as load_page
from dashboards.opendata.configuration import load as load_opendata
from edge.configuration import OutboxSettings
from edge.configuration import load_configuration as load_edge
from edge.outbox import Outbox
from edge.outbox_file import OutboxError
from edge.records import Line
from ingest.configuration import load_configuration as load_ingest
from ingest.dead_letters import DeadLetters, Letter
from ingest.moves import Move, leave_move, waiting_moves
from ingest.registry import Registry, RegistryFile
from ingest.registry_file import load_registry, save_registry
from ingest.trust.authority import Authority
from ingest.trust.renewals import Renewals
from ingest.trust.settings import load_configuration as load_trust
from wire.certificates import CertificateRequest
from wire.clock import SystemClock
from wire.configuration import ConfigurationError
from wire.messages import Inventory, InventoryDevice, pack_message

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PASSPHRASE = b"for the fuzzer only"
PAGE = """
time_zone = "Asia/Jakarta"
[store]
type = "sqlite"
path = "/tmp/city.db"
[accounts]
"""
TRUST = """
[authority]
folder = "/tmp/authority"
city = "banda-aceh"
[broker]
host = "mqtt.kota.id"
"""


class Scratch:
    """A folder in memory that goes with the process."""

    def __init__(self) -> None:
        shm = Path("/dev/shm")
        place = shm if shm.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="gampong-fuzz-", dir=place)
        self.path = Path(self._folder.name)

    def file(self, name: str, data: bytes) -> Path:
        """That file with those bytes."""
        path = self.path / name
        path.write_bytes(data)
        return path


def takers(scratch: Scratch) -> list[Taker]:
    """All of them."""
    return [
        *_configurations(),
        *_cloud_files(scratch),
        _outbox(scratch),
        *_certificates(scratch),
    ]


def _configurations() -> list[Taker]:
    loads: dict[str, tuple[Callable[[str, str], object], str]] = {
        "gateway.toml": (load_edge, _shown("technician.md")),
        "ingest.toml": (load_ingest, _shown("operator.md")),
        "opendata.toml": (load_opendata, _shown("opendata.md")),
        "page.toml": (load_page, PAGE),
        "authority.toml": (load_trust, TRUST),
    }
    return [
        Taker("configurations", name, [text.encode()], partial(_configured, load), mutated_text)
        for name, (load, text) in loads.items()
    ]


def _shown(page: str) -> str:
    """The sample that a page of the documents shows."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert found, f"docs/{page} shows no configuration"
    return found[1]


def _configured(load: Callable[[str, str], object], data: bytes, _draw: random.Random) -> str:
    try:
        load(data.decode("utf-8", "replace"), "fuzz.toml")
    except ConfigurationError:
        return "refused"
    return "taken"


def _cloud_files(scratch: Scratch) -> list[Taker]:
    devices = tuple(InventoryDevice(f"b-{n}", "parking_spot", "x", "a", 60, 90) for n in range(3))
    registry = Registry(RegistryFile())
    registry.announce(Inventory("gw-a", "s", 60.0, devices), 1)
    registry.announce(Inventory("gw-b", "s", 60.0, devices[:1]), 2)
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
        return "taken"

    def read_moves(data: bytes, _draw: random.Random) -> str:
        left = leave_move(path, Move("b-0", "gw-b"), 5)
        left.write_bytes(data)
        ((_, move),) = waiting_moves(path)
        left.unlink()
        return "taken" if move else "refused"

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
    move = msgspec.json.encode(Move("b-0", "gw-b"))
    return [
        Taker("files", "registry.json", [seed], read_registry, mutated_text),
        Taker("files", "operator's move", [move], read_moves, mutated_text),
        Taker("files", "dead letters", [lines], read_letters, mutated_text, 0.3),
    ]


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
