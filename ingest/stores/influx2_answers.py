"""What an answer of InfluxDB 2 to a write means: the three fates, from status, headers and body.

Measured on InfluxDB 2.7.12 (tests/ingest/stores holds it to this):

* 204: every line is stored, its log file synced. It is the only answer that says so: an empty
  body and a comment are answered 204 as well, so such lines are never sent; anything else, a 200
  of a captive portal included, leaves the lines kept.
* 400 `unable to parse '…'`: nothing was written, the good lines neither.
* 422 `partial write: field type conflict … dropped=1` or `… outside retention policy … dropped=1`:
  the rest *may* be written. `dropped` counts too little: the first failing shard answers for all
  (a conflict hides what retention dropped). So a line is stored only when a request that held it
  was answered 204, and rejected only when the database dropped it alone, or dropped them all.
* 401 a wrong token, 403 or 404 one that may not write there or a bucket that isn't there.
* 500 on a full disk (and for a damaged gzip body). Points so answered can be read until influxd
  restarts, then they are gone; and influxd goes on refusing after room was made: restart it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

from ingest.stores import Kept
from ingest.stores.points import Reason
from wire.malformed import MALFORMED

RETRY_AFTER_S_MAX = 3600.0
_DETAIL_LENGTH = 300
_DROPPED = re.compile(r"dropped=(\d{1,9})(?!\d)")
_LINE_REASONS = (
    ("unable to parse", Reason.GRAMMAR),
    ("field type conflict", Reason.TYPE_CONFLICT),
    ("retention policy", Reason.RETENTION),
)


class Stored(msgspec.Struct, frozen=True):
    """All of the request is in the database."""


class Refused(msgspec.Struct, frozen=True):
    """At least one line of the request is bad; `dropped` is a lower bound of how many."""

    reason: Reason
    dropped: int


class TooLarge(msgspec.Struct, frozen=True):
    """Somebody on the way takes no request of this size."""


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""
    error: str = ""


def judge(
    status: int, headers: Mapping[str, str], body: bytes
) -> Stored | Refused | TooLarge | Kept:
    """The fate of a request's lines."""
    if status == 204:
        return Stored()
    if status == 413:
        return TooLarge()
    said = message(body)
    remedy = "restart influxd: " if "previously failed" in said else ""
    detail = f"{remedy}{status}: {said}"[:_DETAIL_LENGTH]
    if status in (400, 422):
        return _judge_lines(said, detail)
    wait_s = retry_after_s(headers)
    if status in (401, 403):
        return Kept("unauthorized", detail, wait_s)
    if status == 404:
        return Kept("not_found", detail, wait_s)
    if status == 429:
        return Kept("too_many_requests", detail, wait_s)
    if status >= 500:
        return Kept("server_error", detail, wait_s, bisect=True)
    return Kept("unexpected", detail, wait_s)


def _judge_lines(said: str, detail: str) -> Refused | Kept:
    dropped = _DROPPED.search(said)
    for words, reason in _LINE_REASONS:
        if words in said:
            return Refused(reason, int(dropped[1]) if dropped else 1)
    if "pending deletion" in said:  # a shard on its way out: retention will answer next time
        return Kept("server_error", detail)
    if "partial write" in said:
        return Refused(Reason.REFUSED, 1)
    return Kept("unexpected", detail, bisect=True)  # about the request, or in words yet unknown


def message(body: bytes) -> str:
    """What an error answer says, on one line."""
    try:
        error = msgspec.json.decode(body, type=_Error)
        said = error.message or error.error or error.code
    except MALFORMED:
        said = body.decode(errors="replace")
    return " ".join(said.split()) or "no explanation"


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds the server asks to wait, 0 when it doesn't. A date is taken relative to the
    server's own, so that no clock of ours is needed."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        until = parsedate_to_datetime(text)
        wait_s = (until - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(wait_s, 0.0), RETRY_AFTER_S_MAX)
