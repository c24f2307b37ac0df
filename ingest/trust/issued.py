"""What an authority has signed, or knows of others: its list, and how its files are written.

Nothing here needs the authority's key.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ingest.trust.access import Role
from ingest.whole_file import write_whole
from wire.malformed import MALFORMED


class TrustError(Exception):
    """Something that can't be signed, opened or read; the text names it and the remedy."""


class WithheldError(TrustError):
    """Not signed: what the list says by now is against it."""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate. Times are UTC milliseconds; `revoked_ms` is 0 while it is good. `issuer` is
    the name of the authority that signed it, "" for this one."""

    name: str
    role: Role
    serial: str
    from_ms: int
    until_ms: int
    site: str = ""
    revoked_ms: int = 0
    issuer: str = ""

    def is_good(self, now_ms: int) -> bool:
        return not self.revoked_ms and now_ms < self.until_ms


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
    except MALFORMED as error:
        raise TrustError(f"{path}: {error}. Put its backup in its place") from error


def kept_at(folder: Path, one: Issued) -> Path:
    """Where a certificate's text is kept."""
    return folder / "certificates" / f"{one.name}-{one.serial[:8]}.pem"


def write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, with that mode from its first byte on, synced.

    Raises:
        OSError: it can't be.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, data, mode)
