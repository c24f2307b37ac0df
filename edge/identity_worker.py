"""A process for a moment: keys, requests and certificates (cryptography costs 15 MB, the agent
doesn't pay them all year).

In: one JSON object on stdin. Out: one on stdout, `fault` in it when nothing was done. Keys come
from files and go to files, never over a pipe or a command line.

    inspect   certificate_file                              → name, from_ms, until_ms
    request   key_file, name                                → request (base64 of DER)
    accept    certificates (base64 of DER), key_file, ca_file, name, now_ms, after_ms, head,
              candidate_file                                → until_ms; writes the candidate

`accept` believes an answer only when: the first certificate is of our key and name, good now and
for longer than the present one, for clients, and leads to an authority of `ca_file`.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CHAIN_MAX = 5

UNREADABLE = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.AttributeNotFound,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for what nobody can use; the cloud's are in ingest/trust/papers.py,
which this process may not import."""
_Words = dict[str, Any]


class Unfit(Exception):
    """The text says what isn't as it must be."""


def inspect(said: _Words) -> _Words:
    first = x509.load_pem_x509_certificates(Path(said["certificate_file"]).read_bytes())[0]
    return {
        "name": _name(first),
        "from_ms": _ms(first.not_valid_before_utc),
        "until_ms": _ms(first.not_valid_after_utc),
    }


def request(said: _Words) -> _Words:
    """The key is made once and kept until its certificate is taken up: asking again, after a power
    cut, too, asks for the same."""
    path = Path(said["key_file"])
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        key = _key(path)
    except (OSError, ValueError, TypeError, Unfit):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(path, _pem(key))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, said["name"])])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    der = made.public_bytes(serialization.Encoding.DER)
    return {"request": base64.b64encode(der).decode()}


def accept(said: _Words) -> _Words:
    chain = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in said["certificates"]]
    if not 1 <= len(chain) <= CHAIN_MAX:
        raise Unfit("no certificate, or too many")
    key, leaf = _key(Path(said["key_file"])), chain[0]
    now = datetime.fromtimestamp(said["now_ms"] / 1000, UTC)
    if leaf.public_key() != key.public_key():
        raise Unfit("of another key than the one that asked")
    if _name(leaf) != said["name"]:
        raise Unfit(f"of {_name(leaf)[:80]!r}, not of {said['name']!r}")
    _check_purpose(leaf)
    roots = x509.load_pem_x509_certificates(Path(said["ca_file"]).read_bytes())
    _check_chain(chain, roots, now)
    until_ms = _ms(leaf.not_valid_after_utc)
    if until_ms <= said["after_ms"]:
        raise Unfit("ends no later than the present one")
    shown = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
    _write(Path(said["candidate_file"]), said["head"].encode() + _pem(key) + shown)
    return {"until_ms": until_ms}


def _check_purpose(leaf: x509.Certificate) -> None:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        raise Unfit("not for clients")


def _check_chain(
    chain: list[x509.Certificate], roots: list[x509.Certificate], now: datetime
) -> None:
    """From the first up to one of the roots, each good now."""
    last, known = chain[0], [*chain[1:], *roots]
    for _ in range(CHAIN_MAX):
        if not last.not_valid_before_utc <= now <= last.not_valid_after_utc:
            raise Unfit(f"{last.subject.rfc4514_string()} isn't good today")
        above = next((one for one in known if one != last and _signed(last, one)), None)
        if above is None:
            raise Unfit(f"signed by {last.issuer.rfc4514_string()}, who isn't in ca_file")
        if above in roots:
            return
        last = above
    raise Unfit("too long a chain")


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
        certificate.verify_directly_issued_by(authority)
    except UNREADABLE:
        return False
    return constraints.value.ca


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Unfit(f"{path} isn't an EC key")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, for its owner alone, synced with its folder. Not `edge/whole_file.py`'s:
    this process needs nothing of ours."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


WORK: dict[str, Callable[[_Words], _Words]] = {
    "inspect": inspect,
    "request": request,
    "accept": accept,
}


def answer(said: _Words) -> _Words:
    """What one request comes to."""
    try:
        return WORK[said["do"]](said)
    except (Unfit, OSError, KeyError, IndexError, *UNREADABLE) as error:
        return {"fault": f"{said.get('do')}: {error}"}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
