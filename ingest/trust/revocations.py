"""Other authorities' revocation lists (CRL, RFC 5280, 5): taken in, and put into the one that the
broker reads.

In: files or addresses (`others_crls`). Out: `crls/` in the authority's folder, one file a list, and
the broker's `crl.pem`: ours, then theirs. A list counts only when one of the believed authorities
signed it, and never replaces a newer one. OpenSSL refuses every certificate whose authority's list
is missing or over; so a list that can't be had stays as it was, and that is said before it is over.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ingest.trust.issued import Issued, TrustError, write
from ingest.trust.papers import UNREADABLE

FETCH_S = 120.0
"""For the whole of it: 64 MB take that long at 4 Mbit/s."""

LIST_BYTES_MAX = 64 * 1024 * 1024
WARN = timedelta(days=1)

_List = x509.CertificateRevocationList


class Refreshed(NamedTuple):
    """`changed` lists are new; `problems` are sentences for the operator; `revoked` are
    certificates of ours that another authority has taken back."""

    changed: int
    problems: list[str]
    revoked: list[Issued]


def refresh(
    folder: Path,
    sources: Sequence[str],
    believed: Sequence[x509.Certificate],
    listed: Sequence[Issued],
    now: datetime,
) -> Refreshed:
    """Look at every source once."""
    changed, problems = 0, []
    for source in sources:
        try:
            changed += _take(folder, source, believed)
        except TrustError as error:
            problems.append(f"{source}: {error}")
    problems += [
        f"{path}: damaged. Its source's next list takes its place"
        for path in _paths(folder)
        if _read(path) is None
    ]
    for path, kept in _kept(folder):
        if (until := kept.next_update_utc) is not None and until < now + WARN:
            over = "is over" if until < now else "ends soon"
            problems.append(
                f"{path}: the list of {kept.issuer.rfc4514_string()} {over} ({until:%Y-%m-%d %H:%M}"
                " UTC); the broker refuses all of that authority's certificates then"
            )
    missing = {one.subject for one in believed} - {kept.issuer for _, kept in _kept(folder)}
    problems += [
        f"no list of {name.rfc4514_string()}: the broker refuses what that authority signed"
        for name in sorted(missing, key=lambda name: name.rfc4514_string())
        if any(one.issuer == name.rfc4514_string() for one in listed)
    ]
    gone = {
        (kept.issuer.rfc4514_string(), f"{one.serial_number:x}")
        for _, kept in _kept(folder)
        for one in kept
    }
    taken_back = [one for one in listed if not one.revoked_ms and (one.issuer, one.serial) in gone]
    return Refreshed(changed, problems, taken_back)


def joined(folder: Path) -> bytes:
    """What the broker reads: our list and all others, PEM."""
    own = (folder / "crl.pem").read_bytes()
    others = (kept.public_bytes(serialization.Encoding.PEM) for _, kept in _kept(folder))
    return b"".join((own, *others))


def _take(folder: Path, source: str, believed: Sequence[x509.Certificate]) -> int:
    """How many lists of that source are new.

    Raises:
        TrustError: it can't be had, or isn't signed by somebody the city believes.
    """
    changed = 0
    for found in _parsed(_fetched(source)):
        if not any(_is_of(found, authority) for authority in believed):
            remedy = "Is its authority in authority.others_file?"
            raise TrustError(f"not signed by {found.issuer.rfc4514_string()}. {remedy}")
        digest = hashlib.sha256(found.issuer.public_bytes()).hexdigest()[:16]
        path = folder / "crls" / f"{digest}.pem"
        before = _read(path) if path.exists() else None
        if before is not None and found.last_update_utc <= before.last_update_utc:
            continue
        write(path, found.public_bytes(serialization.Encoding.PEM), 0o644)
        changed += 1
    return changed


def _is_of(found: _List, authority: x509.Certificate) -> bool:
    try:
        key = authority.public_key()
        return found.issuer == authority.subject and found.is_signature_valid(key)  # type: ignore[arg-type]
    except UNREADABLE:
        return False


def _kept(folder: Path) -> list[tuple[Path, _List]]:
    """Every list that is there and whole."""
    return [(path, kept) for path in _paths(folder) if (kept := _read(path)) is not None]


def _paths(folder: Path) -> list[Path]:
    return sorted((folder / "crls").glob("*.pem"))


def _read(path: Path) -> _List | None:
    """A list as it is kept; None for a damaged one."""
    try:
        return x509.load_pem_x509_crl(path.read_bytes())
    except UNREADABLE:
        return None


def _parsed(data: bytes) -> list[_List]:
    """
    Raises:
        TrustError: no list, PEM (one or several) or DER.
    """
    mark = b"-----END X509 CRL-----"
    try:
        if mark not in data:
            return [x509.load_der_x509_crl(data)]
        return [x509.load_pem_x509_crl(part + mark) for part in data.split(mark)[:-1]]
    except UNREADABLE as error:
        raise TrustError("not a revocation list, PEM or DER") from error


def _fetched(source: str) -> bytes:
    """
    Raises:
        TrustError: it can't be had in time, or is too large.
    """
    try:
        if source.startswith(("http://", "https://")):  # a list is signed: http does
            data = asyncio.run(_downloaded(source))
        else:
            with Path(source).open("rb") as file:
                data = file.read(LIST_BYTES_MAX + 1)
    except TimeoutError as error:
        raise TrustError(f"not whole within {FETCH_S:g} s") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise TrustError(str(error).strip() or type(error).__name__) from error
    if len(data) > LIST_BYTES_MAX:
        raise TrustError(f"larger than {LIST_BYTES_MAX} bytes")
    return data


async def _downloaded(address: str) -> bytes:
    """The whole answer within `FETCH_S`, however slowly it drips; at most one byte too many."""
    data = bytearray()
    limit = aiohttp.ClientTimeout(total=FETCH_S)
    async with (
        aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(address) as response,
    ):
        if not response.ok:
            raise TrustError(response.reason or f"HTTP status {response.status}")
        async for piece in response.content.iter_any():
            data += piece
            if len(data) > LIST_BYTES_MAX:
                break
    return bytes(data[: LIST_BYTES_MAX + 1])
