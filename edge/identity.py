"""Which certificate the gateway shows: the one it was enrolled with, or the one renewed since.

In: the configuration's `[broker.tls]`, and the folder `identity` beside the outbox. Out: the
broker's settings with the files to use on the next connection.

    /etc/gampong/gateway.pem, .key    enrolled; the agent may only read them
    identity/pending.key              a key whose request is on its way
    identity/candidate.pem            key and certificate, signed, not tried yet
    identity/renewed.pem              key and certificate that the broker let in

Key and certificate are one file, so that a power cut can't part them, and each step is one rename.
A renewed file names the enrolled certificate that it replaces (its SHA-256): a gateway that is
enrolled anew shows its new certificate, whatever was renewed before. A renewed certificate that the
broker refuses, or that is damaged, makes way for the enrolled one, and that for the renewed one
again: whichever is let in.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path

import msgspec

from edge.configuration import CloudBroker, EdgeConfiguration

PENDING, CANDIDATE, RENEWED = "pending.key", "candidate.pem", "renewed.pem"
REPLACES = "replaces: "
_HEAD_BYTES = 256

_log = logging.getLogger(__name__)


class Identity:
    """Chooses the files; `changed` is set when the next connection would show others."""

    def __init__(self, configuration: EdgeConfiguration) -> None:
        self._enrolled = configuration.broker
        self.folder = Path(configuration.outbox.path).parent / "identity"
        self.changed = asyncio.Event()
        self.alarms: tuple[str, ...] = ()
        self._refused = False

    def broker(self) -> CloudBroker:
        """Where to connect, and with what."""
        renewed = self.folder / RENEWED
        if self._refused or not replaces(renewed, self._enrolled):
            return self._enrolled
        return showing(self._enrolled, renewed)

    def refused(self) -> None:
        """The broker doesn't let us in with what we show, or it can't be read: the other one next,
        if there are two."""
        if not replaces(self.folder / RENEWED, self._enrolled):
            return
        self._refused = not self._refused
        shown = "enrolled" if self._refused else "renewed"
        _log.warning("event=certificate_refused next=%s", shown)

    def take_up(self) -> None:
        """The candidate was let in: it is the renewed one from now on.

        Raises:
            OSError: the folder can't be written.
        """
        (self.folder / PENDING).unlink(missing_ok=True)  # first: it must not be asked for again
        (self.folder / CANDIDATE).replace(self.folder / RENEWED)
        self._refused = False
        self.changed.set()

    def put_away(self) -> None:
        """The candidate wasn't let in: the next one is of another key.

        Raises:
            OSError: the folder can't be written.
        """
        (self.folder / PENDING).unlink(missing_ok=True)
        (self.folder / CANDIDATE).unlink(missing_ok=True)


def current_broker(configuration: EdgeConfiguration) -> CloudBroker:
    """What an agent with this configuration would begin with."""
    return Identity(configuration).broker()


def showing(broker: CloudBroker, file: Path) -> CloudBroker:
    """The same broker, with key and certificate from one file."""
    assert broker.tls is not None
    files = msgspec.structs.replace(broker.tls, certificate_file=str(file), key_file=str(file))
    return msgspec.structs.replace(broker, tls=files)


def replaces(file: Path, broker: CloudBroker) -> bool:
    """Whether that file was renewed in place of what the configuration names today."""
    if broker.tls is None:
        return False
    try:
        with file.open("rb") as renewed:
            head = renewed.read(_HEAD_BYTES)
        return head.startswith(f"{REPLACES}{fingerprint(broker.tls.certificate_file)}\n".encode())
    except OSError:
        return False


def fingerprint(certificate_file: str) -> str:
    """SHA-256 of the file.

    Raises:
        OSError: it can't be read.
    """
    return hashlib.sha256(Path(certificate_file).read_bytes()).hexdigest()
