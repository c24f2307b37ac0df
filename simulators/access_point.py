"""An OpenWrt access point's HTTP side: JSON-RPC to ubus, as uhttpd-mod-ubus speaks it.

    POST /ubus  {"method": "call", "params": [session, object, method, arguments]}
    ->          {"result": [0, {...}]}  or  {"error": {"code": -32002, "message": "Access denied"}}

A session comes from `session login`, ends after five minutes without use, and is needed for all
else. The parts of an answer are the driver's: `encode` draws them. One round of questions sees one
moment: what was measured is kept until a question comes a second time.
Source: OpenWrt, "ubus over HTTP" (codes -32700, -32601, -32000, -32002, -32602; results 0, 6).
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from aiohttp import web

from devices.driver import load_driver
from devices.reading import Value, Values
from simulators.city import Corner
from simulators.endpoints import USERNAME, Endpoints
from simulators.truth import Row, Truth, speak
from simulators.wifi import WifiCorner
from wire.clock import Clock

SESSION_S = 300.0  # wall, without use; rpcd's default
_PARTS = {
    ("hostapd.wlan0", "get_clients"): "clients",
    ("hostapd.wlan0", "get_status"): "status",
    ("network.device", "status"): "device",
    ("system", "info"): "system",
}
_NO_SESSION = "00000000000000000000000000000000"
_SESSIONS_MAX = 64
_PERMISSION_DENIED, _INVALID_ARGUMENT = 6, 2


class AccessPoint:
    """One access point: sessions, and what it says of itself."""

    def __init__(
        self, corner: Corner, history: WifiCorner, endpoints: Endpoints, clock: Clock, truth: Truth
    ) -> None:
        self._corner, self._history, self._endpoints = corner, history, endpoints
        self._clock, self._truth = clock, truth
        self._driver = load_driver(corner.driver)
        self._sessions: dict[str, float] = {}  # last use, wall
        self._round: dict[str, Any] = {}  # answers of one moment
        self._asked: set[str] = set()

    def application(self) -> web.Application:
        """The HTTP application that serves it."""
        application = web.Application()
        application.router.add_post("/ubus", self._serve)
        return application

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not self._history.is_up(self._clock.now_ms()):
            self._sessions.clear()  # it will come back having forgotten them
            if request.transport:
                request.transport.abort()  # no power, no answer
            return web.Response()
        try:
            asked = msgspec.json.decode(await request.read())
        except msgspec.DecodeError:
            return _json(_error(None, -32700, "Parse error"))
        if isinstance(asked, list):
            return _json([self._answer(one) for one in asked])
        return _json(self._answer(asked))

    def _answer(self, asked: Any) -> dict[str, Any]:
        match asked:
            case {"method": "call", "params": [str(session), str(object_), str(method), *rest]}:
                arguments = rest[0] if rest and isinstance(rest[0], dict) else {}
                identity = asked.get("id")
                if (object_, method) == ("session", "login"):
                    return _result(identity, *self._login(arguments))
                if not self._is_open(session):
                    return _error(identity, -32002, "Access denied")
                return self._call(identity, object_, method, arguments)
            case {"method": str(), "params": _}:
                return _error(asked.get("id"), -32601, "Method not found")
        return _error(None, -32600, "Invalid request")

    def _login(self, arguments: dict[str, Any]) -> tuple[Any, ...]:
        wanted = (USERNAME, self._endpoints.password)
        if (arguments.get("username"), arguments.get("password")) != wanted:
            return (_PERMISSION_DENIED,)
        if len(self._sessions) >= _SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=self._sessions.__getitem__)]
        session = secrets.token_hex(16)
        self._sessions[session] = self._clock.monotonic()
        seconds = int(SESSION_S)
        return 0, {"ubus_rpc_session": session, "timeout": seconds, "expires": seconds - 1}

    def _is_open(self, session: str) -> bool:
        now = self._clock.monotonic()
        if session == _NO_SESSION or now - self._sessions.get(session, -SESSION_S) >= SESSION_S:
            self._sessions.pop(session, None)
            return False
        self._sessions[session] = now
        return True

    def _call(
        self, identity: Any, object_: str, method: str, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        part = _PARTS.get((object_, method))
        if part is None:
            return _error(identity, -32000, "Object not found")
        if part == "device" and arguments.get("name") != "br-lan":
            return _result(identity, _INVALID_ARGUMENT)
        if part in self._asked or not self._round:
            self._measure()
        self._asked.add(part)
        return _result(identity, 0, self._round[part])

    def _measure(self) -> None:
        """Look at the world once for all questions of a round, and note what they will say."""
        now_ms, history = self._clock.now_ms(), self._history
        received, sent = history.traffic(now_ms)
        fields: dict[str, Value] = {
            "up": 1,
            "clients": history.clients(now_ms),
            "channel_utilization": history.channel_utilization(now_ms),
            "rx_bytes": received,
            "tx_bytes": sent,
            "uptime_s": history.uptime_s(now_ms),
        }
        driver = self._driver
        spoken = speak(driver, Values(fields))
        self._round, self._asked = msgspec.json.decode(spoken.payload.data), set()
        name = self._corner.name
        self._truth.write(Row(name, driver.kind, driver.name, "asked", now_ms, spoken.fields))


def _json(body: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _result(identity: Any, *result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "result": list(result)}


def _error(identity: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}}
