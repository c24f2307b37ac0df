"""The door and the log-in page in front of one small page, on a clock of the test's own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from urllib.parse import urlencode

import httpx
from fastapi import FastAPI, Request

from dashboards.configuration import AccountSettings
from dashboards.operators.account_file import open_file
from dashboards.operators.accounts import Accounts
from dashboards.operators.audit import Audit
from dashboards.operators.door import Door, entrance_of
from dashboards.operators.log_in import LogIn
from dashboards.operators.sessions import Sessions
from dashboards.operators.visitor import Role
from wire.clock import SystemClock

HOST = "http://city.example"
PASSWORD = "kopi sanger panas"
NOW_MS = 1_790_000_000_000


class HandClock(SystemClock):
    """Wall time that stands still until it is moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0

    def now_ms(self) -> int:
        return NOW_MS + int(self.passed_s * 1000)

    def monotonic(self) -> float:
        return self.passed_s


class Rig:
    """An application with accounts; `browser` has no cookies yet."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.path = str(folder / "accounts.db")
        self.settings = AccountSettings(file=self.path, **settings)  # type: ignore[arg-type]
        self.clock = HandClock()
        self.file = open_file(self.path, make=True)
        self.accounts = Accounts(self.file)
        self.log = Audit(self.file, self.settings.audit_rows)
        self.sessions = Sessions(
            self.file,
            self.clock,
            idle_s=self.settings.idle_minutes * 60,
            life_s=self.settings.session_hours * 3600,
        )
        app = FastAPI()
        LogIn(self.settings, self.accounts, self.sessions, self.log, self.clock).add(app)

        @app.get("/{path:path}")
        async def page(request: Request) -> dict[str, str]:
            visitor = entrance_of(request.scope).visitor
            return {"name": visitor.name, "role": visitor.role, "form": _form(request)}

        self.app = Door(app, self.settings, self.sessions)

    def add(self, name: str, role: Role = Role.OPERATOR) -> None:
        """With a hash of little cost, so that a test may log in often."""
        salt = bytes(16)
        key = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=1 << 4, r=1, p=1, dklen=32)
        kept = f"scrypt$4$1$1${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"
        row = (name, role.value, kept, self.clock.now_ms())
        self.file.execute("INSERT INTO account VALUES (?, ?, ?, ?)", row)

    def browser(self, address: str = "203.0.113.7") -> httpx.AsyncClient:
        """One browser, whose connections come from that address."""
        transport = httpx.ASGITransport(app=self.app, client=(address, 4000))
        return httpx.AsyncClient(
            transport=transport, base_url=HOST, headers={"accept": "text/html,*/*"}
        )

    def actions(self) -> list[tuple[str, str, str]]:
        """The audit log, oldest first: who, what, note."""
        newest = self.log.newest(1000)
        return [(entry.who, entry.action, entry.note) for _, entry in reversed(newest)]


async def log_in(
    browser: httpx.AsyncClient, name: str, password: str = PASSWORD, then: str = "/"
) -> httpx.Response:
    """As a person does: open the form, fill it in, send it."""
    form = (await browser.get("/login", params={"next": then})).text
    return await send(
        browser,
        "/login",
        {"name": name, "password": password, "next": hidden(form, "next"), "token": hidden(form)},
    )


async def send(
    browser: httpx.AsyncClient, path: str, fields: dict[str, str], origin: str = HOST
) -> httpx.Response:
    """A form from a page of that origin."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    if origin:
        headers["origin"] = origin
    return await browser.post(path, content=urlencode(fields), headers=headers)


def hidden(form: str, name: str = "token") -> str:
    """The value of a hidden field."""
    return form.partition(f'name="{name}" value="')[2].partition('"')[0]


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(test())


def _form(request: Request) -> str:
    return entrance_of(request.scope).form
