"""Receivers of messages on loopback: an HTTP server and a mail server, both real, both ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class HttpReceiver:
    """Keeps what it is sent; answers `status` with `answer`."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: dict[str, object] = {"ok": True}
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, str, dict[str, str], object]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.requests.append((request.method, request.path, dict(request.headers), body))
        return web.json_response(self.answer, status=self.status, headers=self.headers)

    def bodies(self) -> list[dict[str, object]]:
        return [body for *_, body in self.requests if isinstance(body, dict)]


@asynccontextmanager
async def http_receiver() -> AsyncIterator[HttpReceiver]:
    receiver = HttpReceiver()
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        receiver.url = f"http://{host}:{port}"
        yield receiver
    finally:
        await runner.cleanup()


class MailServer:
    """SMTP enough to take a message (RFC 5321, 4.1.1): says `refusal` to DATA if it has one."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.refusal = ""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 test ESMTP")
        while line := (await reader.readline()).decode().strip():
            word = line.split()[0].upper()
            if word == "DATA" and self.refusal:
                await say(self.refusal)
            elif word == "DATA":
                await say("354 go on")
                text = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.mails.append(text.removesuffix("\r\n.\r\n").replace("\r\n", "\n"))
                await say("250 taken")
            elif word == "QUIT":
                await say("221 bye")
                break
            else:
                await say("250 test")
        writer.close()


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    server = MailServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
