"""`gampong gateway authority|add|sign|revoke|…`: who may be a gateway of this city.

Runs where the authority's folder is, best not on the broker's machine. In: `authority.toml`. Out:
files, results on stdout, an exit code (`authority_files.py`). The other words are in
`gateway_list_command.py`, `gateway_rotation_command.py`, `gateway_service_command.py`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.authority_files import (
    UNUSABLE,
    guarded,
    load,
    now,
    opened,
    passphrase,
    reload,
    serve_lists,
    tell,
)

if TYPE_CHECKING:
    from cryptography import x509

    from ingest.trust.authority import Authority
    from ingest.trust.settings import TrustConfiguration

CLOUD = ("ingestor", "watch", "viewer", "signer", "admin")


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command with its words."""
    from gampong import gateway_config_command as config_command
    from gampong import gateway_list_command, gateway_rotation_command, gateway_service_command
    from gampong import gateway_retire_command as retire_command

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
    add.add_argument(
        "--certificate", type=Path, metavar="PEM", help="signed by another authority: only access"
    )
    _add_outputs(add)
    add.set_defaults(run=run_add)

    sign = word("sign", "the same for a request: the key stays on the gateway")
    sign.add_argument("request", type=Path, metavar="REQUEST", help="of gampong edge csr")
    sign.add_argument("--site", required=True, help="where it stands")
    _add_outputs(sign)
    sign.set_defaults(run=run_sign)

    revoke = word("revoke", "cut a gateway off, now and for good")
    revoke.add_argument("name", metavar="NAME", help="a gateway's; with --but-newest also a role's")
    revoke.add_argument(
        "--but-newest", action="store_true", help="only its older certificates; it connects anew"
    )
    revoke.set_defaults(run=run_revoke)

    gateway_list_command.configure(word)
    gateway_rotation_command.configure(word)
    gateway_service_command.configure(word)
    retire_command.configure(words)
    config_command.configure(words)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, help="write it here (default: NAME.bundle)")
    parser.add_argument("--qr", type=Path, metavar="FILE.svg", help="and as a QR code")
    parser.add_argument(
        "--offline", action="store_true", help="don't tell the broker: its access comes later"
    )


def run_authority(args: argparse.Namespace) -> int:
    """Make what isn't there yet; nothing that is there is changed."""
    return guarded(lambda: _authority(load(args.file)))


def run_add(args: argparse.Namespace) -> int:
    """A gateway with a key made here, or with a certificate from elsewhere."""
    return guarded(lambda: _register(args) if args.certificate else _add(args))


def _add(args: argparse.Namespace) -> int:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    from ingest.trust.access import Role

    configuration = load(args.file)
    authority = opened(configuration)
    days = configuration.authority.gateway_days
    certificate, key = authority.issue(args.name, Role.GATEWAY, now(), days, args.site)
    private = serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    leaf = x509.load_pem_x509_certificate(certificate)
    return _hand_out(args, configuration, authority, args.name, leaf, private)


def _register(args: argparse.Namespace) -> int:
    """Access for a certificate of another authority; the gateway has it, or asks for it."""
    from ingest.trust.access import Role, commands_to_add
    from ingest.trust.others import read_others, register

    configuration = load(args.file)
    believed = read_others(configuration.authority.others_file)
    text = args.certificate.read_bytes()
    folder = Path(configuration.authority.folder)
    entry = register(folder, text, args.name, args.site, believed, now())
    serve_lists(configuration)
    print(f"{args.name}: certificate {entry.serial[:8]} of {entry.issuer} is known")
    if args.offline:
        return 0
    return tell(configuration, commands_to_add(args.name, Role.GATEWAY)) or reload(configuration)


def run_sign(args: argparse.Namespace) -> int:
    """A gateway whose key stays with it."""

    def sign() -> int:
        from cryptography import x509

        configuration = load(args.file)
        authority = opened(configuration)
        days = configuration.authority.gateway_days
        name, certificate = authority.sign(args.request.read_bytes(), now(), days, args.site)
        leaf = x509.load_pem_x509_certificate(certificate)
        return _hand_out(args, configuration, authority, name, leaf, b"")

    return guarded(sign)


def run_revoke(args: argparse.Namespace) -> int:
    """The broker hears it first: its rights end at once; the list keeps it out for good."""
    return guarded(lambda: _revoke(args))


def _revoke(args: argparse.Namespace) -> int:
    from ingest.trust.access import Role, commands_to_cut, commands_to_kick
    from ingest.trust.issued import read_issued

    configuration = load(args.file)
    folder = Path(configuration.authority.folder)
    roles = {one.role for one in read_issued(folder) if one.name == args.name}
    if not roles:
        print(f"{args.name} has no certificate of this authority", file=sys.stderr)
        return UNUSABLE
    if roles != {Role.GATEWAY} and not args.but_newest:
        remedy = f"gampong gateway rotate, then revoke {args.name} --but-newest"
        print(f"{args.name} isn't a gateway of this authority. {remedy}", file=sys.stderr)
        return UNUSABLE
    taken = opened(configuration).revoke(args.name, now(), args.but_newest)
    serve_lists(configuration)
    print(f"{args.name}: {len(taken)} certificates revoked")
    for one in taken:
        if one.issuer:
            print(f"have {one.issuer} revoke {one.serial}, too: it may be good elsewhere")
    if args.but_newest:  # the list first: what is kicked must not come back with the old one
        kicked = [] if roles == {Role.BROKER} else commands_to_kick(args.name)
        return reload(configuration) or (tell(configuration, kicked) if kicked else 0)
    told = tell(configuration, commands_to_cut(args.name, Role.GATEWAY))
    return told or reload(configuration)


def _authority(configuration: TrustConfiguration) -> int:
    from ingest.trust.access import first_state, mosquitto_conf
    from ingest.trust.authority import Authority
    from ingest.trust.issued import write

    settings, broker = configuration.authority, configuration.broker
    folder, served = Path(settings.folder), Path(broker.folder)
    if (folder / "ca.key").exists():
        authority = Authority.open(folder, passphrase(configuration))
        print(f"{folder}: the authority is there")
    else:
        secret = passphrase(configuration, new=True)
        authority = Authority.create(folder, settings.city, secret, now())
        print(
            f"{folder}: a new authority. Keep ca.key and its passphrase apart, and a copy of both"
        )
    for name in (*CLOUD, "broker"):
        if not (folder / f"{name}.key").exists():
            issue_for(configuration, authority, name)
            print(f"{folder}/{name}.pem and .key: for the {name}")
    serve_lists(configuration)
    write(served / "broker.pem", (folder / "broker.pem").read_bytes(), 0o644)
    write(served / "broker.key", (folder / "broker.key").read_bytes(), 0o600)
    if not (served / "dynamic-security.json").exists():
        clients = {one.name: one.role for one in authority.issued() if not one.revoked_ms}
        clients.pop("broker", None)
        write(served / "dynamic-security.json", first_state(clients), 0o600)
    text = mosquitto_conf(str(served), broker.plugin, broker.port)
    write(served / "mosquitto.conf", text.encode(), 0o644)
    print(f"{served}: for the broker; its user must own these files (chown -R mosquitto {served})")
    return 0


def issue_for(configuration: TrustConfiguration, authority: Authority, name: str) -> None:
    """A certificate and its key for a role of the cloud side, into the authority's folder.

    Raises:
        TrustError, OSError: it can't be signed or written.
    """
    from ingest.trust.access import Role
    from ingest.trust.issued import write
    from ingest.trust.papers import pem

    broker, role = configuration.broker, Role(name)
    hosts = f"{broker.host}, {broker.hosts}" if role is Role.BROKER else ""
    days = configuration.authority.cloud_days
    certificate, key = authority.issue(name, role, now(), days, hosts=hosts)
    shown = b"".join((certificate, *map(pem, authority.between)))
    write(authority.folder / f"{name}.key", key, 0o600)
    write(authority.folder / f"{name}.pem", shown, 0o644)


def _hand_out(
    args: argparse.Namespace,
    configuration: TrustConfiguration,
    authority: Authority,
    name: str,
    leaf: x509.Certificate,
    key: bytes,
) -> int:
    """The bundle, its QR code, and the broker's access."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from ingest.trust.access import Role, commands_to_add
    from ingest.trust.issued import write
    from wire.bundle import Bundle, encode_bundle

    broker = configuration.broker
    believed = x509.load_pem_x509_certificates(authority.ca_pem)
    issuers = tuple(one.public_bytes(Encoding.DER) for one in believed)
    shown = tuple(one.public_bytes(Encoding.DER) for one in (leaf, *authority.between))
    bundle = Bundle(name, args.site, broker.host, broker.port, issuers, shown, key)
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
    return tell(configuration, commands_to_add(name, Role.GATEWAY))
