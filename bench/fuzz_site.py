"""What is at a site, for `bench.fuzz`: a gateway's own files, its page's words, commands.

Takers: the log of the site, the commissioning sheet, the PIN's file, enrolment, who a request is
for, positions, commands, what a SIM has carried.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.fuzz_configurations import PLAIN
from bench.fuzz_inputs import mutated, mutated_text
from bench.fuzz_scratch import Scratch
from bench.fuzzing import Broken, Taker, as_text, refusing
from edge import commissioning, month, site_log
from edge.commands import Commands
from edge.configuration import load_configuration
from edge.enrolment import NotEnrolled, enrol
from edge.onlooker import Inside, Seen
from edge.page.entry import Lockout, is_host, is_own_origin
from edge.page.pin import Pin, PinUnusable, read
from edge.page.position import place_of
from edge.uplink_snapshot import LastReadings
from wire.bundle import Bundle
from wire.clock import SystemClock
from wire.messages import BadMessage, Place, decode_message, encode_message
from wire.remote import ID_MAX, Ask, Command

HERE = "10.42.0.1"


def takers(scratch: Scratch) -> list[Taker]:
    """All of them."""
    return [*_files(scratch), *_page(scratch), _enrolment(scratch), _Commanded().taker()]


def _files(scratch: Scratch) -> list[Taker]:
    entry = site_log.Entry(1_795_136_400_000, site_log.What.CONFIGURED, "sari", "bay-1", "bus-1")
    log = b"".join(msgspec.json.encode(entry) + b"\n" for _ in range(3))
    place = Place(5.5703, 95.3291)
    done = commissioning.Entry("bay-1", "jsn_sr04t", 5, True, "good", place, "ff07", {"a": 1})
    sheet = scratch.path / commissioning.NAME
    commissioning.write_sheet(sheet, [done])
    folder = scratch.path / "log"
    folder.mkdir()
    counted = msgspec.msgpack.encode(month.Counted("2026-11-01", 5_000_000, "boot", 77))

    def read_log(data: bytes, _draw: random.Random) -> str:
        (folder / site_log.NAME).write_bytes(data)
        site_log.note(folder, entry)
        found = list(site_log.read_log(folder))
        if found[-1] != entry:
            raise Broken("an entry after a damaged line can't be read")
        return "read"

    def read_sheet(data: bytes, _draw: random.Random) -> str:
        path = scratch.file(commissioning.NAME, data)
        found = commissioning.read_sheet(path)
        commissioning.write_sheet(path, commissioning.with_entry(found, done).values())
        if commissioning.read_sheet(path).get("bay-1") != done:
            raise Broken("the newest entry isn't in the sheet")
        return "read" if found else "begun anew"

    def carried(data: bytes, _draw: random.Random) -> str:
        return "read" if month.kept_month(data) else "refused"

    return [
        Taker("site", "log", [log], read_log, mutated_text, 0.3),
        Taker("site", "sheet", [sheet.read_bytes()], read_sheet, mutated_text, 0.3),
        Taker("site", "month", [counted], carried, mutated),
    ]


def _page(scratch: Scratch) -> list[Taker]:
    pin = Pin.of("482915")
    lockout = Lockout()

    def host(data: bytes, draw: random.Random) -> str:
        text = data.decode("latin-1")
        here = draw.choice((HERE, "fd00::1", "::ffff:10.42.0.1", "fe80::1%wlan0", "127.0.0.1"))
        lockout.wrong(text, 1.0)
        if lockout.wait_s(text, 1.0) < 0:
            raise Broken("waits less than no time")
        if is_own_origin(text, HERE) and text.lower() != f"http://{HERE}":
            raise Broken("a form of another page")
        return "ours" if is_host(text, here, "gampong.local") else "another's"

    def pin_file(data: bytes) -> Pin:
        path = scratch.file("pin", data)
        path.chmod(0o640)
        return read(path)

    def place(data: bytes, _draw: random.Random) -> str:
        found = place_of(as_text(data))
        if found is None:
            return "refused"
        if not (abs(found.latitude) <= 90 and abs(found.longitude) <= 180):
            raise Broken(f"{found} is nowhere")
        return "a place"

    hosts = [b"10.42.0.1:80", b"gampong.local.", b"[fd00::1]:80", b"[fe80::1%25wlan0]", b"http://x"]
    places = [b"5.5703, 95.3291", "5°34'13.1\"N 95°19'44.8\"E".encode(), b"geo:5,57;95,3"]
    return [
        Taker("site", "host", hosts, host, mutated_text),
        Taker("site", "place", places, place, mutated_text),
        Taker("site", "pin", [msgspec.json.encode(pin)], refusing(pin_file, PinUnusable),
              mutated_text, 0.5),
    ]  # fmt: skip


def _enrolment(scratch: Scratch) -> Taker:
    """A bundle whose parts aren't what they should be changes nothing."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw-a")])
    begins = datetime(2026, 11, 1, tzinfo=UTC)
    der = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(77)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=90))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    secret = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    folder = scratch.path / "etc"

    def take(data: bytes, draw: random.Random) -> str:
        parts = [der, der, secret]
        parts[draw.randrange(3)] = data
        authority, certificate, private = parts
        bundle = Bundle(
            "gw-a", "pasar", "mqtt.kota.id", 8883, (authority,), (certificate,), private
        )
        shutil.rmtree(folder, ignore_errors=True)
        try:
            enrol(bundle, folder)
        except NotEnrolled:
            if folder.exists() and any(folder.iterdir()):
                raise Broken("refused, and files were left") from None
            return "refused"
        return "enrolled"

    return Taker("site", "enrolment", [der, secret], take, mutated, 0.3)


class _Commanded:
    """Commands to a gateway that has no link: what one may ask of it is refused in words."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._clock = SystemClock()
        self._commands = Commands(self._clock, lambda: PLAIN)
        configuration = load_configuration(PLAIN, "gateway.toml")
        self._inside = Inside(
            configuration, _never, {}, LastReadings(), _wanted, lambda: True, _nobody, self._clock
        )

    def taker(self) -> Taker:
        """The taker of it."""
        now_ms = self._clock.now_ms() + 30_000
        seeds = [
            encode_message(Command(f"c-{ask}", ask, now_ms, "bin-1", 5.0, "ops")) for ask in Ask
        ]
        return Taker("site", "command", seeds, self.take, mutated_text)

    def take(self, data: bytes, _draw: random.Random) -> str:
        try:
            command = decode_message(data, Command)
        except BadMessage:
            return "not a command"
        result = self._loop.run_until_complete(self._commands.carry_out(command, self._inside))
        if len(result.id) > ID_MAX:
            raise Broken("an answer's id without bounds")
        encode_message(result)
        return "done" if result.done else "refused"


async def _never() -> Seen:
    raise AssertionError("no command looks")


def _wanted(_device: str) -> None:
    return


def _nobody(_guest: object) -> None:
    return
