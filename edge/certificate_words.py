"""What went wrong with certificates, in words that name the remedy. Pure.

In: an error of TLS, ours or the broker's alert. Out: a sentence with OpenSSL's own words behind it,
and whether it was the broker that refused us. `told_of` keeps the sentence's template, for a
terminal that speaks another language.
"""

from __future__ import annotations

import re
import ssl
from typing import NamedTuple

from wire.sentence import Told, system_told, told

_CLOCK = "Is this machine's clock right?"
_RENEW = "Ask the operator for a new bundle: gampong edge enrol"

# X509_V_ERR_… of OpenSSL's x509_vfy.h
BROKERS = {
    9: f"isn't good yet. {_CLOCK}",
    10: f"has expired. {_CLOCK} Otherwise the operator renews it: gampong gateway rotate",
    18: "is signed by itself. Is broker.host the right one?",
    19: "leads to an authority that isn't in broker.tls.ca_file. Is broker.host the right one?",
    20: "is of an authority that isn't in broker.tls.ca_file. Is broker.host the right one?",
    21: "is of an authority that isn't in broker.tls.ca_file. Is broker.host the right one?",
    62: "is for another name than broker.host. Use the name that the operator gave",
    64: "is for another address than broker.host. Use the name that the operator gave",
}

# RFC 8446, 6.2, as OpenSSL spells them
OURS = {
    "certificate expired": f"has expired. {_RENEW}",
    "certificate revoked": "was revoked. Ask the operator why",
    "unknown ca": f"is of an authority that the broker doesn't know. {_RENEW}",
    "bad certificate": f"isn't good, or not yet. {_CLOCK} {_RENEW}",
    "certificate unknown": f"can't be used. {_RENEW}",
    "unsupported certificate": f"isn't one for clients. {_RENEW}",
    "certificate required": "is missing. Give broker.tls the files of this gateway",
    "decrypt error": f"doesn't fit its key. {_RENEW}",
}

UNKNOWN = "can't be trusted"
_ALERT = re.compile(r"alert ([a-z ]+)")


class Explained(NamedTuple):
    """`refused`: the broker doesn't let this certificate in."""

    text: str
    refused: bool


def in_words(error: BaseException) -> Explained:
    """Any error of connecting; what isn't about certificates stays as it is."""
    return Explained(str(told_of(error)), bool(_refusal(error)))


def told_of(error: BaseException) -> Told:
    """The same as a sentence; the templates of what isn't about certificates are the system's."""
    said = str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        why = told(BROKERS.get(error.verify_code, UNKNOWN))
        return told("the broker's certificate {why} ({said})", why=why, said=said)
    if refusal := _refusal(error):
        why = told(refusal)
        return told(
            "the broker refuses this gateway's certificate: it {why} ({said})", why=why, said=said
        )
    return system_told(error) if isinstance(error, OSError) else Told(said, said, {})


def _refusal(error: BaseException) -> str:
    """What the broker says of our certificate, "" when it says nothing of it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ""
    found = _ALERT.search(str(error))
    return OURS.get(found.group(1).strip(), "") if found else ""
