"""A MikroTik access point's HTTP side: RouterOS 7's REST, as far as a gateway asks it.

    GET /rest/system/resource                            {"uptime": "2d20h12m20s", ...}
    GET /rest/interface[?name=bridge]                    [{"name": "bridge", "rx-byte": "n", ...}]
    GET /rest/interface/wifi/registration-table          a row a station
    others                                               404

Basic authentication; 401 without. The parts of an answer are the driver's: `encode` draws them. One
round of questions sees one moment: it begins with the resource.
Source: help.mikrotik.com, "REST API" (paths, authentication, status codes).
"""

from __future__ import annotations

import base64
import hmac
from typing import Any

import msgspec
from aiohttp import web

from simulators.endpoints import USERNAME, Endpoints
from simulators.truth import Truth
from simulators.voices import Voice
from simulators.wifi import WifiCorner
from wire.clock import Clock


class RouterOs:
    """One access point."""

    def __init__(
        self, voice: Voice, history: WifiCorner, endpoints: Endpoints, clock: Clock, truth: Truth
    ) -> None:
        self._voice, self._history = voice, history
        self._clock, self._truth = clock, truth
        pair = f"{USERNAME}:{endpoints.password}".encode()
        self._authorization = f"Basic {base64.b64encode(pair).decode()}"
        self._round: dict[str, Any] = {}

    def application(self) -> web.Application:
        """The HTTP application that serves it."""
        application = web.Application()
        application.router.add_get("/rest/{path:.+}", self._serve)
        return application

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if not self._history.is_up(self._clock.now_ms()):
            if request.transport:
                request.transport.abort()  # no power, no answer
            return web.Response()
        said = request.headers.get("Authorization", "")
        if not hmac.compare_digest(said.encode(), self._authorization.encode()):
            return _json({"error": 401, "message": "Unauthorized"}, 401)
        path = request.match_info["path"]
        if path == "system/resource" or not self._round:
            self._measure()
        match path:
            case "system/resource":
                return _json(self._round["system"])
            case "interface":
                name = request.query.get("name")
                rows = self._round["interfaces"] or []
                return _json([row for row in rows if name in (None, row["name"])])
            case "interface/wifi/registration-table":
                return _json(self._round["registrations"][0])
        return _json({"error": 404, "message": "Not Found"}, 404)

    def _measure(self) -> None:
        """Look at the world once for all questions of a round, and note what they will say."""
        now_ms = self._clock.now_ms()
        said = self._voice.says(now_ms)
        self._round = msgspec.json.decode(said.payload.data)
        self._truth.write(self._voice.row(said, "asked", now_ms))


def _json(body: Any, status: int = 200) -> web.Response:
    encoded = msgspec.json.encode(body)
    return web.Response(body=encoded, status=status, content_type="application/json")
