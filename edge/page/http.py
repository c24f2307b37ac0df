"""HTTP within bounds: bytes from anyone to a request, and an answer to bytes. On h11.

In: what a connection brings. Out: one `Request`, or `Refused` with the code that says why. One
request a connection: nothing is left over to confuse the next one with.

    head   8 KiB, 64 fields         body   8 KiB, of a form (x-www-form-urlencoded), 32 fields
    other methods, absolute targets, two Hosts: refused
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import h11

HEAD_BYTES_MAX = BODY_BYTES_MAX = 8 * 1024
FIELDS_MAX, FORM_FIELDS_MAX = 64, 32
METHODS = ("GET", "HEAD", "POST")
FORM = "application/x-www-form-urlencoded"

HTML = "text/html; charset=utf-8"
SECURITY = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # same-origin: with `no-referrer` a browser says `Origin: null` of our own forms
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "geolocation=(self), camera=(), microphone=()"),
)


class Refused(Exception):
    """A request that isn't answered but with this code."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{code} {why}")
        self.code, self.why = code, why


class Request(NamedTuple):
    """Header names are in lower case; of several with one name the first counts. `query` and
    `form` hold the first value of each field."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def cookies(self) -> dict[str, str]:
        parts = (part.strip().partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name: value for name, _, value in parts if name}


class Answer(NamedTuple):
    """`headers` come before those that every answer has."""

    code: int
    body: bytes = b""
    type: str = HTML
    headers: tuple[tuple[str, str], ...] = ()


class Incoming:
    """One request as it comes in."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._taken = 0

    def feed(self, data: bytes) -> Request | None:
        """The request once it is whole; None = not yet. No data means that the sender hung up.

        Raises:
            Refused: out of grammar or bounds.
        """
        self._taken += len(data)
        if self._taken > 2 * (HEAD_BYTES_MAX + BODY_BYTES_MAX):  # chunks of a byte have overhead
            raise Refused(413, "too much")
        try:
            self._http.receive_data(data)
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    return None
                if isinstance(event, h11.Request):
                    self._head = _checked(event)
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > BODY_BYTES_MAX:
                        raise Refused(413, "the body is too large")
                elif isinstance(event, h11.EndOfMessage) and self._head:
                    return _request(self._head, bytes(self._body))
                else:
                    raise Refused(400, "hung up")
        except h11.RemoteProtocolError as error:
            code = error.error_status_hint
            raise Refused(code if code in (400, 431, 501) else 400, "not HTTP") from error


def encode(answer: Answer, only_head: bool = False) -> bytes:
    """The bytes of an answer, after which the connection ends."""
    http = h11.Connection(h11.SERVER)
    fields = [
        *answer.headers,
        *SECURITY,
        ("Content-Type", answer.type),
        ("Content-Length", str(len(answer.body))),
        ("Connection", "close"),
    ]
    if not any(name == "Cache-Control" for name, _ in answer.headers):
        fields.append(("Cache-Control", "no-store"))
    if answer.code == 304:
        fields = [(name, value) for name, value in fields if not name.startswith("Content-L")]
    # h11 wants to have seen a request before it answers one.
    http.receive_data(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    http.next_event()
    head = h11.Response(status_code=answer.code, headers=fields)
    data = http.send(head) or b""
    return data if only_head or answer.code == 304 else data + answer.body


def see_other(where: str, *headers: tuple[str, str]) -> Answer:
    """After a form: look there."""
    return Answer(303, headers=(("Location", where), *headers))


def _checked(head: h11.Request) -> h11.Request:
    method = head.method.decode("ascii")
    if method not in METHODS:
        raise Refused(405, "GET, HEAD or POST")
    if len(head.headers) > FIELDS_MAX:
        raise Refused(431, "too many fields")
    if sum(name == b"host" for name, _ in head.headers) != 1:
        raise Refused(400, "one Host")
    lengths = [value for name, value in head.headers if name == b"content-length"]
    if lengths and (len(lengths[0]) > 6 or int(lengths[0]) > BODY_BYTES_MAX):
        raise Refused(413, "the body is too large")
    return head


def _request(head: h11.Request, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for name, value in head.headers:
        headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
    target = head.target.decode("ascii", "replace")
    if not target.startswith("/") or target.startswith("//"):
        raise Refused(400, "not a path of ours")
    try:
        parts = urlsplit(target)
        query = _fields(parts.query)
        form: dict[str, str] = {}
        if head.method == b"POST":
            if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
                raise Refused(415, f"{FORM} only")
            form = _fields(body.decode("ascii"))
    except ValueError as error:  # too many fields, or not text
        raise Refused(400, "not a form") from error
    return Request(head.method.decode("ascii"), parts.path, query, headers, form)


def _fields(text: str) -> dict[str, str]:
    """The first of each name.

    Raises:
        ValueError: too many, or not UTF-8.
    """
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX, errors="strict")
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found
