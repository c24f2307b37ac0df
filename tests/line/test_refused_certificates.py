"""Certificates that aren't good, on either side of the link: refused, and the gateway says in plain
words what is wrong and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.broker import ConnectionLost, Outgoing, connect
from tests.line.national import Signing, pem, write_key
from tests.line.trusted import ANSWER_S
from tests.servers import Mosquitto
from wire.configuration import Broker, Tls

NAME = "mahirah-01"
SERVER = ExtendedKeyUsageOID.SERVER_AUTH


class Papers(NamedTuple):
    """The city's authority, somebody else's, and a folder."""

    city: Signing
    other: Signing
    folder: Path

    def made(self, label: str, signer: Signing | None = None, **how: object) -> Tls:
        """A certificate and key in files; without a signer it is signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
        signing = signer or Signing("itself", key)
        if signer is None:
            certificate = signing.certificate
        else:
            certificate = signing.sign(name, key, **how)  # type: ignore[arg-type]
        (self.folder / f"{label}.pem").write_bytes(pem(certificate))
        write_key(self.folder / f"{label}.key", key)
        return Tls(
            ca_file=f"{self.folder}/ca.pem",
            certificate_file=f"{self.folder}/{label}.pem",
            key_file=f"{self.folder}/{label}.key",
        )


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    city = Signing("Kota", ec.generate_private_key(ec.SECP256R1()))
    other = Signing("Lain", ec.generate_private_key(ec.SECP256R1()))
    (folder / "ca.pem").write_bytes(pem(city.certificate))
    return Papers(city, other, folder)


def listener(tls: Tls, revoked: str = "") -> str:
    lines = (
        "listener {port} 127.0.0.1",
        f"cafile {tls.ca_file}",
        f"certfile {tls.certificate_file}",
        f"keyfile {tls.key_file}",
        "require_certificate true",
        "use_identity_as_username true",
        f"crlfile {revoked}" if revoked else "",
    )
    return "\n".join(lines)


async def tried(broker: Mosquitto, tls: Tls, host: str = "localhost", dates: bool = True) -> None:
    settings = Broker(host=host, port=broker.port, tls=tls)
    async with connect(settings, "gateway", None, dates, ANSWER_S) as connection:
        await connection.publish(Outgoing("a", b"x"))


def good_server(papers: Papers) -> Tls:
    return served(papers, "server", papers.city)


def served(
    papers: Papers, label: str, signer: Signing, host: str = "localhost", **how: object
) -> Tls:
    """A broker's certificate: it needs a name in its alternatives."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    signed = signer.sign(name, key, purpose=SERVER, alternatives=[host], **how)  # type: ignore[arg-type]
    (papers.folder / f"{label}.pem").write_bytes(pem(signed))
    write_key(papers.folder / f"{label}.key", key)
    return Tls(
        ca_file=f"{papers.folder}/ca.pem",
        certificate_file=f"{papers.folder}/{label}.pem",
        key_file=f"{papers.folder}/{label}.key",
    )


@pytest.fixture(scope="module")
def strict(papers: Papers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker of the city that has taken `taken-back`'s certificate back."""
    papers.made("taken-back", papers.city)
    gone = x509.load_pem_x509_certificate((papers.folder / "taken-back.pem").read_bytes())
    text = papers.city.revocations([gone]).public_bytes(serialization.Encoding.PEM)
    (papers.folder / "crl.pem").write_bytes(text)
    config = listener(good_server(papers), f"{papers.folder}/crl.pem")
    with Mosquitto(tmp_path_factory.mktemp("strict"), 0, config) as broker:
        yield broker


def test_a_good_certificate_is_let_in(papers: Papers, strict: Mosquitto) -> None:
    asyncio.run(tried(strict, papers.made("good", papers.city)))


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("expired", "has expired. Ask the operator for a new bundle"),
        ("not-yet", "isn't good, or not yet. Is this machine's clock right?"),
        ("foreign", "is of an authority that the broker doesn't know"),
        ("self-signed", "is of an authority that the broker doesn't know"),
        ("taken-back", "was revoked. Ask the operator why"),
        ("for-servers", "isn't one for clients"),
    ],
)
def test_a_gateways_certificate_that_is_not_good_is_refused_and_it_says_why(
    papers: Papers, strict: Mosquitto, label: str, words: str
) -> None:
    made = {
        "expired": lambda: papers.made(label, papers.city, days=-1),
        "not-yet": lambda: papers.made(label, papers.city, begun=timedelta(days=-1)),
        "foreign": lambda: papers.made(label, papers.other),
        "self-signed": lambda: papers.made(label),
        "taken-back": lambda: Tls(
            ca_file=f"{papers.folder}/ca.pem",
            certificate_file=f"{papers.folder}/taken-back.pem",
            key_file=f"{papers.folder}/taken-back.key",
        ),
        "for-servers": lambda: papers.made(label, papers.city, purpose=SERVER),
    }[label]()
    seen: list[ConnectionLost] = []
    for _ in range(TRIES):  # a broker that hangs up before its reason is read is asked again
        with pytest.raises(ConnectionLost) as lost:
            asyncio.run(tried(strict, made))
        seen.append(lost.value)
        if lost.value.refused:
            break
    assert seen[-1].refused
    assert f"the broker refuses this gateway's certificate: it {words}" in str(seen[-1])


TRIES = 20


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("expired", "the broker's certificate has expired. Is this machine's clock right?"),
        ("not-yet", "the broker's certificate isn't good yet. Is this machine's clock right?"),
        ("foreign", "is of an authority that isn't in broker.tls.ca_file"),
        ("self-signed", "is signed by itself"),
        ("wrong-name", "is for another name than broker.host"),
        ("wrong-address", "is for another address than broker.host"),
    ],
)
def test_a_brokers_certificate_that_is_not_good_is_told_nothing_and_said_why(
    papers: Papers, tmp_path: Path, label: str, words: str
) -> None:
    host = "127.0.0.1" if label == "wrong-address" else "localhost"
    server = {
        "expired": lambda: served(papers, f"b-{label}", papers.city, days=-1),
        "not-yet": lambda: served(papers, f"b-{label}", papers.city, begun=timedelta(days=-1)),
        "foreign": lambda: served(papers, f"b-{label}", papers.other),
        "self-signed": lambda: papers.made(f"b-{label}"),
        "wrong-name": lambda: served(papers, f"b-{label}", papers.city, "mqtt.example.org"),
        "wrong-address": lambda: served(papers, f"b-{label}", papers.city),
    }[label]()
    ours = papers.made(f"to-{label}", papers.city)
    with Mosquitto(tmp_path, 0, listener(server)) as broker:
        with pytest.raises(ConnectionLost) as lost:
            asyncio.run(tried(broker, ours, host))
        assert words in str(lost.value)
        assert not lost.value.refused  # it isn't ours that is at fault
        if label in ("expired", "not-yet"):  # as in 1970: chain and name are all there is
            asyncio.run(tried(broker, ours, host, dates=False))
        else:
            with pytest.raises(ConnectionLost):
                asyncio.run(tried(broker, ours, host, dates=False))
