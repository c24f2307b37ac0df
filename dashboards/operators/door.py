"""Who comes in: every request and every websocket passes here, before anything else sees it.

    browser → Door → (log-in page | NiceGUI's pages, files and sockets | /api)

With accounts, all but `OPEN` needs a session; without, every viewer is `DEMO` and must have come by
a loopback name, or a stranger's page could read this one through a name of its own that leads here,
and by no proxy, which would make an operator of everybody who reaches it.
A request that changes something, and every websocket, must come from a page of this server: its
`Origin` is this host's, or the browser says `same-origin`. Every answer gets the headers.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import partial
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.configuration import AccountSettings, is_loopback
from dashboards.opendata.guard import client_of, problem
from dashboards.operators.sessions import Session, Sessions
from dashboards.operators.visitor import Role, Visitor
from dashboards.texts import Language
from wire.small_file import Kept, OpenToOthers, read_secret

PATH_LENGTH_MAX = 2048
TOKEN_BYTES_MAX = 4096
FILES = {
    "icon.svg": "image/svg+xml",
    "icon-192.png": "image/png",
    "icon-512.png": "image/png",
    "log_in.css": "text/css",
}
OPEN = frozenset(
    ("/healthz", "/login", "/manifest.webmanifest", *(f"/assets/{name}" for name in FILES))
)
"""What may be read without a session: every address of it is ours, none is NiceGUI's, which would
build a page for whoever asks."""

BY_TOKEN = frozenset(("/api/state", "/api/board"))
READING = frozenset(("GET", "HEAD"))
BY_PROXY = ("x-forwarded-for", "forwarded", "via")
LANGUAGE_COOKIE = "gampong_language"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""On every answer. HSTS is for whoever ends TLS. Not `no-referrer`: browsers would then hide where
a form comes from."""

STRICT = (
    "default-src 'none'; style-src 'self'; img-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LIVE = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""NiceGUI's pages: Vue makes templates into functions in the browser (`unsafe-eval`), Quasar and
Leaflet write styles. A script needs the answer's own nonce (`scripts.py`), so none that is smuggled
in runs."""

DEMO = Visitor("demo", Role.OPERATOR)


class Entrance(msgspec.Struct, frozen=True):
    """How a request came in. `digest` and `form` are its session's, empty without accounts; `nonce`
    marks the scripts of this one answer."""

    visitor: Visitor
    address: str
    language: Language
    nonce: str
    digest: bytes = b""
    form: str = ""


def entrance_of(scope: Scope) -> Entrance:
    """What the door has found out about a request that it let in."""
    entrance = scope["gampong"]
    assert isinstance(entrance, Entrance)
    return entrance


class Door:
    """ASGI, around the whole application; `sessions` is None without accounts."""

    def __init__(self, app: ASGIApp, settings: AccountSettings, sessions: Sessions | None) -> None:
        self.app = app
        self._settings, self._sessions = settings, sessions
        self._proxies = frozenset(settings.trusted_proxies)
        self._token = Kept(partial(_read_token, settings.token_file))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, path = Headers(scope=scope), str(scope["path"])
        nonce = secrets.token_urlsafe(18)
        answer = _Answer(send, path, language_asked(scope), nonce)
        if len(scope["raw_path"]) + len(scope["query_string"]) > PATH_LENGTH_MAX:
            await answer.refuse(414, "The address is too long")
        elif not self._is_ours(headers):
            how = "use http://127.0.0.1 or http://localhost, without a proxy"
            await answer.refuse(421, f"Not by this name or way: {how}")
        elif not self._same_origin(scope, headers):
            await answer.refuse(403, "Not from a page of this server")
        else:
            session = self._session(headers)
            if session is None and not self._may_pass(scope["method"], path, headers):
                await _turn_away(answer, scope, headers)
                return
            await self.app(self._let_in(scope, headers, session, nonce), receive, answer.send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        session = self._session(headers)
        by_page = self._is_ours(headers) and _origin_is_host(headers, headers.get("origin", ""))
        if not by_page or (self._sessions is not None and session is None):
            await receive()  # websocket.connect; a close before accepting is an HTTP 403
            await send({"type": "websocket.close", "code": 1008})
            return
        socket = _Socket(receive, send)
        if self._sessions is None or session is None:
            await self.app(self._let_in(scope, headers, None), socket.receive, socket.send)
            return
        let_go = self._sessions.hold(session.digest, socket.end)
        try:
            await self.app(self._let_in(scope, headers, session), socket.receive, socket.send)
        finally:
            let_go()

    def _session(self, headers: Headers) -> Session | None:
        if self._sessions is None:
            return None
        cookies = cookie_parser(headers.get("cookie", ""))
        return self._sessions.find(cookies.get(cookie_name(self._settings), ""))

    def _may_pass(self, method: str, path: str, headers: Headers) -> bool:
        """Without a session."""
        if self._sessions is None or (method, path) == ("POST", "/login"):
            return True
        if method != "GET":
            return False
        by_token = path in BY_TOKEN and self._has_token(headers.get("authorization", ""))
        return path in OPEN or by_token

    def _has_token(self, authorization: str) -> bool:
        """Read anew each time, so that it can be replaced without a stop."""
        scheme, _, sent = authorization.partition(" ")
        if not self._settings.token_file or scheme.lower() != "bearer":
            return False
        try:
            token = self._token.now()
        except (OSError, OpenToOthers):
            return False
        said = sent.strip().encode("utf-8", "replace")
        return bool(token) and hmac.compare_digest(_sha(said), _sha(token))

    def _is_ours(self, headers: Headers) -> bool:
        by_proxy = any(name in headers for name in BY_PROXY)
        nearby = is_loopback(headers.get("host", "")) and not by_proxy
        return self._sessions is not None or nearby

    def _same_origin(self, scope: Scope, headers: Headers) -> bool:
        origin, site = headers.get("origin", ""), headers.get("sec-fetch-site", "")
        if scope["method"] in READING:
            return not origin or _origin_is_host(headers, origin)
        return _origin_is_host(headers, origin) if origin else site == "same-origin"

    def _let_in(
        self, scope: Scope, headers: Headers, session: Session | None, nonce: str = ""
    ) -> Scope:
        entrance = Entrance(
            visitor=session.visitor if session else DEMO if self._sessions is None else NOBODY,
            address=client_of(scope, self._proxies),
            language=language_of(scope, headers),
            nonce=nonce,
            digest=session.digest if session else b"",
            form=session.form if session else "",
        )
        peer = scope["client"][0] if scope.get("client") else ""
        kept = scope["headers"]
        if peer not in self._proxies:  # NiceGUI believes it, whoever sends it
            kept = [(name, value) for name, value in kept if name != b"x-forwarded-prefix"]
        return {**scope, "headers": kept, "gampong": entrance}


NOBODY = Visitor("", Role.VIEWER)
"""Who isn't logged in, at an address that is open; none of these asks who it is."""


class _Answer:
    """Puts the headers on an answer."""

    def __init__(self, send: Send, path: str, language: Language | None, nonce: str) -> None:
        self._send, self._path, self._language = send, path, language
        self._nonce = nonce

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if self._language:
                said = f"{LANGUAGE_COOKIE}={self._language}; Path=/; Max-Age=31536000; SameSite=Lax"
                headers.append("set-cookie", said)
            if headers.get("x-nicegui-content") == "page":
                headers["content-security-policy"] = LIVE.format(nonce=self._nonce)
            elif "content-security-policy" not in headers:
                headers["content-security-policy"] = STRICT
        await self._send(message)

    async def refuse(self, status: int, title: str, fields: dict[str, str] | None = None) -> None:
        """Answer by itself, without the application."""
        as_problem = self._path.startswith("/api/")
        body = problem(status, title) if as_problem else title.encode()
        kind = "application/problem+json" if as_problem else "text/plain; charset=utf-8"
        said = {"content-type": kind, "content-length": str(len(body)), **(fields or {})}
        raw = [(name.encode(), value.encode()) for name, value in said.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})


class _Socket:
    """A websocket that can be ended from outside: then nothing passes any more, either way."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._ended = False

    async def receive(self) -> Message:
        message = {} if self._ended else await self._receive()
        return {"type": "websocket.disconnect", "code": 1008} if self._ended else message

    async def send(self, message: Message) -> None:
        if not self._ended:
            await self._send(message)

    async def end(self) -> None:
        """Close it."""
        if not self._ended:
            self._ended = True
            await self._send({"type": "websocket.close", "code": 1008})


async def _turn_away(answer: _Answer, scope: Scope, headers: Headers) -> None:
    """To the log-in page, or told that one is needed."""
    page = "text/html" in headers.get("accept", "") and scope["method"] in READING
    if page and not scope["path"].startswith("/api/"):
        asked = scope["path"] + (
            f"?{scope['query_string'].decode('latin-1')}" * bool(scope["query_string"])
        )
        fields = {"location": f"/login?next={quote(asked, safe='')}", "cache-control": "no-store"}
        await answer.refuse(303, "Log in", fields)
    else:
        await answer.refuse(401, "Log in first", {"www-authenticate": "Bearer"})


def _read_token(file: str) -> bytes:
    return read_secret(file, "accounts.token_file", TOKEN_BYTES_MAX).strip()


def cookie_name(settings: AccountSettings) -> str:
    """`__Host-` binds it to this very host, which browsers allow by https only."""
    return "__Host-gampong" if settings.https else "gampong_session"


def language_asked(scope: Scope) -> Language | None:
    """What `?lang=` asks for, which is remembered."""
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("lang", [""])[0]
    return Language(asked) if asked in tuple(Language) else None


def language_of(scope: Scope, headers: Headers) -> Language:
    """What `?lang=` asks for, or asked for the last time."""
    kept = cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE, "")
    return language_asked(scope) or Language.of(kept)


def _origin_is_host(headers: Headers, origin: str) -> bool:
    try:
        return bool(origin) and urlsplit(origin).netloc == headers.get("host", "")
    except ValueError:
        return False


def _sha(said: bytes) -> bytes:
    return hashlib.sha256(said).digest()
