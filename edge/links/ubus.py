"""OpenWrt's ubus over HTTP: log in, call, log in again when the session is over.

In: object, method, arguments. Out: the answer's JSON as it came, or None when the access point
has no such thing. The answers are never decoded here: they hold visitors' addresses.

    → {"jsonrpc": "2.0", "id": 1, "method": "call", "params": [session, object, method, {...}]}
    ← {"result": [0, {...}]}              0 done, 6 permission denied, 4 not found, ...
    ← {"error": {"code": -32002, ...}}    access denied: the session is over, or the account may not

Source: openwrt.org, "ubus (OpenWrt micro bus architecture)", access over HTTP.
"""

from __future__ import annotations

from typing import Any

import msgspec

from edge.links.access_point import AccountRefused, NoAnswer
from edge.links.http import SYSTEM, HttpFailed, Trust, request
from wire.clock import Clock
from wire.malformed import MALFORMED

NOBODY = "0" * 32  # the session that may only log in
DENIED = -32002
BODY_MAX = 1024 * 1024  # 200 stations take about 260 KiB


class _Fault(msgspec.Struct):
    code: int = 0


class _Envelope(msgspec.Struct):
    result: list[msgspec.Raw] | None = None
    error: _Fault | None = None


class _Session(msgspec.Struct):
    ubus_rpc_session: str


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class Ubus:
    """One access point's bus."""

    def __init__(self, url: str, username: str, clock: Clock, trust: Trust = SYSTEM) -> None:
        self._url, self._username, self._clock, self._trust = url, username, clock, trust
        self._session = ""

    @property
    def has_session(self) -> bool:
        return self._session != ""

    async def log_in(self, password: str, deadline: float) -> None:
        """Begin a session, unless there is one.

        Raises:
            NoAnswer, AccountRefused: it didn't.
        """
        if self._session:
            return
        account = {"username": self._username, "password": password}
        answer = await self._send(NOBODY, "session", "login", account, deadline)
        if answer is None:
            raise AccountRefused(f"{self._username}: wrong password, or no such account")
        try:
            self._session = msgspec.json.decode(answer, type=_Session).ubus_rpc_session
        except MALFORMED as error:
            raise NoAnswer("log-in without a session") from error

    def log_out(self) -> None:
        """Forget the session: the access point has."""
        self._session = ""

    async def call(
        self, name: str, method: str, arguments: dict[str, str], deadline: float
    ) -> msgspec.Raw | None:
        """What the object answers, None when it isn't there.

        Raises:
            NoAnswer, AccountRefused: no answer; the session is over or may not do this.
        """
        return await self._send(self._session, name, method, arguments, deadline)

    async def _send(
        self, session: str, name: str, method: str, arguments: dict[str, str], deadline: float
    ) -> msgspec.Raw | None:
        question: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "call",
            "params": [session, name, method, arguments],
        }
        left_s = max(0.0, deadline - self._clock.monotonic())
        body = msgspec.json.encode(question)
        try:
            answer = await request(
                "POST", self._url, left_s, body, body_max=BODY_MAX, trust=self._trust
            )
            envelope = _ENVELOPE.decode(answer.body)
        except HttpFailed as error:
            raise NoAnswer(str(error)) from error
        except MALFORMED as error:
            raise NoAnswer("not a ubus answer") from error
        if envelope.error is not None:
            if envelope.error.code == DENIED:
                raise AccountRefused(f"{self._username} may not {name} {method}")
            raise NoAnswer(f"error {envelope.error.code}")
        match envelope.result:
            case [done, data] if bytes(done) == b"0":
                return data
            case [_, *_]:
                return None
        raise NoAnswer("neither result nor error")
