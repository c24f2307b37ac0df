"""A gateway becomes itself: keys and certificates from a bundle, or a key that never leaves it.

In: a bundle (`wire/bundle.py`), or nothing for a request. Out: `ca.pem`, `gateway.pem`,
`gateway.key` (readable for its owner alone) and, where there is none yet, a `gateway.toml` that
runs as it is and only lacks sensors. Nothing is changed unless all of it is good: key and
certificate belong together and name the same gateway as the bundle.
"""

from __future__ import annotations

import ssl
import tomllib
from pathlib import Path

from edge.whole_file import write_whole
from wire.bundle import Bundle
from wire.line import NAME
from wire.sentence import Told, told

KEY, CERTIFICATE, AUTHORITY, SETTINGS = "gateway.key", "gateway.pem", "ca.pem", "gateway.toml"


class NotEnrolled(Exception):
    """The gateway is as it was; the text says why and what to do."""


def enrol(bundle: Bundle, folder: Path, replace: bool = False) -> list[Told]:
    """Write the bundle's files; what was done, a sentence each.

    Args:
        folder: usually /etc/gampong.
        replace: another gateway's identity may be replaced.

    Raises:
        NotEnrolled: names, key or certificate don't fit, or this is another gateway already.
        OSError: the folder can't be written.
    """
    if NAME.fullmatch(bundle.gateway) is None or NAME.fullmatch(bundle.site) is None:
        raise NotEnrolled(
            told("the bundle's names aren't ours. Make it again: gampong gateway add")
        )
    settings = folder / SETTINGS
    _check_settings(settings, bundle, replace)
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    parts = {
        AUTHORITY: (_pem(bundle.authority, "CERTIFICATE"), 0o644),
        CERTIFICATE: (_pem(bundle.certificate, "CERTIFICATE"), 0o644),
    }
    if bundle.key:
        parts[KEY] = (_pem((bundle.key,), "PRIVATE KEY"), 0o600)
    elif not (folder / KEY).exists():
        why = told(
            "the bundle has no key, and there is none in {folder}. Enrol on the gateway that made "
            "the request (gampong edge csr)",
            folder=folder,
        )
        raise NotEnrolled(why)
    for name, (text, mode) in parts.items():
        write_whole(folder / f".{name}.part", text.encode(), mode)
    try:
        key_file = folder / (f".{KEY}.part" if bundle.key else KEY)
        _check_pair(folder / f".{CERTIFICATE}.part", key_file, bundle.gateway)
        for name in parts:
            (folder / f".{name}.part").replace(folder / name)
    finally:
        for name in parts:
            (folder / f".{name}.part").unlink(missing_ok=True)
    done = [
        told(
            "{folder}: certificate of {gateway}, and its authority's",
            folder=folder,
            gateway=bundle.gateway,
        )
    ]
    if not settings.exists() or replace:
        write_whole(settings, _settings_text(bundle, folder).encode(), 0o644)
        done.append(told("{file}: written; add links and devices", file=settings))
    return done


def request(name: str, folder: Path) -> str:
    """A key, if there is none yet, and a certificate request for it (PKCS #10, PEM).

    Raises:
        NotEnrolled: the name isn't one, or the key that is there can't be read.
        OSError: the folder can't be written.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    if NAME.fullmatch(name) is None:
        why = told("{name!r} isn't a name. Use lower-case letters, digits, - and _", name=name)
        raise NotEnrolled(why)
    path = folder / KEY
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_whole(path, made, 0o600)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        why = told(
            "{file}: not a key ({error}). Move it away, and ask again", file=path, error=error
        )
        raise NotEnrolled(why) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NotEnrolled(told("{file}: not an EC key. Move it away, and ask again", file=path))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signed = (
        x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def _check_settings(settings: Path, bundle: Bundle, replace: bool) -> None:
    """The gateway's own configuration must be of the same gateway."""
    if replace or not settings.exists():
        return
    try:
        table = tomllib.loads(settings.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        why = told("{file}: {error}. Mend it, or move it away", file=settings, error=error)
        raise NotEnrolled(why) from error
    gateway = table.get("gateway")
    name = gateway.get("name") if isinstance(gateway, dict) else None
    if name != bundle.gateway:
        why = told(
            "this is gateway {name!r}, the bundle is {gateway}'s. Take the right bundle, or say "
            "--replace",
            name=name,
            gateway=bundle.gateway,
        )
        raise NotEnrolled(why)


def _check_pair(certificate: Path, key: Path, gateway: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        why = told("certificate and key don't belong together. Make the bundle again")
        raise NotEnrolled(why) from error
    try:
        names = _common_names(certificate)
    except ValueError as error:  # OpenSSL takes some that aren't
        why = told("not a certificate ({error}). Make the bundle again", error=error)
        raise NotEnrolled(why) from error
    if names != [gateway]:
        why = told(
            "the certificate is {names}'s, the bundle {gateway}'s. Make the bundle again",
            names=names,
            gateway=gateway,
        )
        raise NotEnrolled(why)


def _common_names(certificate: Path) -> list[str]:
    """Those of the first certificate of a file.

    Raises:
        ValueError: it isn't one.
    """
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_pem_x509_certificates(certificate.read_bytes())[0].subject
    except x509.InvalidVersion as error:
        raise ValueError(error) from error
    return [str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _settings_text(bundle: Bundle, folder: Path) -> str:
    return f"""\
[gateway]
name = "{bundle.gateway}"
site = "{bundle.site}"

[broker]
host = "{bundle.host}"
port = {bundle.port}
[broker.tls]
ca_file = "{folder / AUTHORITY}"
certificate_file = "{folder / CERTIFICATE}"
key_file = "{folder / KEY}"
"""


def _pem(chain: tuple[bytes, ...], what: str) -> str:
    if what == "CERTIFICATE":
        return "".join(ssl.DER_cert_to_PEM_cert(der) for der in chain)
    lines = ssl.DER_cert_to_PEM_cert(chain[0])
    return lines.replace("CERTIFICATE", what)
