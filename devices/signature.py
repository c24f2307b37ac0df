"""Who says so: signatures of messages that come from outside the city, such as a settled payment.

In: a rule, secrets, what came. Out: nothing, or `NotGenuine` with its reason. No clock, no IO.

    hmac-sha256, hmac-sha512   a digest of the body, keyed with the secret, in a header; with a
                               time beside it, of `<time>.<body>`, so that neither can be changed
    midtrans                   in the body itself: `signature_key` is SHA-512 of `order_id`,
                               `status_code`, `gross_amount` and the server key, one after the
                               other. It covers nothing else: whoever has seen one may tell it again
                               with another time, or cut it elsewhere (`Rule.order_suffix`)
    token                      the secret itself in a header (Xendit's callback token): it proves
                               the sender only as long as nobody else reads the connection

Two secrets may be valid at once, so that one can follow the other without a stop. All are compared,
each in constant time, so that an answer doesn't tell which of them was nearly right.

Sources: docs.midtrans.com, "Receiving notifications"; docs.xendit.co, "Webhooks"; RFC 2104.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

Scheme = Literal["hmac-sha256", "hmac-sha512", "midtrans", "token"]

HASHES = {"hmac-sha256": "sha256", "hmac-sha512": "sha512"}
MIDTRANS_SIGNED = ("order_id", "status_code", "gross_amount")
MIDTRANS_PAID = "200"
_MIDTRANS_STATUS = re.compile("[2-5][0-9]{2}")
_MIDTRANS_AMOUNT = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]{1,2})?")
SECRET_BYTES_MIN = 16
_TIME_DIGITS_MAX = 13


class Rule(msgspec.Struct, frozen=True):
    """How one sender signs. `header` and `time_header` are lower case; the latter, when it is
    named, holds Unix seconds that are signed with the body and `within_s` of now.

    `order_suffix`, for `midtrans`: what every order number of this merchant ends with. Its last
    mark is neither a digit nor a dot, so behind it come three digits of status, then the amount:
    what is signed can be cut in one way only. Without one, `a`+`200`+`1200500.00` is also
    `a2001`+`200`+`500.00`, and nothing in Midtrans's own words tells them apart, since order
    numbers may end with digits (docs.midtrans.com, "Transaction details": letters, digits, `-_~.`).
    """

    scheme: Scheme = "hmac-sha256"
    header: str = "x-signature"
    encoding: Literal["hex", "base64"] = "hex"
    time_header: str = ""
    within_s: float = 300.0
    order_suffix: str = ""


class NotGenuine(Exception):
    """It isn't from who it should be. `reason`: `unsigned` (nothing to check), `signature` (made
    with another secret or of another message), `stale` (of another time)."""

    def __init__(self, reason: Literal["unsigned", "signature", "stale"]) -> None:
        self.reason = reason
        super().__init__(reason)


def check(
    rule: Rule, secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_s: float
) -> None:
    """Let a genuine message pass. `headers` have lower-case names.

    Raises:
        NotGenuine: it isn't, and why.
    """
    if rule.scheme == "midtrans":
        given, signed = _of_midtrans(body, rule.order_suffix)
        _compare(given, [hashlib.sha512(signed + secret).digest() for secret in secrets])
        return
    text = headers.get(rule.header, "")
    if not text:
        raise NotGenuine("unsigned")
    if rule.scheme == "token":
        _compare(text.encode(), secrets)
        return
    time_text = _time_text(rule, headers)
    made = [digest(rule, secret, body, time_text) for secret in secrets]
    _compare(_decoded(rule, text), made)
    # Only now: a time that isn't signed says nothing.
    if time_text and abs(now_s - int(time_text)) > rule.within_s:
        raise NotGenuine("stale")


def sign(rule: Rule, secret: bytes, body: bytes, now_s: float) -> dict[str, str]:
    """The headers that `check` wants: what our own senders do. Not for `midtrans`."""
    if rule.scheme == "token":
        return {rule.header: secret.decode()}
    time_text = str(int(now_s)) if rule.time_header else ""
    made = digest(rule, secret, body, time_text)
    text = made.hex() if rule.encoding == "hex" else base64.b64encode(made).decode()
    return {rule.header: text, **({rule.time_header: time_text} if time_text else {})}


def digest(rule: Rule, secret: bytes, body: bytes, time_text: str) -> bytes:
    """What the header should hold, decoded; `time_text` is empty where no time is signed."""
    signed = f"{time_text}.".encode() + body if time_text else body
    return hmac.digest(secret, signed, HASHES[rule.scheme])


def opened(data: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body of a message where there are no headers, as in MQTT 3.1.1: a JSON object
    with the text that is signed under `body`, beside it what would be headers.

    Raises:
        NotGenuine: it has no body to be signed.
    """
    message = _json_object(data)
    body = message.pop("body", None)
    if not isinstance(body, str):
        raise NotGenuine("unsigned")
    headers = {name.lower(): value for name, value in message.items() if isinstance(value, str)}
    return headers, body.encode("utf-8", "surrogatepass")


def _of_midtrans(body: bytes, order_suffix: str) -> tuple[bytes, bytes]:
    """Its own signature, decoded, and what it is of, without the key."""
    message = _json_object(body)
    given = message.get("signature_key")
    words = [
        word for name in MIDTRANS_SIGNED if isinstance(word := message.get(name), str) and word
    ]
    if not isinstance(given, str) or len(words) < len(MIDTRANS_SIGNED):
        raise NotGenuine("unsigned")
    # They are signed as one word: where one ends is only known from how they are written.
    order, status, amount = words
    written = _MIDTRANS_STATUS.fullmatch(status) and _MIDTRANS_AMOUNT.fullmatch(amount)
    if not written or not order.endswith(order_suffix):
        raise NotGenuine("signature")
    return _from_hex(given), "".join(words).encode("utf-8", "surrogatepass")


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(data)
    except (ValueError, RecursionError):  # ValueError: not JSON, not UTF-8
        message = None
    if not isinstance(message, dict):
        raise NotGenuine("unsigned")
    return message


def _time_text(rule: Rule, headers: Mapping[str, str]) -> str:
    if not rule.time_header:
        return ""
    text = headers.get(rule.time_header, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _TIME_DIGITS_MAX):
        raise NotGenuine("unsigned")
    return text


def _decoded(rule: Rule, text: str) -> bytes:
    """The header's digest. Some senders put the algorithm's name before it: `sha256=…`."""
    name = HASHES[rule.scheme]
    for prefix in (f"{name}=", f"hmac{name}="):
        if text.lower().startswith(prefix):
            text = text[len(prefix) :]
    if rule.encoding == "hex":
        return _from_hex(text)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotGenuine("signature") from error


def _from_hex(text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError) as error:
        raise NotGenuine("signature") from error


def _compare(given: bytes, made: Sequence[bytes]) -> None:
    same = [hmac.compare_digest(given, one) for one in made]  # every one, whichever fits
    if not any(same):
        raise NotGenuine("signature")
