"""What a gateway that asks for its next certificate gets, and when it gets none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ingest.trust.access import Role
from ingest.trust.authority import Authority
from ingest.trust.issued import Issued, read_issued
from ingest.trust.renewals import DAY_MAX, Renewals
from wire.certificates import CertificateRequest, Refusal
from wire.messages import encode_message

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
THEN = NOW - timedelta(days=300)
NAME = "mahirah-01"
SECRET = b"not a short one"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority.create(tmp_path / "authority", "banda-aceh", SECRET, THEN)
    made.issue(NAME, Role.GATEWAY, THEN, 400, "pasar")
    return made


def asking(name: str = NAME, key: Key | None = None) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = request.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return encode_message(CertificateRequest(signed.public_bytes(serialization.Encoding.DER)))


def test_a_gateway_gets_a_certificate_of_its_new_key_and_its_site_stays(
    authority: Authority,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    answer = Renewals(authority, 400).answer(NAME, asking(key=key), NOW)
    assert answer.refused == ""
    (leaf,) = map(x509.load_der_x509_certificate, answer.certificates)
    assert leaf.public_key() == key.public_key()
    assert leaf.not_valid_after_utc == NOW + timedelta(days=400)
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.ca_pem))
    assert [one.site for one in read_issued(authority.folder)] == ["pasar", "pasar"]


def test_asking_again_for_the_same_key_gets_the_same_certificate_even_after_a_restart(
    authority: Authority,
) -> None:
    question = asking()
    first = Renewals(authority, 400).answer(NAME, question, NOW)
    again = Renewals(Authority.open(authority.folder, SECRET), 400)
    assert again.answer(NAME, question, NOW + timedelta(hours=1)) == first
    assert len(read_issued(authority.folder)) == 2


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", Refusal.FORMAT),
        (b"garbage", Refusal.FORMAT),
        (encode_message(CertificateRequest(b"garbage")), Refusal.FORMAT),
        (b"x" * 300_000, Refusal.FORMAT),
        (asking("ulee-lheue-02"), Refusal.NAME),
        (asking("ingestor"), Refusal.NAME),
        (asking(key=rsa.generate_private_key(65537, 1024)), Refusal.FORMAT),
    ],
    ids=["empty", "garbage", "no-request", "huge", "another", "a-role", "weak"],
)
def test_what_is_no_request_of_that_gateway_is_refused(
    authority: Authority, payload: bytes, why: Refusal
) -> None:
    assert Renewals(authority, 400).answer(NAME, payload, NOW).refused == why
    assert len(read_issued(authority.folder)) == 1


def test_a_request_that_was_changed_on_its_way_is_refused(authority: Authority) -> None:
    signed = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    der = bytearray(request.sign(signed, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    der[-3] ^= 1
    payload = encode_message(CertificateRequest(bytes(der)))
    assert Renewals(authority, 400).answer(NAME, payload, NOW).refused == Refusal.FORMAT


def test_a_request_of_a_curve_that_nobody_knows_is_refused_and_the_service_goes_on(
    authority: Authority,
) -> None:
    """Found by `make fuzz`: the library raises another error for it than for garbage."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    der = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    curve = bytes.fromhex("06082a8648ce3d030107")  # prime256v1
    unknown = der.replace(curve, bytes.fromhex("06082a8648ce3d03017f"), 1)
    assert unknown != der
    payload = encode_message(CertificateRequest(unknown))
    assert Renewals(authority, 400).answer(NAME, payload, NOW).refused == Refusal.FORMAT


def test_who_was_never_enrolled_and_who_was_revoked_get_nothing(authority: Authority) -> None:
    renewals = Renewals(authority, 400)
    assert renewals.answer("nobody", asking("nobody"), NOW).refused == Refusal.UNKNOWN
    authority.revoke(NAME, NOW)
    assert renewals.answer(NAME, asking(), NOW).refused == Refusal.REVOKED


def test_a_role_of_the_cloud_gets_nothing_this_way(authority: Authority) -> None:
    authority.issue("ingestor", Role.INGESTOR, NOW, 400)
    answer = Renewals(authority, 400).answer("ingestor", asking("ingestor"), NOW)
    assert answer.refused == Refusal.UNKNOWN


def test_a_key_whose_certificate_was_revoked_is_never_signed_again(authority: Authority) -> None:
    renewals, question = Renewals(authority, 400), asking()
    assert renewals.answer(NAME, question, NOW).refused == ""
    authority.issue(NAME, Role.GATEWAY, NOW, 400)
    authority.revoke(NAME, NOW, but_newest=True)
    assert renewals.answer(NAME, question, NOW).refused == Refusal.REVOKED


def test_more_than_a_few_new_certificates_a_day_are_refused_and_tomorrow_is_another_day(
    authority: Authority,
) -> None:
    renewals = Renewals(authority, 400)
    said = [renewals.answer(NAME, asking(), NOW).refused for _ in range(DAY_MAX + 2)]
    assert said == [""] * DAY_MAX + [Refusal.RATE] * 2
    assert renewals.answer(NAME, asking(), NOW + timedelta(days=1, hours=1)).refused == ""


def test_nothing_is_signed_for_longer_than_the_authority_itself_is_good(tmp_path: Path) -> None:
    old = NOW - timedelta(days=19 * 365)
    authority = Authority.create(tmp_path / "old", "banda-aceh", SECRET, old)
    text, _ = authority.issue(NAME, Role.GATEWAY, NOW, 3650)
    leaf = x509.load_pem_x509_certificate(text)
    ca = x509.load_pem_x509_certificate(authority.ca_pem)
    assert leaf.not_valid_after_utc == ca.not_valid_after_utc


def test_a_list_that_is_damaged_signs_nothing_and_says_so(authority: Authority) -> None:
    (authority.folder / "issued.json").write_text("{")
    assert Renewals(authority, 400).answer(NAME, asking(), NOW).refused == Refusal.FAILING


class RevokedMeanwhile(Authority):
    """Somebody revokes the gateway after it was judged, before it is signed for."""

    def sign(
        self,
        request_pem: bytes,
        now: datetime,
        days: int,
        site: str,
        may: Callable[[list[Issued]], bool] = lambda _: True,
    ) -> tuple[str, bytes]:
        Authority.open(self.folder, SECRET).revoke(NAME, now)
        return super().sign(request_pem, now, days, site, may)


def test_a_gateway_that_is_revoked_while_it_asks_gets_nothing(authority: Authority) -> None:
    renewals = Renewals(RevokedMeanwhile.open(authority.folder, SECRET), 400)
    assert renewals.answer(NAME, asking(), NOW).refused == Refusal.REVOKED
    (only,) = read_issued(authority.folder)
    assert only.revoked_ms
    assert len(list((authority.folder / "certificates").glob("*.pem"))) == 1


@pytest.mark.parametrize("damage", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_certificate_that_is_damaged_on_disk_is_its_own_gateways_fault_alone(
    authority: Authority, damage: bytes
) -> None:
    authority.issue("ulee-lheue-02", Role.GATEWAY, THEN, 400)
    renewals, question = Renewals(authority, 400), asking()
    assert renewals.answer(NAME, question, NOW).refused == ""
    for path in (authority.folder / "certificates").glob(f"{NAME}-*.pem"):
        path.write_bytes(damage)
    assert renewals.answer(NAME, question, NOW).refused == Refusal.FAILING
    assert renewals.answer("ulee-lheue-02", asking("ulee-lheue-02"), NOW).refused == ""


def test_an_authority_that_is_over_signs_nothing_and_the_service_goes_on(tmp_path: Path) -> None:
    old = NOW - timedelta(days=21 * 365)
    authority = Authority.create(tmp_path / "over", "banda-aceh", SECRET, old)
    authority.issue(NAME, Role.GATEWAY, old, 400)
    later_ms = int(NOW.timestamp() * 1000) + 1
    listed = [msgspec.structs.replace(one, until_ms=later_ms) for one in authority.issued()]
    (authority.folder / "issued.json").write_bytes(msgspec.json.encode(listed))
    assert Renewals(authority, 400).answer(NAME, asking(), NOW).refused == Refusal.FAILING
    assert read_issued(authority.folder) == listed
