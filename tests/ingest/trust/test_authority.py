"""The authority: what it signs, what it refuses to sign, what it takes back."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edge.enrolment import request
from ingest.trust.access import Role
from ingest.trust.authority import Authority
from ingest.trust.issued import TrustError, read_issued

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SECRET = b"not a short one"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority", "banda-aceh", SECRET, NOW)


def test_a_certificate_names_its_gateway_and_ends_when_it_should(authority: Authority) -> None:
    text, key = authority.issue("mahirah-01", Role.GATEWAY, NOW, 400, "pasar-mahirah")
    certificate = x509.load_pem_x509_certificate(text)
    assert certificate.subject.rfc4514_string() == "CN=mahirah-01"
    assert certificate.not_valid_after_utc == NOW + timedelta(days=400)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.ca_pem))
    private = serialization.load_pem_private_key(key, None)
    assert private.public_key() == certificate.public_key()
    (one,) = authority.issued()
    assert (one.name, one.role, one.site) == ("mahirah-01", Role.GATEWAY, "pasar-mahirah")


def test_the_key_of_the_authority_is_encrypted_and_readable_for_its_owner_alone(
    authority: Authority,
) -> None:
    path = authority.folder / "ca.key"
    assert b"ENCRYPTED" in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Authority.open(authority.folder, SECRET).ca_pem == authority.ca_pem
    with pytest.raises(TrustError, match="passphrase"):
        Authority.open(authority.folder, b"another one")


def test_an_authority_is_never_made_over_another(authority: Authority) -> None:
    with pytest.raises(TrustError, match="holds an authority already"):
        Authority.create(authority.folder, "lhokseumawe", SECRET, NOW)


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="shorter than 8"):
        Authority.create(tmp_path / "authority", "banda-aceh", b"short", NOW)


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "+", "#", "a" * 65, "dolphin\n"])
def test_a_name_that_a_topic_can_not_hold_is_not_signed(authority: Authority, name: str) -> None:
    with pytest.raises(TrustError, match="isn't a name"):
        authority.issue(name, Role.GATEWAY, NOW, 1)


def test_a_gateway_can_not_take_the_name_of_the_ingestor(authority: Authority) -> None:
    authority.issue("ingestor", Role.INGESTOR, NOW, 1)
    with pytest.raises(TrustError, match="another role"):
        authority.issue("ingestor", Role.GATEWAY, NOW, 1)


def test_what_was_revoked_stands_in_the_revocation_list_and_stays_there(
    authority: Authority,
) -> None:
    for name in ("mahirah-01", "mahirah-01", "ulee-lheue-02"):
        authority.issue(name, Role.GATEWAY, NOW, 10)
    assert len(authority.revoke("mahirah-01", NOW)) == 2
    assert authority.revoke("mahirah-01", NOW) == []
    authority.issue("mahirah-01", Role.GATEWAY, NOW, 10)
    listed = x509.load_pem_x509_crl((authority.folder / "crl.pem").read_bytes())
    gone = {f"{one.serial_number:x}" for one in listed}
    good = {one.name for one in read_issued(authority.folder) if one.serial not in gone}
    assert len(gone) == 2
    assert good == {"mahirah-01", "ulee-lheue-02"}


def test_a_request_is_signed_and_only_its_name_and_key_are_believed(
    authority: Authority, tmp_path: Path
) -> None:
    name, text = authority.sign(request("mahirah-01", tmp_path).encode(), NOW, 10, "pasar")
    assert name == "mahirah-01"
    certificate = x509.load_pem_x509_certificate(text)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert not constraints.value.ca
    key = serialization.load_pem_private_key((tmp_path / "gateway.key").read_bytes(), None)
    assert key.public_key() == certificate.public_key()


@pytest.mark.parametrize("damage", [b"", b"garbage", b"-----BEGIN CERTIFICATE REQUEST-----\nAA=="])
def test_what_is_no_request_is_refused_with_the_remedy(authority: Authority, damage: bytes) -> None:
    with pytest.raises(TrustError, match="gampong edge csr"):
        authority.sign(damage, NOW, 10, "pasar")


def test_a_damaged_list_is_named_and_nothing_is_signed(authority: Authority) -> None:
    (authority.folder / "issued.json").write_text("{")
    with pytest.raises(TrustError, match=r"issued\.json.*backup"):
        authority.issue("mahirah-01", Role.GATEWAY, NOW, 10)
