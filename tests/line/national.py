"""Authorities above the city's, as a nation has them: an RSA root, an EC authority below it that
signs, and their revocation lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
NOW = datetime.now(UTC)


def named(text: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Republik Contoh")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Signing:
    """One authority. `above` signs it; without, it is a root."""

    def __init__(self, name: str, key: Key, above: Signing | None = None) -> None:
        self.name, self.key = named(name), key
        self.certificate = (above or self).sign(self.name, key, authority=True)

    def sign(
        self,
        subject: x509.Name,
        key: Key,
        *,
        authority: bool = False,
        days: int = 365,
        begun: timedelta = timedelta(days=30),
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        alternatives: Sequence[str] = (),
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=not authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=authority,
            crl_sign=authority,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - begun)
            .not_valid_after(NOW + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        if not authority:
            made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if alternatives:
            names = x509.SubjectAlternativeName([x509.DNSName(one) for one in alternatives])
            made = made.add_extension(names, critical=False)
        return made.sign(self.key, hashes.SHA256())

    def revocations(
        self,
        gone: Sequence[x509.Certificate] = (),
        made: timedelta = timedelta(0),
        until: timedelta = timedelta(days=7),
    ) -> x509.CertificateRevocationList:
        """Made so long ago, good for so long from now."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(NOW - made)
            .next_update(NOW + until)
        )
        for one in gone:
            revoked = x509.RevokedCertificateBuilder(one.serial_number, NOW)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self.key, hashes.SHA256())


class Nation:
    """A root with RSA, an authority with EC below it."""

    def __init__(self) -> None:
        self.root = Signing("Root", rsa.generate_private_key(65537, 2048))
        self.between = Signing("Penerbit", ec.generate_private_key(ec.SECP384R1()), self.root)

    @property
    def pem(self) -> bytes:
        return pem(self.between.certificate) + pem(self.root.certificate)

    def lists(self, gone: Sequence[x509.Certificate] = (), ago: timedelta = timedelta(0)) -> bytes:
        """Both authorities' lists, PEM."""
        both = (self.between.revocations(gone, ago), self.root.revocations((), ago))
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in both)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def write_key(path: Path, key: Key, passphrase: bytes = b"") -> None:
    locked: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        locked = serialization.BestAvailableEncryption(passphrase)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    path.chmod(0o600)
