"""What a new gateway needs to know, in one text: a file on a stick, or a QR code on a screen.

    gampong-gateway-1:<base64url of MessagePack>

In it: the gateway's name and site, where the broker is, the authority's certificate, the gateway's
own, and its key unless that never left it (then ""). Certificates and key are DER, which is two
thirds of PEM: about 1,500 characters in all, a QR code of version 27.

**It holds a private key.** Whoever has it is that gateway, until it is revoked.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from wire.sentence import told

PREFIX = "gampong-gateway-1:"
TEXT_MAX = 32 * 1024


class BadBundle(Exception):
    """Not a bundle of this version; the text says what it is instead, as far as can be told."""


class Bundle(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`authority` is a chain, the issuer of `certificate` first. All DER."""

    gateway: str
    site: str
    host: str
    port: int
    authority: tuple[bytes, ...]
    certificate: tuple[bytes, ...]
    key: bytes = b""


def encode_bundle(bundle: Bundle) -> str:
    """Its text, one line."""
    return PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(bundle)).decode()


def decode_bundle(text: str) -> Bundle:
    """The inverse; white space around it, and line breaks in it, don't matter.

    Raises:
        BadBundle: too long, something else, or damaged.
    """
    if len(text) > TEXT_MAX:
        raise BadBundle(
            told("too long for a bundle. Take the file that `gampong gateway add` wrote")
        )
    joined = "".join(text.split())
    if not joined.startswith(PREFIX):
        why = told(
            "begins with {begin!r}: not a gateway's bundle. Take the file or the QR code that "
            "`gampong gateway add` made",
            begin=joined[:24],
        )
        raise BadBundle(why)
    try:
        data = base64.b64decode(joined[len(PREFIX) :], altchars=b"-_", validate=True)
        bundle = msgspec.msgpack.decode(data, type=Bundle)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise BadBundle(told("damaged ({error}). Copy or scan it again", error=error)) from error
    if not (bundle.authority and bundle.certificate and 1 <= bundle.port <= 65535):
        raise BadBundle(told("incomplete. Make it again"))
    return bundle
