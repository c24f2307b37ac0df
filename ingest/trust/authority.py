"""The city's certificate authority: a folder that signs for gateways and the cloud's processes.

In: names, roles, certificate requests (PKCS #10). Out: certificates (X.509 v3), a list of what was
signed, and a revocation list (CRL, RFC 5280, 5) that brokers read.

    ca.pem          the authority's certificate; behind it those above it, up to the root, where it
                    isn't its own root: the city's, the nation's
    ca.key          its key, encrypted with a passphrase, readable for its owner alone
    issued.json     everything that was ever signed: name, role, serial number, dates, revoked when
    crl.pem         what was taken back
    certificates/   NAME-SERIAL.pem, and the key beside it where it was made here

Promised: a file is replaced whole or not at all; a serial number is used once (128 random bits);
what is revoked stays revoked; one process writes at a time. Keys are EC P-256: small enough for a
QR code, and what TLS 1.3 libraries of every gateway know. An authority that another one gave its
certificate (`ca.key` and `ca.pem` put into the folder by hand) may have an RSA key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ingest.trust.access import Role
from ingest.trust.issued import Issued, TrustError, WithheldError, kept_at, read_issued, write
from ingest.trust.lock import writing
from ingest.trust.names import subject_alternatives
from ingest.trust.papers import (
    BACKDATED,
    UNREADABLE,
    AskingKey,
    SigningKey,
    common_name,
    dated,
    is_strong,
    ms,
    pem,
    private_pem,
    usage,
)
from wire.line import NAME

CA_DAYS = 20 * 365
CRL_DAYS = 3650
"""A list that has run out would shut every gateway out (OpenSSL refuses all under an expired CRL),
so it lasts; it is written anew with every revocation."""


class Authority:
    """An authority that was opened; `create` makes a new one, `open` reads one.

    Args:
        folder: where it lives.
        certificate, key: its own.
        chain: the authorities above it, the next one first.
    """

    def __init__(
        self,
        folder: Path,
        certificate: x509.Certificate,
        key: SigningKey,
        chain: Sequence[x509.Certificate] = (),
    ) -> None:
        self.folder, self._certificate, self._key = folder, certificate, key
        self._chain = tuple(chain)

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
            dated(name, name, key.public_key(), now, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(signs=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        authority = cls(folder, certificate, key)
        authority.lock(passphrase)
        write(folder / "ca.pem", pem(certificate), 0o644)
        authority._keep([], now)
        return authority

    @classmethod
    def open(cls, folder: Path, passphrase: bytes) -> Authority:
        """The authority in that folder.

        Raises:
            TrustError: there is none, or the passphrase doesn't open its key.
        """
        try:
            text = (folder / "ca.pem").read_bytes()
            certificate, *chain = x509.load_pem_x509_certificates(text)
            key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), passphrase)
        except OSError as error:
            remedy = "Make it: gampong gateway authority"
            raise TrustError(f"{error.filename}: {error.strerror}. {remedy}") from error
        except (ValueError, TypeError) as error:
            remedy = "Is the passphrase the one it was made with?"
            raise TrustError(f"{folder}: the key can't be opened. {remedy}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise TrustError(f"{folder}/ca.key is neither an EC nor an RSA key. Take another one")
        if key.public_key() != certificate.public_key():
            raise TrustError(f"{folder}: ca.key isn't the key of ca.pem. Put the right pair there")
        authority = cls(folder, certificate, key, chain)
        if not (folder / "issued.json").exists():  # given by another authority: nothing signed yet
            authority._keep([], datetime.now(UTC))
        return authority

    @property
    def ca_pem(self) -> bytes:
        """Its certificate and those above it: what whoever believes it has to know."""
        return b"".join(map(pem, (self._certificate, *self._chain)))

    @property
    def _ends(self) -> datetime:
        """Nothing it signs is good for longer than itself."""
        above = (self._certificate, *self._chain)
        return min(one.not_valid_after_utc for one in above)

    @property
    def between(self) -> tuple[x509.Certificate, ...]:
        """What whoever only knows the root has to be shown with a certificate of this authority."""
        above = (self._certificate, *self._chain)
        return tuple(one for one in above if one.issuer != one.subject)

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

    def sign(
        self,
        request_pem: bytes,
        now: datetime,
        days: int,
        site: str,
        may: Callable[[list[Issued]], bool] = lambda _: True,
    ) -> tuple[str, bytes]:
        """A gateway's certificate from its own request, so that its key never leaves it.

        Only name and key are taken from the request; everything else in it is ignored. `may` is
        asked last, with the list as it is while nobody else can write it.

        Raises:
            WithheldError: `may` said no.
            TrustError: it isn't a request, its signature is wrong, or its name isn't a gateway's.
        """
        try:
            request = x509.load_pem_x509_csr(request_pem)
            key, name = request.public_key(), common_name(request.subject)
            is_signed = request.is_signature_valid
        except UNREADABLE as error:
            raise TrustError("not a certificate request. Make one: gampong edge csr") from error
        if not is_signed or not is_strong(key):
            remedy = "Make it again: gampong edge csr"
            raise TrustError(f"the request isn't signed by its own EC or RSA key. {remedy}")
        return name, self._sign(name, Role.GATEWAY, key, now, days, site, may=may)

    def revoke(self, name: str, now: datetime, but_newest: bool = False) -> list[Issued]:
        """Take back every certificate of that name that is still good, or all but the newest of
        them; which they were.

        Raises:
            TrustError: the list is damaged.
        """
        with writing(self.folder):
            return self._revoke(name, now, but_newest)

    def _revoke(self, name: str, now: datetime, but_newest: bool) -> list[Issued]:
        now_ms = ms(now)
        listed = self.issued()
        taken = [one for one in listed if one.name == name and one.is_good(now_ms)]
        if but_newest:
            del taken[-1:]
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

    def lock(self, passphrase: bytes) -> None:
        """Another passphrase for the key.

        Raises:
            TrustError: it is too short.
            OSError: the file can't be written.
        """
        if len(passphrase) < 8:
            raise TrustError("the passphrase is shorter than 8 bytes. Take a longer one")
        locked = serialization.BestAvailableEncryption(passphrase)
        write(self.folder / "ca.key", private_pem(self._key, locked), 0o600)

    def _sign(
        self,
        name: str,
        role: Role,
        key: AskingKey,
        now: datetime,
        days: int,
        site: str = "",
        hosts: str = "",
        may: Callable[[list[Issued]], bool] = lambda _: True,
    ) -> bytes:
        with writing(self.folder):
            return self._sign_alone(name, role, key, now, days, site, hosts, may)

    def _sign_alone(
        self,
        name: str,
        role: Role,
        key: AskingKey,
        now: datetime,
        days: int,
        site: str,
        hosts: str,
        may: Callable[[list[Issued]], bool],
    ) -> bytes:
        if NAME.fullmatch(name) is None:
            remedy = "Use lower-case letters, digits, - and _, at most 64"
            raise TrustError(f"{name[:80]!r} isn't a name. {remedy}")
        listed = self.issued()
        if any(one.name == name and one.role != role for one in listed):
            raise TrustError(f"{name} has been given to another role. Take another name")
        if not may(listed):
            raise WithheldError(f"{name} gets no certificate any more. Was it revoked just now?")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        purpose = (
            ExtendedKeyUsageOID.SERVER_AUTH
            if role is Role.BROKER
            else ExtendedKeyUsageOID.CLIENT_AUTH
        )
        builder = (
            dated(subject, self._certificate.subject, key, now, days, self._ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(signs=False), critical=True)
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
            from_ms=ms(certificate.not_valid_before_utc),
            until_ms=ms(certificate.not_valid_after_utc),
            site=site,
        )
        text = pem(certificate)
        write(kept_at(self.folder, entry), text, 0o644)
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
            if one.revoked_ms and not one.issuer:
                when = datetime.fromtimestamp(one.revoked_ms / 1000, UTC)
                revoked = x509.RevokedCertificateBuilder(int(one.serial, 16), when)
                builder = builder.add_revoked_certificate(revoked.build())
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)
