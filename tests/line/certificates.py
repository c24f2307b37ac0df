"""Certificates for a test: an authority, and what it signs.

Made with the `cryptography` package: openssl's command line makes expired certificates in one way
before version 3.4 and in another from then on.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.secret_file import write_secret

HERE = ("127.0.0.1", "localhost")
EXPIRED = -1


class Signed(NamedTuple):
    """A certificate, its key and its authority, PEM files."""

    ca_file: Path
    certificate_file: Path
    key_file: Path

    @property
    def toml(self) -> str:
        """For a configuration's `[broker]`."""
        pairs = (f'{name} = "{file}"' for name, file in self._asdict().items())
        return "\n".join(["[broker.tls]", *pairs])

    @property
    def mosquitto(self) -> str:
        """A listener that asks for a certificate and believes its name."""
        return (
            f"listener {{port}} 127.0.0.1\ncafile {self.ca_file}\n"
            f"certfile {self.certificate_file}\nkeyfile {self.key_file}\n"
            "require_certificate true\nuse_identity_as_username true\nallow_anonymous false\n"
        )

    def context(self) -> ssl.SSLContext:
        """For a client of the test's own."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


class Authority:
    """Signs in a folder of its own, which it makes.

    Args:
        folder: its name is the authority's common name.
        names: addresses and host names that what it signs is good for.
    """

    def __init__(self, folder: Path, names: Sequence[str] = HERE) -> None:
        folder.mkdir(parents=True)
        self._folder, self._names = folder, names
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(folder.name)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _dated(2, self._name, self._name, self._key.public_key())
            .add_extension(constraints, critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        self.certificate_file = folder / "ca.pem"
        self.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str, days: int = 2, names: Sequence[str] | None = None) -> Signed:
        """A certificate with that common name. `days` below 0: it ended so long ago."""
        stem = name if days > 0 else f"{name}-expired"
        key = ec.generate_private_key(ec.SECP256R1())
        own = [_general_name(one) for one in (self._names if names is None else names)]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _dated(days, _named(name), self._name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(own), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = Signed(
            self.certificate_file, self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        )
        files.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_secret(files.key_file, private)
        return files


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _dated(
    days: int, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """Begun a month ago, so that an expired one was good once."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
    )
