"""The log-in page: plain HTML, no script. A wrong name and a wrong password get the same answer
after the same time.

In: a form. Out: a session's cookie, or the form again. Who tries too often waits, whatever the
name. Passwords are reckoned beside the loop, two at a time, since each takes 32 MiB.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import sqlite3
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from dashboards.configuration import AccountSettings
from dashboards.operators.accounts import Accounts
from dashboards.operators.attempts import Attempts, Buckets
from dashboards.operators.audit import REFUSED, Audit, Entry
from dashboards.operators.door import Entrance, cookie_name, entrance_of
from dashboards.operators.passwords import BYTES_MAX, NOBODYS, matches
from dashboards.operators.sessions import Sessions
from dashboards.texts import Language, words
from wire.clock import Clock

FORM_BYTES_MAX = 8192
FORM_S = 10.0
NEXT_LENGTH_MAX = 500
TOLD_EVERY_S = 600.0  # an address that tries on and on is written down once in so long
RECKONING_MAX = 2
WAITING_MAX = 16
"""Log-ins waiting for their reckoning; the next one is told to come again (503)."""

log = logging.getLogger(__name__)

_PAGE = Template(Path(__file__).with_name("log_in.html").read_text(encoding="utf-8"))
_HTML = "text/html; charset=utf-8"
_FORM_COOKIE = "gampong_form"


class Form(msgspec.Struct, frozen=True):
    """What the log-in form brings."""

    name: str
    password: str
    next: str
    token: str


class LogIn:
    """`/login` and `/logout`."""

    def __init__(
        self,
        settings: AccountSettings,
        accounts: Accounts,
        sessions: Sessions,
        log: Audit,
        clock: Clock,
    ) -> None:
        self._settings, self._accounts, self._sessions = settings, accounts, sessions
        self._log, self._clock = log, clock
        self._attempts = Attempts(clock, settings.tries, settings.try_seconds)
        self._told = Buckets(clock, 1, TOLD_EVERY_S)
        self._turns, self._waiting = asyncio.Semaphore(RECKONING_MAX), 0
        self._key = secrets.token_bytes(32)

    def add(self, app: FastAPI) -> None:
        """Its addresses."""
        app.add_api_route("/login", self._show, methods=["GET"])
        app.add_api_route("/login", self._log_in, methods=["POST"])
        app.add_api_route("/logout", self._log_out, methods=["POST"])

    async def _show(self, request: Request) -> Response:
        return self._form(request, safe_next(request.query_params.get("next", "/")))

    async def _log_in(self, request: Request) -> Response:
        """Nobody comes in whom the log can't name: a file that can't be written is a 503."""
        try:
            return await self._tried(request)
        except sqlite3.OperationalError as error:
            log.warning("event=accounts_unwritten reason=%s", error)
            return self._form(request, "/", "log_in.busy", 503, 5)

    async def _tried(self, request: Request) -> Response:
        entrance = entrance_of(request.scope)
        form = await _read(request)
        if form is None:
            return Response("Not a log-in form", 400, media_type="text/plain")
        if not self._is_our_form(request, form.token):
            return self._form(request, form.next, "log_in.again", 403)
        wait_s = self._attempts.take(form.name, entrance.address)
        if wait_s:
            if not self._told.take(entrance.address):
                self._write(entrance, form.name, REFUSED, "too many tries")
            return self._form(request, form.next, "log_in.wait", 429, wait_s)
        if self._waiting >= WAITING_MAX:
            return self._form(request, form.next, "log_in.busy", 503, 5)
        kept = self._accounts.password_of(form.name)
        if not await self._matches(form.password, kept or NOBODYS) or kept is None:
            self._write(entrance, form.name, REFUSED, "wrong name or password")
            return self._form(request, form.next, "log_in.wrong", 401)
        if self._accounts.password_of(form.name) != kept:
            return self._form(request, form.next, "log_in.again", 403)  # changed meanwhile
        self._attempts.succeeded(form.name, entrance.address)
        if entrance.digest:
            await self._sessions.end(entrance.digest)
        token = self._sessions.begin(form.name)
        self._write(entrance, form.name, "log-in")
        answer = Response(status_code=303, headers={"location": form.next, **_UNKEPT})
        self._set_cookie(answer, token)
        answer.delete_cookie(_FORM_COOKIE, path="/login")
        return answer

    async def _log_out(self, request: Request) -> Response:
        entrance = entrance_of(request.scope)
        fields = await _fields(request)
        sent = (fields or {}).get("form", "")
        if not entrance.form or not hmac.compare_digest(sent.encode(), entrance.form.encode()):
            return Response("Not from your own page", 403, media_type="text/plain")
        await self._sessions.end(entrance.digest)
        self._write(entrance, entrance.visitor.name, "log-out")
        answer = Response(status_code=303, headers={"location": "/login", **_UNKEPT})
        self._set_cookie(answer, "")
        return answer

    async def _matches(self, password: str, kept: str) -> bool:
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(matches, password, kept)
        finally:
            self._waiting -= 1

    def _form(
        self, request: Request, then: str, said: str = "", status: int = 200, wait_s: int = 0
    ) -> Response:
        language = entrance_of(request.scope).language
        text = words(language)
        cookie = request.cookies.get(_FORM_COOKIE, "")
        if not 20 <= len(cookie) <= 64:
            cookie = secrets.token_urlsafe(24)
        other = next(each for each in Language if each is not language)
        page = _PAGE.substitute(
            language=language.value,
            title=escape(text["page.title"]),
            heading=escape(text["log_in.heading"]),
            name=escape(text["log_in.name"]),
            password=escape(text["log_in.password"]),
            button=escape(text["log_in.button"]),
            said=escape(text[said].replace("{n}", str(wait_s))) if said else "",
            next=escape(then),
            token=self._token(cookie),
            other=other.value,
            other_name=escape(text["page.language"]),
            other_next=quote(then, safe=""),
        )
        headers = {**_UNKEPT, **({"retry-after": str(wait_s)} if wait_s else {})}
        answer = Response(page, status, headers, _HTML)
        answer.set_cookie(
            _FORM_COOKIE, cookie, httponly=True, samesite="strict",
            secure=self._settings.https, path="/login",
        )  # fmt: skip
        return answer

    def _set_cookie(self, answer: Response, token: str) -> None:
        answer.set_cookie(
            cookie_name(self._settings), token, httponly=True, samesite="lax", path="/",
            secure=self._settings.https,
            max_age=int(self._settings.session_hours * 3600) if token else 0,
        )  # fmt: skip

    def _is_our_form(self, request: Request, token: str) -> bool:
        cookie = request.cookies.get(_FORM_COOKIE, "")
        return bool(cookie) and hmac.compare_digest(token.encode(), self._token(cookie).encode())

    def _token(self, cookie: str) -> str:
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()

    def _write(self, entrance: Entrance, name: str, action: str, note: str = "") -> None:
        self._log.write(Entry(self._clock.now_ms(), name, entrance.address, action, "", note))


_UNKEPT = {"cache-control": "no-store"}


def safe_next(asked: str) -> str:
    """An address of this server's, or its first page: never another's (`//evil.example`)."""
    local = (
        asked.startswith("/")
        and not asked.startswith(("//", "/login", "/logout"))
        and len(asked) <= NEXT_LENGTH_MAX
        and asked.isascii()
        and asked.isprintable()
        and "\\" not in asked
        and " " not in asked
    )
    try:
        parts = urlsplit(asked)
    except ValueError:
        return "/"
    return asked if local and not parts.scheme and not parts.netloc else "/"


async def _read(request: Request) -> Form | None:
    """The form, within its bounds; None for anything else."""
    fields = await _fields(request)
    if fields is None:
        return None
    name = fields.get("name", "").strip().casefold()[:64]
    password = fields.get("password", "")
    if len(password) > BYTES_MAX:
        return None
    return Form(name, password, safe_next(fields.get("next", "/")), fields.get("token", ""))


async def _fields(request: Request) -> dict[str, str] | None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    body = b""
    try:
        async with asyncio.timeout(FORM_S):
            async for part in request.stream():
                body += part
                if len(body) > FORM_BYTES_MAX:
                    return None
        found = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=8)
    except (TimeoutError, ClientDisconnect, ValueError):
        return None
    return {name: values[0] for name, values in found.items()}
