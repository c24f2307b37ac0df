"""Which certificates a gateway believes to be its own next one, and which it doesn't."""

from __future__ import annotations

import base64
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.identity_worker import answer

NAME = "mahirah-01"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
YEAR = timedelta(days=365)


class Signer:
    """An authority; `under` makes one that stands between."""

    def __init__(self, name: str, above: Signer | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = above or self
        self.certificate = signer.sign(self.name, self.key.public_key(), ca=True)

    def sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        ca: bool = False,
        until: datetime = NOW + YEAR,
        purpose: x509.ObjectIdentifier | None = None,
        begins: datetime = NOW - YEAR,
    ) -> x509.Certificate:
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if purpose:
            made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return made.sign(self.key, hashes.SHA256())


@pytest.fixture
def root(tmp_path: Path) -> Signer:
    made = Signer("root")
    text = made.certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "ca.pem").write_bytes(text)
    return made


def asked(folder: Path) -> x509.CertificateSigningRequest:
    said = answer({"do": "request", "key_file": str(folder / "id" / "pending.key"), "name": NAME})
    return x509.load_der_x509_csr(base64.b64decode(said["request"]))


def accepted(folder: Path, *chain: x509.Certificate, **other: Any) -> dict[str, Any]:
    der = [one.public_bytes(serialization.Encoding.DER) for one in chain]
    words = {
        "do": "accept",
        "certificates": [base64.b64encode(one).decode() for one in der],
        "key_file": str(folder / "id" / "pending.key"),
        "ca_file": str(folder / "ca.pem"),
        "name": NAME,
        "now_ms": int(NOW.timestamp() * 1000),
        "after_ms": int((NOW + timedelta(days=90)).timestamp() * 1000),
        "head": "replaces: x\n",
        "candidate_file": str(folder / "id" / "candidate.pem"),
    }
    return answer(words | other)


def test_a_key_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    first, again = asked(tmp_path), asked(tmp_path)
    assert first.public_key() == again.public_key()
    assert first.is_signature_valid
    assert stat.S_IMODE((tmp_path / "id" / "pending.key").stat().st_mode) == 0o600


def test_a_key_that_the_card_has_damaged_is_made_anew(tmp_path: Path) -> None:
    first = asked(tmp_path)
    (tmp_path / "id" / "pending.key").write_bytes(b"-----BEGIN PRIVATE")
    assert asked(tmp_path).public_key() != first.public_key()


def test_a_certificate_of_our_key_is_kept_with_it_in_one_file(tmp_path: Path, root: Signer) -> None:
    request = asked(tmp_path)
    leaf = root.sign(request.subject, request.public_key())  # type: ignore[arg-type]
    assert "fault" not in accepted(tmp_path, leaf)
    kept = tmp_path / "id" / "candidate.pem"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert x509.load_pem_x509_certificates(kept.read_bytes()) == [leaf]
    key = serialization.load_pem_private_key(kept.read_bytes(), None)
    assert key.public_key() == leaf.public_key()


def test_a_chain_over_an_authority_in_between_is_believed_and_shown_whole(
    tmp_path: Path, root: Signer
) -> None:
    request, between = asked(tmp_path), Signer("between", root)
    leaf = between.sign(request.subject, request.public_key())  # type: ignore[arg-type]
    assert "who isn't in ca_file" in accepted(tmp_path, leaf)["fault"]
    assert "fault" not in accepted(tmp_path, leaf, between.certificate)
    kept = (tmp_path / "id" / "candidate.pem").read_bytes()
    assert x509.load_pem_x509_certificates(kept) == [leaf, between.certificate]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("key", "of another key"),
        ("name", "not of 'mahirah-01'"),
        ("authority", "who isn't in ca_file"),
        ("leaf_as_authority", "who isn't in ca_file"),
        ("over", "isn't good today"),
        ("early", "isn't good today"),
        ("short", "ends no later"),
        ("purpose", "not for clients"),
        ("none", "no certificate"),
        ("garbage", "accept"),
    ],
)
def test_an_answer_that_is_not_our_next_certificate_is_refused_and_nothing_is_written(
    tmp_path: Path, root: Signer, wrong: str, why: str
) -> None:
    request = asked(tmp_path)
    ours, subject = request.public_key(), request.subject
    assert isinstance(ours, ec.EllipticCurvePublicKey)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    elsewhere = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ulee-lheue-02")])
    impostor = Signer("root")  # the same name, another key
    neighbour = Signer("neighbour", root)
    plain = root.sign(neighbour.name, neighbour.key.public_key())  # no authority
    chains = {
        "key": (root.sign(subject, other),),
        "name": (root.sign(elsewhere, ours),),
        "authority": (impostor.sign(subject, ours),),
        "leaf_as_authority": (neighbour.sign(subject, ours), plain),
        "over": (root.sign(subject, ours, until=NOW - timedelta(days=1)),),
        "early": (root.sign(subject, ours, begins=NOW + timedelta(days=1)),),
        "short": (root.sign(subject, ours, until=NOW + timedelta(days=80)),),
        "purpose": (root.sign(subject, ours, purpose=ExtendedKeyUsageOID.SERVER_AUTH),),
        "none": (),
        "garbage": (),
    }
    more = {"certificates": ["AAAA"]} if wrong == "garbage" else {}
    said = accepted(tmp_path, *chains[wrong], **more)
    assert why in said["fault"]
    assert not (tmp_path / "id" / "candidate.pem").exists()
