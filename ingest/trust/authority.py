"""The city's certificate authority: a folder that signs for gateways and the cloud's processes.

In: names, roles, certificate requests (PKCS #10). Out: certificates (X.509 v3), a list of what was
signed, and a revocation list (CRL, RFC 5280, 5) that brokers read.

    ca.pem          the authority's certificate
    ca.key          its key, encrypted with a passphrase, readable for its owner alone
    issued.json     everything that was ever signed: name, role, serial number, dates, revoked when
    crl.pem         what was taken back
    certificates/   NAME-SERIAL.pem, and the key beside it where it was made here

Promised: a file is replaced whole or not at all; a serial number is used once (128 random bits);
what is revoked stays revoked. Keys are EC P-256: small enough for a QR code, and what TLS 1.3
libraries of every gateway know.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ingest.trust.access import Role
from ingest.trust.names import subject_alternatives
from wire.line import NAME

CA_DAYS = 20 * 365
CRL_DAYS = 3650
"""A list that has run out would shut every gateway out (OpenSSL refuses all under an expired CRL),
so it lasts; it is written anew with every revocation."""

BACKDATED = timedelta(days=1)
"""A gateway without a clock may be a little behind."""


class TrustError(Exception):
    """Something that can't be signed, opened or read; the text names it and the remedy."""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate. Times are UTC milliseconds; `revoked_ms` is 0 while it is good."""

    name: str
    role: Role
    serial: str
    from_ms: int
    until_ms: int
    site: str = ""
    revoked_ms: int = 0

    def is_good(self, now_ms: int) -> bool:
        return not self.revoked_ms and now_ms < self.until_ms


class Authority:
    """An authority that was opened; `create` makes a new one, `open` reads one.

    Args:
        folder: where it lives.
        certificate, key: its own.
    """

    def __init__(
        self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> None:
        self.folder, self._certificate, self._key = folder, certificate, key

    @classmethod
    def create(cls, folder: Path, city: str, passphrase: bytes, now: datetime) -> Authority:
        """A new authority in an empty or absent folder.

        Raises:
            TrustError: there is one already, or the passphrase is too short.
            OSError: the folder can't be written.
        """
        if (folder / "ca.key").exists():
            raise TrustError(f"{folder} holds an authority already. Take another folder")
        if len(passphrase) < 8:
            raise TrustError("the passphrase is shorter than 8 bytes. Take a longer one")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{city} gampong")])
        certificate = (
            _dated(name, name, key.public_key(), now, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        locked = serialization.BestAvailableEncryption(passphrase)
        write(folder / "ca.key", private_pem(key, locked), 0o600)
        write(folder / "ca.pem", pem(certificate), 0o644)
        authority = cls(folder, certificate, key)
        authority._keep([], now)
        return authority

    @classmethod
    def open(cls, folder: Path, passphrase: bytes) -> Authority:
        """The authority in that folder.

        Raises:
            TrustError: there is none, or the passphrase doesn't open its key.
        """
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), passphrase)
        except OSError as error:
            remedy = "Make it: gampong gateway authority"
            raise TrustError(f"{error.filename}: {error.strerror}. {remedy}") from error
        except (ValueError, TypeError) as error:
            remedy = "Is the passphrase the one it was made with?"
            raise TrustError(f"{folder}: the key can't be opened. {remedy}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TrustError(f"{folder}/ca.key isn't an EC key. Was it made by gampong?")
        return cls(folder, certificate, key)

    @property
    def ca_pem(self) -> bytes:
        return pem(self._certificate)

    def issued(self) -> list[Issued]:
        """All that was signed, oldest first.

        Raises:
            TrustError: the list is damaged.
        """
        return read_issued(self.folder)

    def issue(
        self, name: str, role: Role, now: datetime, days: int, site: str = "", hosts: str = ""
    ) -> tuple[bytes, bytes]:
        """A certificate with a key made here: (certificate, key), both PEM.

        `hosts`: addresses and names of a broker, with commas between.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, role, key.public_key(), now, days, site, hosts)
        return certificate, private_pem(key, serialization.NoEncryption())

    def sign(self, request_pem: bytes, now: datetime, days: int, site: str) -> tuple[str, bytes]:
        """A gateway's certificate from its own request, so that its key never leaves it.

        Only name and key are taken from the request; everything else in it is ignored.

        Raises:
            TrustError: it isn't a request, its signature is wrong, or its name isn't a gateway's.
        """
        try:
            request = x509.load_pem_x509_csr(request_pem)
        except ValueError as error:
            raise TrustError("not a certificate request. Make one: gampong edge csr") from error
        key = request.public_key()
        if not request.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            remedy = "Make it again: gampong edge csr"
            raise TrustError(f"the request isn't signed by its own EC key. {remedy}")
        name = common_name(request.subject)
        return name, self._sign(name, Role.GATEWAY, key, now, days, site)

    def revoke(self, name: str, now: datetime) -> list[Issued]:
        """Take back every certificate of that name that is still good; which they were.

        Raises:
            TrustError: the list is damaged.
        """
        now_ms = _ms(now)
        listed = self.issued()
        taken = [one for one in listed if one.name == name and one.is_good(now_ms)]
        if taken:
            gone = {one.serial for one in taken}
            self._keep(
                [
                    msgspec.structs.replace(one, revoked_ms=now_ms) if one.serial in gone else one
                    for one in listed
                ],
                now,
            )
        return taken

    def is_from_here(self, certificate: x509.Certificate) -> bool:
        """Whether this authority signed it."""
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def _sign(
        self,
        name: str,
        role: Role,
        key: ec.EllipticCurvePublicKey,
        now: datetime,
        days: int,
        site: str = "",
        hosts: str = "",
    ) -> bytes:
        if NAME.fullmatch(name) is None:
            remedy = "Use lower-case letters, digits, - and _, at most 64"
            raise TrustError(f"{name[:80]!r} isn't a name. {remedy}")
        listed = self.issued()
        if any(one.name == name and one.role != role for one in listed):
            raise TrustError(f"{name} has been given to another role. Take another name")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        purpose = (
            ExtendedKeyUsageOID.SERVER_AUTH
            if role is Role.BROKER
            else ExtendedKeyUsageOID.CLIENT_AUTH
        )
        builder = (
            _dated(subject, self._certificate.subject, key, now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if alternatives := subject_alternatives(hosts):
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        entry = Issued(
            name=name,
            role=role,
            serial=f"{certificate.serial_number:x}",
            from_ms=_ms(certificate.not_valid_before_utc),
            until_ms=_ms(certificate.not_valid_after_utc),
            site=site,
        )
        text = pem(certificate)
        write(self.folder / "certificates" / f"{name}-{entry.serial[:8]}.pem", text, 0o644)
        self._keep([*listed, entry], now)
        return text

    def _keep(self, listed: list[Issued], now: datetime) -> None:
        """The revocation list first: a revocation that was only listed would be believed."""
        write(self.folder / "crl.pem", self._revocations(listed, now), 0o644)
        write(self.folder / "issued.json", msgspec.json.encode(listed), 0o644)

    def _revocations(self, listed: list[Issued], now: datetime) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - BACKDATED)
            .next_update(now + timedelta(days=CRL_DAYS))
        )
        for one in listed:
            if one.revoked_ms:
                when = datetime.fromtimestamp(one.revoked_ms / 1000, UTC)
                revoked = x509.RevokedCertificateBuilder(int(one.serial, 16), when)
                builder = builder.add_revoked_certificate(revoked.build())
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def read_issued(folder: Path) -> list[Issued]:
    """What that authority has signed; needs no passphrase.

    Raises:
        TrustError: there is no list, or it is damaged.
    """
    path = folder / "issued.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Issued])
    except OSError as error:
        remedy = "Make an authority: gampong gateway authority"
        raise TrustError(f"{path}: {error.strerror}. {remedy}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrustError(f"{path}: {error}. Put its backup in its place") from error


def common_name(subject: x509.Name) -> str:
    """The one common name of a subject, or "" when there isn't just one."""
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(
    key: ec.EllipticCurvePrivateKey, locked: serialization.KeySerializationEncryption
) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


def write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, with that mode from its first byte on, synced.

    Raises:
        OSError: it can't be.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)


def _dated(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
