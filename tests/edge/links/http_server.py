"""A small HTTP server inside a test: what it answers is a function of what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Answer = Callable[[str, str, bytes], tuple[int, bytes]]


@asynccontextmanager
async def http_server(
    answer: Answer, tls: ssl.SSLContext | None = None, heads: list[str] | None = None
) -> AsyncIterator[str]:
    """Serves on 127.0.0.1; gives its URL. `answer` gets method, target and body; `heads` collects
    what stood in front of each body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.split(" ", 2)
            if heads is not None:
                heads.append(head)
            size = [line for line in head.splitlines() if line.lower().startswith("content-length")]
            body = await reader.readexactly(int(size[0].partition(":")[2]) if size else 0)
            status, data = answer(method, target, body)
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(data)}\r\n\r\n".encode())
            writer.write(data if status != 204 else b"")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a probe that only connects
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
