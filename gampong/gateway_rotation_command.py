"""`gampong gateway rotate|passphrase|access`: secrets and rights are replaced while all runs.

In: `authority.toml`. Out: files, a word to the broker, an exit code (`authority_files.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from gampong.authority_files import guarded, load, opened, reload, secret_in, serve_lists, tell

Word = Callable[[str, str], argparse.ArgumentParser]


def configure(word: Word) -> None:
    """Add the words."""
    from gampong.gateway_command import CLOUD

    rotate = word("rotate", "a new key and certificate for a process of the cloud side")
    rotate.add_argument("name", metavar="NAME", choices=(*CLOUD, "broker"), help=", ".join(CLOUD))
    rotate.set_defaults(run=run_rotate)

    secret = word("passphrase", "another passphrase for the authority's key")
    secret.add_argument("new", type=Path, metavar="NEW_FILE", help="holds the new one; mode 600")
    secret.set_defaults(run=run_passphrase)

    access = word("access", "tell the running broker everybody's rights of this version")
    access.set_defaults(run=run_access)


def run_rotate(args: argparse.Namespace) -> int:
    """The old one stays good until `revoke NAME --but-newest`."""

    def rotate() -> int:
        from gampong.gateway_command import issue_for
        from ingest.trust.issued import write

        configuration = load(args.file)
        authority = opened(configuration)
        issue_for(configuration, authority, args.name)
        folder, served = authority.folder, Path(configuration.broker.folder)
        if args.name == "broker":
            write(served / "broker.key", (folder / "broker.key").read_bytes(), 0o600)
            write(served / "broker.pem", (folder / "broker.pem").read_bytes(), 0o644)
            serve_lists(configuration)
            return reload(configuration)
        print(f"{folder}/{args.name}.pem and .key: put both where the {args.name} reads them;")
        print("it shows them on its next connection. Then:")
        print(f"gampong gateway revoke {args.file} {args.name} --but-newest")
        return 0

    return guarded(rotate)


def run_passphrase(args: argparse.Namespace) -> int:
    """Lock the key anew, then make NEW_FILE the passphrase's file. Cut off in between, the same
    command finishes it."""

    def change() -> int:
        from ingest.trust.authority import Authority
        from ingest.trust.issued import TrustError, write

        configuration = load(args.file)
        folder = Path(configuration.authority.folder)
        new = secret_in(args.new, "NEW")
        try:
            Authority.open(folder, new)
        except TrustError:
            opened(configuration).lock(new)
        write(Path(configuration.authority.passphrase_file), new, 0o600)
        args.new.unlink()
        print(f"{folder}/ca.key: locked with the new passphrase; a service that runs goes on")
        return 0

    return guarded(change)


def run_access(args: argparse.Namespace) -> int:
    """After an upgrade: topics that are new, for everybody who is there."""

    def tell_all() -> int:
        from ingest.trust.access import Role, commands_to_add
        from ingest.trust.issued import read_issued

        configuration = load(args.file)
        listed = read_issued(Path(configuration.authority.folder))
        clients = {one.name: one.role for one in listed if not one.revoked_ms}
        commands = [
            command
            for name, role in clients.items()
            if role not in (Role.BROKER, Role.ADMIN)  # it would end the connection that tells
            for command in commands_to_add(name, role)
        ]
        return tell(configuration, commands)

    return guarded(tell_all)
