"""A gateway's certificate is renewed over the link: the request, and the answer.

Both are JSON (`wire.messages`), once or twice a year. The gateway's name isn't in them: it is in
the topic, which the broker ties to the certificate that is still good, and in the request's
subject, which must say the same.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

REQUEST_BYTES_MAX = 8 * 1024
"""An RSA request of 4,096 bits is 1.7 kB."""

CHAIN_MAX = 5


class Refusal(StrEnum):
    """Why there is no certificate. Those after `RATE` may be asked again for later."""

    FORMAT = "format"  # not a request, or not signed by its own key
    NAME = "name"  # of somebody else than the topic's gateway
    UNKNOWN = "unknown"  # never enrolled
    REVOKED = "revoked"
    RATE = "rate"  # enough for today
    WAITING = "waiting"  # kept for the operator: the authority that signs isn't ours
    FAILING = "failing"  # the authority's disk or list


class CertificateRequest(msgspec.Struct, frozen=True):
    """`request` is a certificate request (PKCS #10, DER)."""

    request: bytes


class CertificateAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """`certificates` (X.509, DER): the gateway's first, then those between it and the root.
    Empty when it is refused."""

    certificates: tuple[bytes, ...] = ()
    refused: str = ""
