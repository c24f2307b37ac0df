"""What comes from outside is taken, or refused by its one typed refusal: never another exception,
never long, never without bound. `make fuzz` throws a million inputs; here some, and all that ever
broke something (hostile_inputs.txt)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.fuzz import takers
from bench.fuzz_scratch import Scratch
from bench.fuzzing import Taker, again, throw, told
from edge.enrolment import NotEnrolled, enrol
from gampong.deposit_book import BookError, read_book
from wire import mqtt
from wire.bundle import Bundle

GROUPS = (
    *("batches", "configurations", "drivers", "envelopes", "far", "files", "framers", "http"),
    *("messages", "modbus", "mqtt", "operators", "site", "snmp", "watched"),
)
EACH = 1_000
KEPT = Path(__file__).with_name("hostile_inputs.txt").read_text(encoding="utf-8").splitlines()


CHANCES = 20
"""Some takers draw lots: which status comes with an answer, where a text is cut."""


@pytest.fixture(scope="module")
def scratch() -> Scratch:
    return Scratch()


@pytest.fixture(scope="module")
def everyone(scratch) -> list[Taker]:
    return takers(scratch)


def test_no_taker_is_left_out(everyone):
    assert {taker.group for taker in everyone} == set(GROUPS)


@pytest.mark.parametrize("group", GROUPS)
def test_hostile_inputs_are_refused_by_their_one_typed_refusal(everyone, group, seed):
    chosen = [taker for taker in everyone if taker.group == group]
    findings = throw(chosen, EACH, seed)
    assert findings.broken_count == 0, told(chosen, findings, True)


@pytest.mark.parametrize("line", [line for line in KEPT if line and not line.startswith("#")])
def test_what_broke_something_once_breaks_nothing_again(everyone, line):
    name, _, data = line.rpartition(" ")
    (taker,) = [one for one in everyone if f"{one.group}/{one.name}" == name]
    for chance in range(CHANCES):
        assert again(taker, bytes.fromhex(data), chance)


def test_a_book_with_a_cell_without_an_end_is_refused():
    head = "deposit,time,bank,waste_kind,weight_kg\n"
    with pytest.raises(BookError, match="not CSV"):
        read_book(f"{head}{'7' * 140_000},2026-11-22,b-1,paper,2\n".encode(), ZoneInfo("UTC"))


def test_a_bundle_whose_certificate_has_no_day_changes_nothing(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gw-a")])
    begins = datetime(2026, 11, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 77, begins, begins)
    der = builder.sign(key, SHA256()).public_bytes(Encoding.DER)
    der = der.replace(b"261101", b"269901")
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(NotEnrolled, match="not a certificate"):
        enrol(Bundle("gw-a", "s", "mqtt.kota.id", 8883, (der,), (der,), secret), tmp_path / "etc")
    assert list((tmp_path / "etc").iterdir()) == []


def test_a_packet_full_of_user_properties_is_read_in_no_time(everyone):
    (taker,) = [one for one in everyone if (one.group, one.name) == ("mqtt", "stream")]
    packet = mqtt.publish(7, "gampong/v1/gw/batch", b"x", user=[("", "")] * 200_000)
    assert again(taker, packet) == "packets"
