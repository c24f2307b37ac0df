"""One HTTP request over asyncio: bounded in time and size, follows nothing, keeps nothing.

In: method, URL, body, whom to trust. Out: status and body, or `HttpFailed`. h11 does the protocol;
a client library would cost a gateway 15 MB for what it never needs (pools, cookies, redirects).
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

import h11
import msgspec

BODY_MAX = 256 * 1024
READ_SIZE = 16 * 1024
PORTS = {"http": 80, "https": 443}


NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Trust(msgspec.Struct, frozen=True):
    """Whose certificate to take on `https://`: the system's authorities', those of `ca_file` (PEM),
    or only the one whose SHA-256 is `fingerprint` (hex, colons allowed), whatever else it says.
    """

    ca_file: str = ""
    fingerprint: str = ""


SYSTEM = Trust()


class HttpFailed(Exception):
    """No whole answer: unreachable, too slow, too large, or not HTTP."""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes


async def request(
    method: str,
    url: str,
    timeout_s: float,
    body: bytes = b"",
    *,
    body_max: int = BODY_MAX,
    headers: Mapping[str, str] = NO_HEADERS,
    trust: Trust = SYSTEM,
) -> Answer:
    """Ask once; `timeout_s` is wall time for all of it, the name's resolution included.

    Raises:
        HttpFailed: no whole answer.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _request(method, url, body, body_max, headers, trust)
    except TimeoutError as error:
        raise HttpFailed(f"no answer within {timeout_s:g} s") from error
    except (OSError, ValueError) as error:  # ValueError: the URL; OSError: network, TLS
        raise HttpFailed(str(error)) from error
    except h11.ProtocolError as error:
        raise HttpFailed("not HTTP") from error  # its text may quote what came


async def _request(
    method: str, url: str, body: bytes, body_max: int, extra: Mapping[str, str], trust: Trust
) -> Answer:
    where = urlsplit(url)
    if where.scheme not in PORTS or not where.hostname:
        raise HttpFailed("not an http:// or https:// URL")
    tls = _context(trust) if where.scheme == "https" else None
    port = where.port or PORTS[where.scheme]
    target = (where.path or "/") + (f"?{where.query}" if where.query else "")
    headers = [("Host", where.netloc.rpartition("@")[2]), ("Connection", "close")]
    headers += extra.items()
    if body:
        headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    reader, writer = await asyncio.open_connection(where.hostname, port, ssl=tls)
    try:
        if tls is not None and trust.fingerprint:
            _check_fingerprint(writer, trust.fingerprint)
        state = h11.Connection(h11.CLIENT)
        writer.write(state.send(h11.Request(method=method, target=target, headers=headers)) or b"")
        writer.write((state.send(h11.Data(data=body)) or b"") if body else b"")
        writer.write(state.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        return await _answer(state, reader, body_max)
    finally:
        writer.transport.abort()  # one question a connection: nothing is left to be said


def _context(trust: Trust) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=trust.ca_file or None)
    if trust.fingerprint:  # the pin says all: a self-signed certificate names anything, or expires
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _check_fingerprint(writer: asyncio.StreamWriter, wanted: str) -> None:
    """Before anything is said: a password is for the one that was pinned."""
    shown = hashlib.sha256(writer.get_extra_info("ssl_object").getpeercert(True)).hexdigest()
    if shown != wanted.replace(":", "").lower():
        raise HttpFailed(f"another certificate than the pinned one: SHA-256 {shown}")


async def _answer(state: h11.Connection, reader: asyncio.StreamReader, body_max: int) -> Answer:
    status, body = 0, bytearray()
    while True:
        event = state.next_event()
        if event is h11.NEED_DATA:
            state.receive_data(await reader.read(READ_SIZE))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > body_max:
                raise HttpFailed(f"answer over {body_max} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status, bytes(body))
        elif isinstance(event, h11.ConnectionClosed):
            raise HttpFailed("closed before an answer")
