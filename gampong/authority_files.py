"""What the words of `gampong gateway` share: its files, the passphrase, and a word to the broker.

In: `authority.toml`. Out: the authority opened, commands carried out at the broker, an exit code:
0, 1 when the broker couldn't be told (the command may be given again), 2 for something that has to
be changed first.
"""

from __future__ import annotations

import asyncio
import getpass
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wire.configuration import Broker, ConfigurationError, Tls
from wire.small_file import read_secret

if TYPE_CHECKING:
    from ingest.trust.authority import Authority
    from ingest.trust.settings import TrustConfiguration

UNUSABLE = 2
NOT_TOLD = 1
RELOAD_S = 30
COMMANDS_MAX = 300
"""In one message to the broker, which takes 128 KiB."""


def load(file: Path) -> TrustConfiguration:
    """The checked `authority.toml`.

    Raises:
        ConfigurationError: names file, key and remedy.
    """
    from ingest.trust.settings import load_configuration

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), "", str(error), "Name an authority.toml") from error
    return load_configuration(text, str(file))


def opened(configuration: TrustConfiguration) -> Authority:
    """The authority, with its key.

    Raises:
        TrustError, ConfigurationError: it isn't there, or the passphrase can't be had.
    """
    from ingest.trust.authority import Authority

    return Authority.open(Path(configuration.authority.folder), passphrase(configuration))


def passphrase(configuration: TrustConfiguration, new: bool = False) -> bytes:
    """From its file, which nobody else may reach; else asked for at a terminal.

    Raises:
        ConfigurationError: it can't be had.
    """
    path = Path(configuration.authority.passphrase_file)
    if path.exists():
        return secret_in(path, "authority.passphrase_file")
    if not sys.stdin.isatty():
        remedy = "Write the passphrase there (mode 600), or run this at a terminal"
        raise ConfigurationError(str(path), "", "not there", remedy)
    secret = getpass.getpass("the authority's passphrase: ").encode()
    if new and getpass.getpass("again: ").encode() != secret:
        raise ConfigurationError("passphrase", "", "not the same twice", "Try again")
    return secret


def secret_in(path: Path, key: str) -> bytes:
    """What stands in a secret's file; `key` is where it was named.

    Raises:
        ConfigurationError: it is open to others, or can't be read.
    """
    try:
        return read_secret(str(path), key).strip()
    except OSError as error:
        raise ConfigurationError(str(path), "", str(error.strerror), "Name the file") from error


def broker_as(configuration: TrustConfiguration, role: str) -> Broker:
    """The broker, reached with that role's certificate from the authority's folder."""
    folder, broker = configuration.authority.folder, configuration.broker
    files = Tls(
        ca_file=f"{folder}/ca.pem",
        certificate_file=f"{folder}/{role}.pem",
        key_file=f"{folder}/{role}.key",
    )
    return Broker(host=broker.host, port=broker.port, tls=files)


def tell(configuration: TrustConfiguration, commands: list[dict[str, Any]]) -> int:
    """Have the broker carry them out."""
    from ingest.broker import open_door
    from ingest.trust.control import tell as tell_broker
    from ingest.trust.issued import TrustError

    broker = broker_as(configuration, "admin")
    door = open_door(broker, "authority.toml")
    try:
        for first in range(0, len(commands), COMMANDS_MAX):
            some = commands[first : first + COMMANDS_MAX]
            asyncio.run(tell_broker(door, "gampong-admin", some))
    except TrustError as error:
        print(f"the broker wasn't told: {error} Then give this command again", file=sys.stderr)
        return NOT_TOLD
    print(f"{broker.host}:{broker.port}: told")
    return 0


def serve_lists(configuration: TrustConfiguration) -> None:
    """Certificates and revocation lists to where the broker reads them.

    Raises:
        OSError, TrustError: they can't be read or written.
    """
    from ingest.trust.issued import write
    from ingest.trust.others import read_others
    from ingest.trust.papers import pem
    from ingest.trust.revocations import joined

    folder, served = Path(configuration.authority.folder), Path(configuration.broker.folder)
    others = read_others(configuration.authority.others_file)
    authorities = b"".join(((folder / "ca.pem").read_bytes(), *map(pem, others)))
    write(served / "ca.pem", authorities, 0o644)
    write(served / "crl.pem", joined(folder), 0o644)


def reload(configuration: TrustConfiguration) -> int:
    """Have the broker read certificates and revocation lists again."""
    words = configuration.broker.reload
    if not words:
        print("reload the broker (SIGHUP), so that it reads crl.pem again")
        return 0
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=RELOAD_S, check=False)
        problem = done.stderr.strip() if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem:
        print(f"{' '.join(words)}: {problem}. Reload the broker by hand (SIGHUP)", file=sys.stderr)
        return NOT_TOLD
    return 0


def now() -> datetime:
    return datetime.now(UTC)


def guarded(work: Callable[[], int]) -> int:
    """Its exit code, or 2 with the reason on stderr."""
    from ingest.trust.issued import TrustError

    try:
        return work()
    except (ConfigurationError, TrustError, OSError) as error:
        print(f"gampong gateway: {error}", file=sys.stderr)
        return UNUSABLE
