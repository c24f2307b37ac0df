"""Which request means what. Only here are PIN, session, origin and token asked for.

anybody             /page.css /page.js /icon.svg, the PIN page, POST /pin, /language
a session           every other GET
a session, its
token and origin    every other POST
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from edge.configuration import PageSettings
from edge.page import view, view_device, view_sheet, view_status, view_work
from edge.page.bench import Bench
from edge.page.desk import Anew, Desk, Refusing
from edge.page.entry import Lockout, Sessions, is_host, is_own_origin
from edge.page.html import Markup, tag
from edge.page.http import HTML, Answer, Refused, Request, see_other
from edge.page.pin import Pin, PinUnusable, read
from edge.page.server import Peer
from edge.page.sheet import Sheet
from edge.page.texts import LANGUAGE_COOKIE, Language, Words, language_of
from edge.page.view import Frame
from edge.page.work import Kind
from edge.site_log import What
from wire.small_file import Kept, OpenToOthers

COOKIE = "gampong_page"
ASSETS = {
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}
ANEW_S = 2

log = logging.getLogger(__name__)


class Site:
    """Answers requests about one agent."""

    def __init__(self, settings: PageSettings, desk: Desk, sheet: Sheet, bench: Bench) -> None:
        self._settings = settings
        self._desk, self._sheet, self._bench = desk, sheet, bench
        self._lockout, self._sessions = Lockout(), Sessions()
        self._pin: Pin | None = None
        self._pin_now = Kept(lambda: read(Path(settings.pin_file)))
        self._assets = {at: _asset(at) for at in ASSETS}
        self._shown: dict[str, Callable[[Request, Words, str], Awaitable[bytes]]] = {
            "/": self._status,
            "/device": self._device,
            "/scan": self._scan,
            "/work": self._work,
            "/sheet": self._whole_sheet,
        }
        self._live: dict[str, Callable[[Request, Words, str], Awaitable[Markup]]] = {
            "/live/status": self._live_status,
            "/live/device": self._live_device,
            "/live/way": self._live_way,
            "/live/work": self._live_work,
        }
        self._done: dict[str, Callable[[Request, Words], Awaitable[str]]] = {
            "/calibrate": self._calibrate,
            "/scan": self._begin_scan,
            "/scan/write": self._write_found,
            "/stop": self._stop_work,
            "/follow": self._follow,
            "/commission": self._commission,
            "/again": self._again,
        }

    async def answer(self, request: Request, peer: Peer) -> Answer:
        """The answer.

        Raises:
            Refused: with the code and a word.
        """
        if not is_host(request.headers.get("host", ""), peer.here, self._settings.name):
            raise Refused(421, "not this gateway's address or name")
        if request.path in self._assets:
            return self._asset(request)
        words = Words(language_of(request.cookies, request.headers.get("accept-language", "")))
        if request.path == "/language":
            return self._language(request)
        now = self._desk.clock.monotonic()
        self._look_at_pin()
        token = request.cookies.get(COOKIE, "")
        inside = bool(token) and self._sessions.holds(token, now, peer.address)
        if request.method == "POST":
            if not is_own_origin(request.headers.get("origin", ""), request.headers["host"]):
                raise Refused(403, "a form of another page")
            if request.path == "/pin":
                return await self._enter(request, peer, words)
            if not inside:
                return see_other("/")
            if not self._sessions.is_form_token(token, request.form.get("token", "")):
                raise Refused(403, "a form of another session")
            return await self._act(request, words, token)
        if not inside:
            return self._outside(request, words)
        return await self._show(request, words, token)

    def knows(self, address: str) -> bool:
        """Whether somebody there is logged in."""
        return self._sessions.knows(address, self._desk.clock.monotonic())

    # For anybody

    def _asset(self, request: Request) -> Answer:
        body, etag = self._assets[request.path]
        headers = (("ETag", etag), ("Cache-Control", "no-cache"))
        if request.headers.get("if-none-match") == etag:
            return Answer(304, headers=headers)
        return Answer(200, body, ASSETS[request.path], headers)

    def _language(self, request: Request) -> Answer:
        to = request.query.get("to", "")
        if to not in tuple(Language):
            raise Refused(404, "no such language")
        return see_other("/", ("Set-Cookie", _cookie(LANGUAGE_COOKIE, to)))

    def _outside(self, request: Request, words: Words) -> Answer:
        if request.path in self._live:
            raise Refused(401, "log in")
        problem = "" if self._pin else words("entry.unusable")
        body = view.entry(words, problem, self._desk.clock.now_ms())
        return Answer(200 if request.path == "/" else 401, body)

    async def _enter(self, request: Request, peer: Peer, words: Words) -> Answer:
        now = self._desk.clock.monotonic()
        wait_s = self._lockout.wait_s(peer.address, now)
        problem, code = words("entry.wait", seconds=int(wait_s) + 1), 429
        if not wait_s:
            if self._pin is not None and self._pin.matches(request.form.get("pin", "")):
                self._lockout.right(peer.address)
                token = self._sessions.begin(now, peer.address)
                await self._desk.log(What.PAGE, text=f"log-in from {peer.address}")
                return see_other("/", ("Set-Cookie", _cookie(COOKIE, token)))
            problem, code = words("entry.wrong" if self._pin else "entry.unusable"), 403
            if self._lockout.wrong(peer.address, now):
                log.warning("event=page_locked_out address=%s", peer.address)
                await self._desk.log(What.PAGE, text=f"locked out: {peer.address}")
                wait_s = self._lockout.wait_s(peer.address, now)
                problem, code = words("entry.wait", seconds=int(wait_s)), 429
        return Answer(code, view.entry(words, problem, self._desk.clock.now_ms()))

    def _look_at_pin(self) -> None:
        """Another PIN counts at once, and ends every session."""
        pin: Pin | None
        try:
            pin = self._pin_now.now()
        except (PinUnusable, OpenToOthers) as error:
            log.error("event=page_without_pin why=%r", str(error))  # a minute's lines are one
            pin = None
        if pin != self._pin:
            self._sessions.end_all()
        self._pin = pin

    # For a session

    async def _show(self, request: Request, words: Words, token: str) -> Answer:
        form_token = self._sessions.form_token(token)
        try:
            if shown := self._shown.get(request.path):
                return Answer(200, await shown(request, words, form_token))
            if live := self._live.get(request.path):
                return self._fragment(request, await live(request, words, form_token))
        except Anew:
            if request.path in self._live:
                raise Refused(503, "the agent is beginning anew") from None
            frame = Frame(words, "gampong", "", self._desk.clock.now_ms(), form_token)
            anew = Markup(f'<p class="banner warn">{words("page.anew")}</p>')
            return Answer(503, view.whole(frame, "", anew, refresh_s=ANEW_S))
        except Refusing as refusing:
            raise Refused(404, words(refusing.key, **refusing.figures)) from refusing
        raise Refused(404, words("page.not_found"))

    def _fragment(self, request: Request, markup: Markup) -> Answer:
        body = markup.encode()
        etag = _tag(body)
        headers = (("ETag", etag), ("X-Gateway-Time", str(self._desk.clock.now_ms())))
        if request.headers.get("if-none-match") == etag:
            return Answer(304, headers=headers)
        return Answer(200, body, HTML, headers)

    async def _act(self, request: Request, words: Words, token: str) -> Answer:
        if request.path == "/out":
            self._sessions.end(token)
            return see_other("/", ("Set-Cookie", _cookie(COOKIE, "", max_age_s=0)))
        done = self._done.get(request.path)
        if done is None:
            raise Refused(404, words("page.not_found"))
        try:
            return see_other(await done(request, words))
        except Anew:
            return see_other("/")
        except Refusing as refusing:
            frame = self._frame(words, self._sessions.form_token(token))
            body = view.whole(frame, "", self._refusal(request, words, refusing))
            return Answer(409, body)

    def _refusal(self, request: Request, words: Words, refusing: Refusing) -> Markup:
        said = tag("p", words(refusing.key, **refusing.figures), class_="banner bad")
        name = request.form.get("device", "")
        at = f"/device?name={quote(name)}" if name else "/"
        back = tag("p", tag("a", words("page.back"), href=at))
        return tag("section", said, back)

    def _frame(self, words: Words, form_token: str) -> Frame:
        gateway = self._desk.configuration.gateway
        return Frame(
            words,
            gateway.label or gateway.name,
            gateway.site,
            self._desk.clock.now_ms(),
            form_token,
            self._desk.changed,
        )

    async def _status(self, request: Request, words: Words, form_token: str) -> bytes:
        live = await self._live_status(request, words, form_token)
        part = tag("div", live, data_live="/live/status", id="status")
        return view.whole(self._frame(words, form_token), "/", part)

    async def _live_status(self, request: Request, words: Words, form_token: str) -> Markup:
        seen = await self._desk.seen()
        if seen is None:
            return tag("p", words("status.unreadable"), class_="banner bad")
        devices = [self._desk.now_of(device) for device in self._desk.configuration.device]
        return view_status.status(words, seen, devices, self._desk.clock.now_ms())

    async def _device(self, request: Request, words: Words, form_token: str) -> bytes:
        one = self._desk.now_of(self._desk.device(request.query.get("name", "")))
        frame = self._frame(words, form_token)
        at = f"/live/device?name={quote(one.device.name)}"
        live = await self._live_device(request, words, form_token)
        way = self._sheet.hearing.ways.get(one.device.name)
        return view.whole(
            frame,
            "",
            view_device.heading(words, one),
            tag("section", live, data_live=at, id="newest"),
            view_device.calibration(frame, one, self._bench.targets_of(one.device)),
            view_device.commissioning(frame, one, way),
        )

    async def _live_device(self, request: Request, words: Words, form_token: str) -> Markup:
        one = self._desk.now_of(self._desk.device(request.query.get("name", "")))
        heard = self._sheet.hearing.newest(one.device)
        heard_ms = self._desk.ms_of(heard.at_s) if heard else 0
        trouble = self._sheet.hearing.trouble.get(one.device.name)
        return view_device.newest(words, one, heard, trouble, heard_ms)

    async def _live_way(self, request: Request, words: Words, form_token: str) -> Markup:
        device = self._desk.device(request.query.get("name", ""))
        way = self._sheet.hearing.ways.get(device.name)
        if way is None:
            return Markup("")
        return view_device.steps(words, way)

    async def _scan(self, request: Request, words: Words, form_token: str) -> bytes:
        frame = self._frame(words, form_token)
        work = self._bench.work
        now = view_work.work(frame, work) if work and work.kind is Kind.SCAN else None
        told = frame if now is None else frame._replace(changed=False)
        return view.whole(told, "/scan", now, view_work.scan(frame, self._bench.ports()))

    async def _work(self, request: Request, words: Words, form_token: str) -> bytes:
        frame = self._frame(words, form_token)
        part = view_work.work(frame, self._bench.work)
        return view.whole(frame._replace(changed=False), "", part)  # its part says so

    async def _live_work(self, request: Request, words: Words, form_token: str) -> Markup:
        return view_work.progress(self._frame(words, form_token), self._bench.work)

    async def _whole_sheet(self, request: Request, words: Words, form_token: str) -> bytes:
        frame = self._frame(words, form_token)
        devices = self._desk.configuration.device
        return view.whole(frame, "/sheet", view_sheet.sheet(frame, devices, self._sheet.entries))

    async def _calibrate(self, request: Request, words: Words) -> str:
        form = request.form
        self._bench.calibrate(
            form.get("device", ""), form.get("target", ""), form.get("height", ""), "anyway" in form
        )
        return "/work"

    async def _begin_scan(self, request: Request, words: Words) -> str:
        self._bench.scan(request.form.get("port", ""), request.form.get("addresses") != "all")
        return "/work"

    async def _write_found(self, request: Request, words: Words) -> str:
        await self._bench.write_found()
        return "/work"

    async def _stop_work(self, request: Request, words: Words) -> str:
        self._bench.stop()
        await asyncio.sleep(0)
        return "/work"

    async def _follow(self, request: Request, words: Words) -> str:
        name = request.form.get("device", "")
        self._sheet.follow(name)
        return f"/device?name={quote(name)}#way"

    async def _commission(self, request: Request, words: Words) -> str:
        form = request.form
        await self._sheet.commission(
            form.get("device", ""),
            form.get("verdict") == "pass",
            form.get("place", ""),
            form.get("note", ""),
        )
        return "/sheet"

    async def _again(self, request: Request, words: Words) -> str:
        self._bench.begin_anew()
        return "/"


def _cookie(name: str, value: str, max_age_s: int | None = None) -> str:
    age = "" if max_age_s is None else f"; Max-Age={max_age_s}"
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict{age}"


def _asset(at: str) -> tuple[bytes, str]:
    body = Path(__file__).with_name("assets").joinpath(at[1:]).read_bytes()
    return body, _tag(body)


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:20]}"'
