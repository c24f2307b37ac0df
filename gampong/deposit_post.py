"""Deposits to a gateway's webhook: one signed POST each, until all are there or it is away.

In: deposits, where to, a secret. Out: how many were stored, known already, refused and why. What
wasn't answered is sent again by the next run; the gateway knows a deposit by its number.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence

import msgspec

from devices.signature import Rule, sign
from gampong.deposit_book import Deposit

RULE = Rule("hmac-sha256", "x-signature", time_header="x-time")
"""What the link's `signature` says: `time_header = "X-Time"`, the rest as it comes."""

TIMEOUT_S = 40.0  # longer than the gateway may take for its disk
_ANSWER_MAX = 4096
_THEIRS = {401: "the secret isn't the gateway's, or the clock is wrong", 404: "no such address"}


class Sent(msgspec.Struct):
    """`away` says why the rest wasn't sent; "" when all was. `refused` is (line, why)."""

    stored: int = 0
    repeats: int = 0
    refused: list[tuple[int, str]] = []
    away: str = ""


def send(deposits: Sequence[Deposit], url: str, secret: bytes) -> Sent:
    """Send them in order; ends with the first that gets no answer, or one that is about us all."""
    sent = Sent(refused=[])
    for deposit in deposits:
        body = msgspec.json.encode(deposit.event())
        headers = {"Content-Type": "application/json", **sign(RULE, secret, body, time.time())}
        asked = urllib.request.Request(url, body, headers, method="POST")
        try:
            status, word = _ask(asked)
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            sent.away = f"line {deposit.line}: {getattr(error, 'reason', error)}"
            return sent
        if status == 200 and word == "stored":
            sent.stored += 1
        elif status == 200 and word == "repeat":
            sent.repeats += 1
        elif status in _THEIRS or status >= 500:
            sent.away = f"line {deposit.line}: {_THEIRS.get(status, word or status)}"
            return sent
        else:
            sent.refused.append((deposit.line, _why(word or str(status))))
    return sent


def _why(word: str) -> str:
    return {
        "nobodys": "no such bank at the gateway",
        "changed": "its number was sent before with something else",
        "time": "more than 31 days old, or in the future",
    }.get(word, word)


def _ask(asked: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
            return answer.status, _word(answer.read(_ANSWER_MAX))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _word(error.read(_ANSWER_MAX))


def _word(body: bytes) -> str:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(said.get("result", ""))[:64] if isinstance(said, dict) else ""
