"""Certificates and keys, as this city makes and reads them. Pure but for its random numbers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeGuard

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

RSA_BITS_MIN = 2048

UNREADABLE = (
    *(ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion),
    *(x509.DuplicateExtension, x509.UnsupportedGeneralNameType, x509.AttributeNotFound),
)
"""What `cryptography` raises for certificates, requests and lists that nobody can use: bytes that
aren't one, unknown curves, algorithms and versions."""

BACKDATED = timedelta(days=1)
"""A gateway without a clock may be a little behind."""

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
AskingKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def is_strong(key: object) -> TypeGuard[AskingKey]:
    """Whether we sign for such a key: EC, or RSA that is long enough."""
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= RSA_BITS_MIN
    return isinstance(key, ec.EllipticCurvePublicKey)


def has_strong_key(certificate: x509.Certificate) -> bool:
    """The same of a certificate's; one that can't be read isn't."""
    try:
        return is_strong(certificate.public_key())
    except UNREADABLE:
        return False


def common_name(subject: x509.Name) -> str:
    """The one common name of a subject, or "" when there isn't just one."""
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: SigningKey, locked: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


def dated(
    subject: x509.Name,
    issuer: x509.Name,
    key: AskingKey,
    now: datetime,
    days: int,
    at_most: datetime | None = None,
) -> x509.CertificateBuilder:
    until = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(min(until, at_most) if at_most else until)
    )


def usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
