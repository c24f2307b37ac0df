"""`/metrics` and `/healthz`: what Prometheus reads, and what a load balancer or a person asks.

In: an address, and callables that say how a process is. Out: a few kilobytes of HTTP to whoever
connects, nothing else; no server library, since the agent's memory counts. It has no password:
listen on 127.0.0.1, or where only the city's own Prometheus can come.

An address that is taken is said and tried again: watching must never stop what is watched.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from wire.configuration import Metrics, listening

CONNECTIONS_MAX = 4
"""At once; more wait in the kernel's backlog, and what doesn't fit there is refused."""

BACKLOG = 8
REQUEST_S = 5.0
HEAD_BYTES_MAX = 8192
RETRY_S = 10.0
REASONS_MAX = 32
"""Values of one label; what comes beyond is counted as `other`."""

TEXT = "text/plain; version=0.0.4; charset=utf-8"
_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
            503: "Service Unavailable"}  # fmt: skip

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """A page. `text` is UTF-8."""

    code: int
    text: str


Page = Callable[[], Awaitable[Answer]]


class Family(NamedTuple):
    """One metric: `kind` is `counter`, `gauge` or `histogram`; samples are (suffix, labels, value).

    The name has the unit, and ends in `_total` for a counter (Prometheus, "Metric and label
    naming")."""

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[str, Mapping[str, str], float]]


def gauge(name: str, help_: str, value: float, **labels: str) -> Family:
    return Family(name, "gauge", help_, [("", labels, value)])


def counter(name: str, help_: str, value: float) -> Family:
    return Family(name, "counter", help_, [("", {}, value)])


def by_reason(name: str, help_: str, counts: Mapping[str, int], label: str = "reason") -> Family:
    """A counter with one label, of bounded values: the far side names some of them."""
    kept = dict(sorted(counts.items())[:REASONS_MAX])
    if len(kept) < len(counts):
        kept["other"] = kept.get("other", 0) + sum(counts.values()) - sum(kept.values())
    return Family(name, "counter", help_, [("", {label: why}, n) for why, n in kept.items()])


def exposition(families: Iterator[Family]) -> str:
    """Prometheus's text format 0.0.4."""
    lines = []
    for name, kind, help_, samples in families:
        if not samples:
            continue
        lines += [f"# HELP {name} {help_}", f"# TYPE {name} {kind}"]
        for suffix, labels, value in samples:
            inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            braced = f"{{{inner}}}" if inner else ""
            lines.append(f"{name}{suffix}{braced} {_number(value)}")
    return "\n".join([*lines, ""])


def process_families() -> Iterator[Family]:
    """This process, under the names that every Prometheus client has."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime
    yield counter("process_cpu_seconds_total", "CPU time, user and system.", cpu_s)
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return
    resident = pages * os.sysconf("SC_PAGE_SIZE")
    yield gauge("process_resident_memory_bytes", "Memory in RAM.", resident)


async def serve(metrics: Metrics, pages: Mapping[str, Page]) -> None:
    """Answer until cancelled; nothing when `listen` is empty."""
    where = listening(metrics, "")
    if where is None:
        return
    while True:
        try:
            with _listener(where) as door:
                log.info("event=metrics listen=%s", metrics.listen)
                await _answer_all(door, pages)
        except* OSError as group:
            why = str(group.exceptions[0])
            log.error("event=metrics_down listen=%s why=%r", metrics.listen, why)
        await asyncio.sleep(RETRY_S)


def _listener(where: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    return socket.create_server(where, family=family, backlog=BACKLOG)


async def _answer_all(door: socket.socket, pages: Mapping[str, Page]) -> None:
    door.setblocking(False)
    room = asyncio.Semaphore(CONNECTIONS_MAX)

    async def one(connection: socket.socket) -> None:
        try:
            await _answer(connection, pages)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        while True:
            await room.acquire()
            connection, _ = await asyncio.get_running_loop().sock_accept(door)
            group.create_task(one(connection))


async def _answer(connection: socket.socket, pages: Mapping[str, Page]) -> None:
    """One request, one page; whoever says nothing sensible in time is hung up on."""
    reader, writer = await asyncio.open_connection(sock=connection, limit=HEAD_BYTES_MAX)
    try:
        async with asyncio.timeout(REQUEST_S):
            head = await reader.readuntil(b"\r\n\r\n")
            method, page = await _page(head, pages)
            body = page.text.encode()
            writer.write(
                f"HTTP/1.1 {page.code} {_PHRASES[page.code]}\r\nContent-Type: {TEXT}\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            )
            writer.write(b"" if method == "HEAD" else body)
            await writer.drain()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # theirs to try again
    finally:
        writer.close()


async def _page(head: bytes, pages: Mapping[str, Page]) -> tuple[str, Answer]:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return "", Answer(400, "not HTTP\n")
    method, target, _ = words
    page = pages.get(target.partition("?")[0])
    if page is None:
        return method, Answer(404, f"{' '.join(pages)}\n")
    if method not in ("GET", "HEAD"):
        return method, Answer(405, "GET\n")
    return method, await page()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
