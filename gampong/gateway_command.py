"""`gampong gateway authority|add|sign|revoke|list`: who may be a gateway of this city.

Runs where the authority's folder is, best not on the broker's machine. In: `authority.toml`. Out:
files, results on stdout, an exit code: 0, 1 when the broker couldn't be told (the command may be
given again), 2 for something that has to be changed first.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from wire.configuration import ConfigurationError

if TYPE_CHECKING:
    from ingest.trust.authority import Authority
    from ingest.trust.settings import TrustConfiguration

UNUSABLE = 2
NOT_TOLD = 1
CLOUD = ("ingestor", "watch", "viewer", "admin")
RELOAD_S = 30
_DAY_MS = 24 * 3600 * 1000


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command with its words."""
    gateway = subparsers.add_parser("gateway", help="who may be a gateway: certificates, access")
    words = gateway.add_subparsers(dest="gateway_command", required=True, metavar="WORD")

    def word(name: str, text: str) -> argparse.ArgumentParser:
        parser = words.add_parser(name, help=text, description=text)
        parser.add_argument("file", type=Path, metavar="FILE", help="authority.toml")
        return parser

    authority = word("authority", "make the city's authority and what its broker needs")
    authority.set_defaults(run=run_authority)

    add = word("add", "a certificate with its key, the broker's access, and a bundle")
    add.add_argument("name", metavar="NAME", help="the gateway's")
    add.add_argument("--site", required=True, help="where it stands")
    _add_outputs(add)
    add.set_defaults(run=run_add)

    sign = word("sign", "the same for a request: the key stays on the gateway")
    sign.add_argument("request", type=Path, metavar="REQUEST", help="of gampong edge csr")
    sign.add_argument("--site", required=True, help="where it stands")
    _add_outputs(sign)
    sign.set_defaults(run=run_sign)

    revoke = word("revoke", "cut a gateway off, now and for good")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=run_revoke)

    listed = word("list", "every certificate: whose, until when")
    listed.set_defaults(run=run_list)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, help="write it here (default: NAME.bundle)")
    parser.add_argument("--qr", type=Path, metavar="FILE.svg", help="and as a QR code")
    parser.add_argument(
        "--offline", action="store_true", help="don't tell the broker: its access comes later"
    )


def run_authority(args: argparse.Namespace) -> int:
    """Make what isn't there yet; nothing that is there is changed."""
    return _guarded(lambda: _authority(_load(args.file)))


def run_add(args: argparse.Namespace) -> int:
    """A gateway with a key made here."""

    def add() -> int:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        from ingest.trust.access import Role

        configuration = _load(args.file)
        authority = _open(configuration)
        days = configuration.authority.gateway_days
        certificate, key = authority.issue(args.name, Role.GATEWAY, _now(), days, args.site)
        private = serialization.load_pem_private_key(key, None).private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
        return _hand_out(args, configuration, authority, args.name, der, private)

    return _guarded(add)


def run_sign(args: argparse.Namespace) -> int:
    """A gateway whose key stays with it."""

    def sign() -> int:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        configuration = _load(args.file)
        authority = _open(configuration)
        days = configuration.authority.gateway_days
        name, certificate = authority.sign(args.request.read_bytes(), _now(), days, args.site)
        der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
        return _hand_out(args, configuration, authority, name, der, b"")

    return _guarded(sign)


def run_revoke(args: argparse.Namespace) -> int:
    """The broker hears it first: its rights end at once; the list keeps it out for good."""

    def revoke() -> int:
        from ingest.trust.access import Role, commands_to_cut
        from ingest.trust.authority import read_issued, write

        configuration = _load(args.file)
        folder = Path(configuration.authority.folder)
        roles = {one.role for one in read_issued(folder) if one.name == args.name}
        if roles != {Role.GATEWAY}:
            print(f"{args.name} isn't a gateway of this authority", file=sys.stderr)
            return UNUSABLE
        taken = _open(configuration).revoke(args.name, _now())
        revocations = (folder / "crl.pem").read_bytes()
        write(Path(configuration.broker.folder) / "crl.pem", revocations, 0o644)
        print(f"{args.name}: {len(taken)} certificates revoked")
        told = _tell(configuration, commands_to_cut(args.name, Role.GATEWAY))
        return told or _reload(configuration)

    return _guarded(revoke)


def run_list(args: argparse.Namespace) -> int:
    """One line a certificate."""

    def show() -> int:
        from ingest.trust.authority import read_issued

        now_ms = int(_now().timestamp() * 1000)
        for one in read_issued(Path(_load(args.file).authority.folder)):
            left = (one.until_ms - now_ms) // _DAY_MS
            state = "revoked" if one.revoked_ms else f"{left} days left" if left >= 0 else "expired"
            age = (now_ms - one.from_ms) // _DAY_MS
            site = f", {one.site}" if one.site else ""
            print(f"{one.name} ({one.role}{site}): {age} days old, {state}, {one.serial[:8]}")
        return 0

    return _guarded(show)


def _authority(configuration: TrustConfiguration) -> int:
    from ingest.trust.access import Role, first_state, mosquitto_conf
    from ingest.trust.authority import Authority, write

    settings, broker = configuration.authority, configuration.broker
    folder, served = Path(settings.folder), Path(broker.folder)
    if (folder / "ca.key").exists():
        authority = Authority.open(folder, _passphrase(configuration))
        print(f"{folder}: the authority is there")
    else:
        secret = _passphrase(configuration, new=True)
        authority = Authority.create(folder, settings.city, secret, _now())
        print(
            f"{folder}: a new authority. Keep ca.key and its passphrase apart, and a copy of both"
        )
    for name, role in [*((name, Role(name)) for name in CLOUD), ("broker", Role.BROKER)]:
        if not (folder / f"{name}.key").exists():
            hosts = f"{broker.host}, {broker.hosts}" if role is Role.BROKER else ""
            certificate, key = authority.issue(name, role, _now(), settings.cloud_days, hosts=hosts)
            write(folder / f"{name}.pem", certificate, 0o644)
            write(folder / f"{name}.key", key, 0o600)
            print(f"{folder}/{name}.pem and .key: for the {name}")
    for name, mode in (("ca.pem", 0o644), ("crl.pem", 0o644), ("broker.pem", 0o644)):
        write(served / name, (folder / name).read_bytes(), mode)
    write(served / "broker.key", (folder / "broker.key").read_bytes(), 0o600)
    if not (served / "dynamic-security.json").exists():
        gateways = {one.name: one.role for one in authority.issued() if not one.revoked_ms}
        gateways.pop("broker", None)
        write(served / "dynamic-security.json", first_state(gateways), 0o600)
    text = mosquitto_conf(str(served), broker.plugin, broker.port)
    write(served / "mosquitto.conf", text.encode(), 0o644)
    print(f"{served}: for the broker; its user must own these files (chown -R mosquitto {served})")
    return 0


def _hand_out(
    args: argparse.Namespace,
    configuration: TrustConfiguration,
    authority: Authority,
    name: str,
    certificate: bytes,
    key: bytes,
) -> int:
    """The bundle, its QR code, and the broker's access."""
    import ssl

    from ingest.trust.access import Role, commands_to_add
    from ingest.trust.authority import write
    from wire.bundle import Bundle, encode_bundle

    broker = configuration.broker
    issuer = ssl.PEM_cert_to_DER_cert(authority.ca_pem.decode())
    bundle = Bundle(name, args.site, broker.host, broker.port, (issuer,), (certificate,), key)
    text = encode_bundle(bundle)
    path = args.bundle or Path(f"{name}.bundle")
    write(path, f"{text}\n".encode(), 0o600)
    print(f"{path}: on the gateway, gampong edge enrol {path.name}")
    if key:
        print("it holds a private key: whoever has it is that gateway. Delete it when enrolled")
    if args.qr:
        import segno

        drawing = segno.make(text, error="l", micro=False).svg_inline(scale=4, border=4)
        write(args.qr, drawing.encode(), 0o600)
        print(f"{args.qr}: the same as a QR code")
    if args.offline:
        return 0
    return _tell(configuration, commands_to_add(name, Role.GATEWAY))


def _tell(configuration: TrustConfiguration, commands: list[dict[str, object]]) -> int:
    from ingest.broker import open_door
    from ingest.trust.authority import TrustError
    from ingest.trust.control import tell
    from wire.configuration import Broker, Tls

    folder, broker = configuration.authority.folder, configuration.broker
    files = Tls(
        ca_file=f"{folder}/ca.pem",
        certificate_file=f"{folder}/admin.pem",
        key_file=f"{folder}/admin.key",
    )
    door = open_door(Broker(host=broker.host, port=broker.port, tls=files), "authority.toml")
    try:
        asyncio.run(tell(door, "gampong-admin", commands))
    except TrustError as error:
        print(f"the broker wasn't told: {error} Then give this command again", file=sys.stderr)
        return NOT_TOLD
    print(f"{broker.host}:{broker.port}: told")
    return 0


def _reload(configuration: TrustConfiguration) -> int:
    """Have the broker read the revocation list again."""
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


def _load(file: Path) -> TrustConfiguration:
    from ingest.trust.settings import load_configuration

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), "", str(error), "Name an authority.toml") from error
    return load_configuration(text, str(file))


def _open(configuration: TrustConfiguration) -> Authority:
    from ingest.trust.authority import Authority

    return Authority.open(Path(configuration.authority.folder), _passphrase(configuration))


def _passphrase(configuration: TrustConfiguration, new: bool = False) -> bytes:
    """From its file, which only its owner may read; else asked for at a terminal."""
    path = Path(configuration.authority.passphrase_file)
    if path.exists():
        if path.stat().st_mode & 0o077:
            remedy = f"Run: chmod 600 {path}"
            raise ConfigurationError(str(path), "", "others may read it", remedy)
        return path.read_bytes().strip()
    if not sys.stdin.isatty():
        remedy = "Write the passphrase there (mode 600), or run this at a terminal"
        raise ConfigurationError(str(path), "", "not there", remedy)
    secret = getpass.getpass("the authority's passphrase: ").encode()
    if new and getpass.getpass("again: ").encode() != secret:
        raise ConfigurationError("passphrase", "", "not the same twice", "Try again")
    return secret


def _now() -> datetime:
    return datetime.now(UTC)


def _guarded(work: object) -> int:
    from ingest.trust.authority import TrustError

    assert callable(work)
    try:
        code: int = work()
    except (ConfigurationError, TrustError, OSError) as error:
        print(f"gampong gateway: {error}", file=sys.stderr)
        return UNUSABLE
    return code
