"""InfluxDB 2 over HTTP: line protocol in through `/api/v2/write`, InfluxQL out through `/query`.

Why not influxdb-client here (set-up uses it): its synchronous writer blocks the loop or needs
threads, its asynchronous one is aiohttp underneath. Measured with batches of 5,000 lines, lines a
CPU-second of the client: synchronous 586,000 to 678,000, asynchronous 474,000 to 490,000, this
2,200,000 to 2,500,000. Neither speaks InfluxQL. A fate needs status, headers and body of every
answer, which here are one call away, and one session serves writing and reading.

A write is one request of at most `LINES_MAX` lines and `BODY_BYTES_MAX` bytes, or several. When
the database refuses a line, the request is halved until the bad lines stand alone: writing a good
line again changes nothing. See `influx2_answers` for what an answer means.
"""

from __future__ import annotations

import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import aiohttp

from ingest.stores import Bucket, Kept, Query, Row, StoreError, Written
from ingest.stores.block import Block
from ingest.stores.configuration import InfluxSettings
from ingest.stores.influx2_answers import Refused, Stored, TooLarge, judge, message
from ingest.stores.influx2_looks import Look, Looks
from ingest.stores.influx2_tokens import read_token
from ingest.stores.influxql import parse, render
from ingest.stores.live import Change, Changes
from ingest.stores.points import Reason
from ingest.stores.query import check_query, matches_nothing, order
from wire.clock import Clock

LINES_MAX = 5_000
BODY_BYTES_MAX = 4 * 1024 * 1024
ANSWER_BYTES_MAX = 128 * 1024 * 1024
log = logging.getLogger(__name__)

ERROR_BYTES_MAX = 64 * 1024
CONNECTIONS_MAX = 16


class InfluxStore:
    """One InfluxDB 2 (see `Store` and `LiveStore`)."""

    def __init__(
        self, settings: InfluxSettings, session: aiohttp.ClientSession, token: str, clock: Clock
    ) -> None:
        self._settings = settings
        self._session = session
        self._token = token
        self._clock = clock
        self._looks = Looks()

    @classmethod
    def open(cls, settings: InfluxSettings, clock: Clock) -> Self:
        """A store of these settings; call it inside a running loop.

        Raises:
            StoreError: the token or the CA can't be read.
        """
        token = read_token(Path(settings.token_file))
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ssl=_tls(settings)),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return cls(settings, session, token, clock)

    async def write(self, bucket: Bucket, lines: Sequence[str]) -> Written | Kept:
        """See `Store`. Lines that aren't one line each are rejected here: InfluxDB would store
        two, or answer that none is stored."""
        whole = _one_body(lines)
        rejected: dict[int, str] = {}
        pieces: list[Sequence[int]] = [range(len(lines))] if lines else []
        if whole is None:
            rejected = {
                index: str(Reason.GRAMMAR) for index, line in enumerate(lines) if not _is_line(line)
            }
            pieces = _pieces([index for index in range(len(lines)) if index not in rejected], lines)
        while pieces:
            piece = pieces.pop()
            body = whole if len(piece) == len(lines) else None
            if body is None:
                body = "\n".join(lines[index] for index in piece).encode()
            fate = await self._post_lines(bucket, body)
            if isinstance(fate, Kept):
                return fate
            if isinstance(fate, Stored):
                continue
            if isinstance(fate, Refused) and (len(piece) == 1 or fate.dropped >= len(piece)):
                rejected.update(dict.fromkeys(piece, str(fate.reason)))
            elif len(piece) == 1:
                return Kept("too_large", "413 for a single line: look at the proxy's limits")
            else:
                half = len(piece) // 2
                pieces += [piece[half:], piece[:half]]
        return Written(rejected)

    async def read(self, query: Query) -> list[Row]:
        """See `Store`."""
        (rows,) = await self._read_all([check_query(query)])
        return rows

    async def changes(
        self, kinds: Sequence[str], cursor: int, bucket: Bucket = Bucket.CITY
    ) -> Changes:
        """See `LiveStore`. The cursor is the time of the last look."""
        look = Look(tuple(kinds), cursor, bucket, self._clock.now_ms())
        asked = self._looks.notes(look)
        notes = await self._read_all([asked]) if asked else [[]]
        questions = self._looks.questions(look, notes[0], self._settings.retention.days(bucket))
        answers = zip(questions, await self._read_all(questions), strict=True)
        changes = [Change(query.kind, row) for query, rows in answers for row in rows]
        changes.sort(key=lambda change: order(change.row))
        self._looks.took(look, notes[0])
        return Changes(changes, look.now_ms)

    async def prune(self) -> int:
        """See `LiveStore`: InfluxDB removes old shards by itself."""
        return 0

    async def probe(self, bucket: Bucket = Bucket.CITY) -> Kept | None:
        """See `Store`. Writes nothing: InfluxDB looks at the token, the organisation, the bucket
        and the right to write there before it finds the body empty."""
        fate = await self._post_lines(bucket, b"")
        if isinstance(fate, Kept):
            return fate
        return None if isinstance(fate, Stored) else Kept("unexpected", "an empty write is refused")

    async def close(self) -> None:
        """See `Store`."""
        await self._session.close()

    async def _post_lines(self, bucket: Bucket, body: bytes) -> Stored | Refused | TooLarge | Kept:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._settings.gzip and body:
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        parameters = {
            "org": self._settings.org,
            "bucket": self._settings.buckets.name(bucket),
            "precision": "ms",
        }
        try:
            async with self._post("/api/v2/write", parameters, body, headers) as response:
                said = await _read(response, ERROR_BYTES_MAX)
                return judge(response.status, response.headers, said)
        except TimeoutError:
            return Kept("timeout", f"no answer within {self._settings.timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Kept("away", _describe(error))

    async def _read_all(self, queries: Sequence[Query]) -> list[list[Row]]:
        """The rows of checked queries over one bucket, in one request."""
        asked = [query for query in queries if not matches_nothing(query)]
        if not asked:
            return [[] for _ in queries]
        parameters = {"db": self._settings.buckets.name(asked[0].bucket), "epoch": "ms"}
        body = aiohttp.FormData({"q": ";".join(map(render, asked))})
        where = f"InfluxDB at {self._settings.url}"
        try:
            async with self._post("/query", parameters, body, {}) as response:
                answer = await _read(response, ANSWER_BYTES_MAX)
                status = response.status
        except TimeoutError as error:
            limit = f"{self._settings.timeout_s:g} s"
            raise StoreError(f"{where} gave no answer within {limit}; ask for less") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StoreError(f"{where} is away: {_describe(error)}") from error
        if status != 200:
            remedy = "Look at the token file" if status in (401, 403) else "Look at its log"
            raise StoreError(f"{where} answered {status}: {message(answer)}. {remedy}")
        if len(answer) >= ANSWER_BYTES_MAX:
            raise StoreError(f"the answer is over {ANSWER_BYTES_MAX} bytes; ask for less")
        answers = iter(parse(answer, asked))
        return [[] if matches_nothing(query) else next(answers) for query in queries]

    @asynccontextmanager
    async def _post(
        self,
        path: str,
        parameters: Mapping[str, str],
        body: bytes | aiohttp.FormData,
        headers: Mapping[str, str],
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._session.post(
            self._settings.url.rstrip("/") + path,
            params=parameters,
            data=body,
            headers={"Authorization": f"Token {self._token}", **headers},
            allow_redirects=False,
        ) as response:
            if response.status in (401, 403):  # 403: a token for a bucket that was made again
                self._renew_token()
            yield response

    def _renew_token(self) -> None:
        """Set-up may have written a new one; while the file can't be used, the old one goes on."""
        try:
            self._token = read_token(Path(self._settings.token_file))
        except StoreError as error:
            log.error("event=secret_not_read_again going_on_with=before reason=%r", str(error))


def _tls(settings: InfluxSettings) -> ssl.SSLContext | bool:
    if not settings.ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise StoreError(f"can't use the CA in {settings.ca_file}: {error}") from error


def _is_line(line: str) -> bool:
    """Whether InfluxDB will read exactly one point with a time of its own, of 13 digits (12 before
    2001). What else is wrong with it, it will say."""
    ends_in_time = line[-12:].isdigit() and (line[-14:-13] == " " or line[-13:-12] == " ")
    return ends_in_time and line.isascii() and "\n" not in line and line[0] != "#"


def _one_body(lines: Sequence[str]) -> bytes | None:
    """The body of one request that takes them all; None when there is none, or one of them isn't a
    line (`_is_line`). A block needs no such look."""
    if isinstance(lines, Block):
        body = lines.text
    else:
        whole = "\n".join(lines)
        if not _are_lines(lines, whole):
            return None
        body = whole.encode()
    return body if len(lines) <= LINES_MAX and len(body) <= BODY_BYTES_MAX else None


def _are_lines(lines: Sequence[str], whole: str) -> bool:
    """Whether all are lines (`_is_line`), for half of what asking each costs."""
    return (
        whole.isascii()
        and "#" not in whole
        and whole.count("\n") == len(lines) - 1
        and "".join([line[-13:] for line in lines]).isdigit()
        and "".join([line[-14:-13] for line in lines]) == " " * len(lines)
    )


def _pieces(indices: list[int], lines: Sequence[str]) -> list[Sequence[int]]:
    """The indices in requests of bounded size, the first one last."""
    pieces: list[list[int]] = []
    size = BODY_BYTES_MAX
    for index in indices:
        size += len(lines[index]) + 1
        if size > BODY_BYTES_MAX or len(pieces[-1]) == LINES_MAX:
            pieces.append([])
            size = len(lines[index]) + 1
        pieces[-1].append(index)
    return [*pieces[::-1]]


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, up to a limit."""
    read = bytearray()
    async for chunk in response.content.iter_any():
        read += chunk
        if len(read) >= limit:
            break
    return bytes(read[:limit])


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
