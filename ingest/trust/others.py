"""Certificates that another authority signed: the nation's, or the city's own.

In: certificates (PEM), and those of the authorities that the city believes (`others_file`, PEM:
roots and whatever stands between). Out: an entry in the authority's list, so that its name has
access like any other. RSA or EC, chains of any length up to `CHAIN_MAX`.

The broker judges every connection by itself (OpenSSL); here it is judged once before, so that a
mistake is told to the operator and not to a gateway at night.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ingest.trust.access import Role
from ingest.trust.issued import Issued, TrustError, kept_at, read_issued, write
from ingest.trust.lock import writing
from ingest.trust.papers import UNREADABLE, common_name, has_strong_key, pem
from wire.certificates import CHAIN_MAX

_Chain = list[x509.Certificate]


def read_others(file: str) -> _Chain:
    """Those authorities' certificates, none without a file.

    Raises:
        TrustError: it can't be read, or holds none.
    """
    if not file:
        return []
    try:
        return x509.load_pem_x509_certificates(Path(file).read_bytes())
    except OSError as error:
        remedy = "Name the PEM file of the other authorities"
        raise TrustError(f"{file}: {error.strerror}. {remedy}") from error
    except ValueError as error:
        remedy = "Put certificates in PEM there"
        raise TrustError(f"{file}: no certificate in it. {remedy}") from error


def register(
    folder: Path,
    text: bytes,
    name: str,
    site: str,
    others: Sequence[x509.Certificate],
    now: datetime,
) -> Issued:
    """Take a certificate of another authority into our list; repeated, nothing changes.

    Args:
        folder: our authority's.
        text: PEM, the gateway's own first; certificates between it and a root may follow.

    Raises:
        TrustError: it isn't good for that gateway; the text says in what.
    """
    try:
        leaf, *given = x509.load_pem_x509_certificates(text)
    except UNREADABLE as error:
        raise TrustError("no certificate in PEM. Take the file the authority sent") from error
    if (said := common_name(leaf.subject)) != name:
        remedy = f"Ask the authority for one whose common name is {name}"
        raise TrustError(f"the certificate is {said[:80]!r}'s, not {name}'s. {remedy}")
    chain = chain_of(leaf, [*given, *others], others, now)
    _check_purpose(leaf)
    with writing(folder):
        listed = read_issued(folder)
        if any(one.name == name and one.role is not Role.GATEWAY for one in listed):
            raise TrustError(f"{name} has been given to another role. Take another name")
        serial, issuer = f"{leaf.serial_number:x}", leaf.issuer.rfc4514_string()
        for one in listed:
            if one.serial == serial and one.issuer == issuer:
                if one.revoked_ms:
                    raise TrustError("that certificate was revoked here. Ask for a new one")
                return one
        entry = Issued(
            name=name,
            role=Role.GATEWAY,
            serial=serial,
            from_ms=int(leaf.not_valid_before_utc.timestamp() * 1000),
            until_ms=int(leaf.not_valid_after_utc.timestamp() * 1000),
            site=site,
            issuer=issuer,
        )
        shown = [one for one in chain if one.issuer != one.subject]
        write(kept_at(folder, entry), b"".join(map(pem, shown)), 0o644)
        write(folder / "issued.json", msgspec.json.encode([*listed, entry]), 0o644)
    return entry


def note_revoked(folder: Path, taken: Sequence[Issued], now: datetime) -> None:
    """That other authorities took these back.

    Raises:
        TrustError, OSError: the list can't be read or written.
    """
    if not taken:
        return
    gone = {(one.issuer, one.serial) for one in taken}
    now_ms = int(now.timestamp() * 1000)
    with writing(folder):
        listed = [
            msgspec.structs.replace(one, revoked_ms=now_ms)
            if (one.issuer, one.serial) in gone and not one.revoked_ms
            else one
            for one in read_issued(folder)
        ]
        write(folder / "issued.json", msgspec.json.encode(listed), 0o644)


def chain_of(
    leaf: x509.Certificate,
    known: Sequence[x509.Certificate],
    believed: Sequence[x509.Certificate],
    now: datetime,
) -> _Chain:
    """The certificate and those above it, up to a root that is believed.

    Raises:
        TrustError: there is no such chain, or one of it isn't good now.
    """
    chain = [leaf]
    while True:
        last = chain[-1]
        if not last.not_valid_before_utc <= now <= last.not_valid_after_utc:
            dates = f"{last.not_valid_before_utc:%Y-%m-%d} to {last.not_valid_after_utc:%Y-%m-%d}"
            raise TrustError(f"{last.subject.rfc4514_string()} is good from {dates}, not today")
        if not has_strong_key(last):
            raise TrustError(f"{last.subject.rfc4514_string()}: neither EC nor RSA of 2,048 bits")
        if len(chain) > 1 and last in believed and last.issuer == last.subject:
            return chain
        above = next((one for one in known if one != last and signed(last, one)), None)
        if above is None or len(chain) >= CHAIN_MAX:
            remedy = "Put the certificates of that authority into authority.others_file"
            raise TrustError(f"{last.issuer.rfc4514_string()} isn't known here. {remedy}")
        chain.append(above)


def signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether that authority, being one, signed it."""
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
        certificate.verify_directly_issued_by(authority)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return False
    return constraints.value.ca


def _check_purpose(leaf: x509.Certificate) -> None:
    """Where a certificate says what it is for, it has to say so of us (RFC 5280, 4.2.1.12)."""
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        remedy = "Ask the authority for TLS client authentication"
        raise TrustError(f"the certificate isn't for clients. {remedy}")
