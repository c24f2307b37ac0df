"""Uplinks that were missed, asked for in The Things Stack's Storage Integration.

In: since when, for one device or all of an application. Out: to the sink, the uplinks that weren't
heard, once each, with their own times. Bounded: so many hours back, so many pages a question, one
request at a time.

    GET <url>/api/v3/as/applications/<application>[/devices/<id>]/packages/storage/uplink_message
        ?limit=100&order=received_at&after=<time>&field_mask=up.uplink_message....
    Authorization: Bearer <key>      Accept: text/event-stream
    200, one {"result": {...}} a line, blank lines between; the next page begins after the last one

The storage is written in batches, so that an uplink may not be there yet when we are back: the same
question is asked a second time after `SETTLE_S`. What it answers twice was heard before, and is
dropped here; after a restart of ours the outbox's keys do that.
A failed question is kept, and asked again with growing pauses.
Sources: thethingsindustries.com/docs/integrations/storage and .../retrieve;
github.com/TheThingsNetwork/lorawan-stack, applicationserver_integrations_storage.proto.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote, urlencode

import msgspec

from devices.envelope import Uplink, rfc3339
from devices.things_stack import Page, read_page
from edge.link_files import storage_key
from edge.link_settings import Storage
from edge.links import NotAccepted, Sink
from edge.links.health import Backoff, Health
from edge.links.http import HttpFailed, Trust, request
from edge.links.repeats import Recent
from wire.clock import Clock
from wire.configuration import ConfigurationError
from wire.small_file import Kept

PAGE_MESSAGES = 100
PAGE_BYTES_MAX = 8 * 1024 * 1024  # 100 messages of 64 KiB at most, and their frame
PAGES_MAX = 2000
QUESTIONS_MAX = 2000  # devices; one more gap asks for all of the application instead
SETTLE_S = 120.0
OVERLAP_MS = 120_000  # asked for again before the last uplink heard: others came out of order
PACE_S = 1.0  # between requests: a shared server limits them by the minute
RETRY_LOW_S, RETRY_HIGH_S = 2.0, 300.0
_HOUR_MS = 3_600_000
_FIELDS = (
    "session_key_id",
    "f_port",
    "f_cnt",
    "frm_payload",
    "decoded_payload",
    "rx_metadata",
    "settings",
    "received_at",
)


class StorageFailed(Exception):
    """No answer that can be used; the message says why, for a person."""


class Question(msgspec.Struct, frozen=True):
    """`device_id` "" is all of the application. `again`: to be asked a second time."""

    device_id: str
    after_ms: int
    due: float
    again: bool = False


class ThingsStorage:
    """Asks for what was missed.

    Args:
        settings: where, and how far back.
        health: the link's; `event_fetched` counts uplinks that were missed and came this way.
        heard: ids of uplinks that were handed to the sink; shared with the link.
        sink: where uplinks go.
        clock: now, and pauses in wall seconds.
        settle_s, pace_s: the module's.
    """

    def __init__(
        self,
        settings: Storage,
        health: Health,
        heard: Recent,
        sink: Sink,
        clock: Clock,
        settle_s: float = SETTLE_S,
        pace_s: float = PACE_S,
    ) -> None:
        self._settings, self._health, self._heard = settings, health, heard
        self._sink, self._clock = sink, clock
        self._settle_s, self._pace_s = settle_s, pace_s
        self._kept_key = Kept(lambda: storage_key(settings))
        self._questions: dict[str, Question] = {}
        self._asked = asyncio.Event()

    def ask(self, device_id: str, after_ms: int | None) -> None:
        """Ask soon for what came after that time; None asks as far back as it goes.

        Questions for one device become one, from the earliest time on; those for a device wait for
        the batch that its uplink is written with.
        """
        earliest_ms = self._clock.now_ms() - int(self._settings.hours_max * _HOUR_MS)
        after_ms = earliest_ms if after_ms is None else max(after_ms, earliest_ms)
        if device_id and len(self._questions) >= QUESTIONS_MAX:
            device_id = ""
        due = self._clock.monotonic() + (self._settle_s if device_id else 0.0)
        known = self._questions.get(device_id)
        if known is not None:
            after_ms, due = min(after_ms, known.after_ms), min(due, known.due)
        self._questions[device_id] = Question(device_id, after_ms, due, again=not device_id)
        self._asked.set()

    async def run(self) -> None:
        """Answer questions until cancelled."""
        backoff = Backoff(RETRY_LOW_S, RETRY_HIGH_S)
        while True:
            question = await self._next()
            try:
                await self._fetch(question)
            except StorageFailed as failed:
                self._health.count("storage")
                self._health.remark(f"storage: {failed}")
                self.ask(question.device_id, question.after_ms)
                await self._clock.pause(backoff.next_s())
                continue
            backoff.reset()
            self._health.remark("")
            if question.again and question.device_id not in self._questions:
                due = self._clock.monotonic() + self._settle_s
                second = msgspec.structs.replace(question, due=due, again=False)
                self._questions[question.device_id] = second
            await self._clock.pause(self._pace_s)

    async def _next(self) -> Question:
        """The question that is due first, once it is."""
        while True:
            self._asked.clear()
            first = min(self._questions.values(), key=lambda one: one.due, default=None)
            if first is None:
                await self._asked.wait()
                continue
            wait_s = first.due - self._clock.monotonic()
            if wait_s <= 0:
                return self._questions.pop(first.device_id)
            try:
                async with asyncio.timeout(wait_s):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def _fetch(self, question: Question) -> None:
        """All pages of a question.

        Raises:
            StorageFailed: no answer, or the outbox can't commit.
        """
        after = rfc3339(question.after_ms).replace("+00:00", "Z")
        for _ in range(PAGES_MAX):
            page = await self._page(question.device_id, after)
            if page.garbage:
                self._health.count("storage_garbage")
            await self._hand_over(
                [one for one in page.uplinks if one.deduplication_id not in self._heard]
            )
            # Not "fewer than asked for": a server may give fewer at a time than we ask.
            if not page.messages or page.after in ("", after):
                return
            after = page.after
            await self._clock.pause(self._pace_s)

    async def _page(self, device_id: str, after: str) -> Page:
        settings, key = self._settings, self._key()
        device = f"/devices/{quote(device_id, safe='')}" if device_id else ""
        asked = {
            "limit": PAGE_MESSAGES,
            "order": "received_at",
            "after": after,
            "field_mask": ",".join(f"up.uplink_message.{name}" for name in _FIELDS),
        }
        url = (
            f"{settings.url.rstrip('/')}/api/v3/as/applications/"
            f"{quote(settings.application, safe='')}{device}"
            f"/packages/storage/uplink_message?{urlencode(asked)}"
        )
        headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        try:
            answer = await request(
                "GET",
                url,
                settings.timeout_s,
                body_max=PAGE_BYTES_MAX,
                headers=headers,
                trust=Trust(settings.ca_file),
            )
        except HttpFailed as error:
            raise StorageFailed(str(error)) from error
        if answer.status != 200:
            raise StorageFailed(_WHY.get(answer.status, f"status {answer.status}"))
        return read_page(answer.body)

    def _key(self) -> str:
        try:
            return self._kept_key.now()  # each time: keys are renewed
        except ConfigurationError as error:
            raise StorageFailed(str(error)) from error

    async def _hand_over(self, uplinks: list[Uplink]) -> None:
        """Give them to the sink, and wait until all are answered."""
        if not uplinks:
            return
        answers: list[NotAccepted | None] = []
        whole = asyncio.Event()

        def answered(id_: str) -> Callable[[NotAccepted | None], None]:
            def note(refused: NotAccepted | None) -> None:
                answers.append(refused)
                if refused is not None:
                    self._heard.discard(id_)
                if len(answers) == len(uplinks):
                    whole.set()

            return note

        for uplink in uplinks:
            self._heard.add(uplink.deduplication_id)
            self._sink.uplink(self._health.name, uplink, answered(uplink.deduplication_id))
        await whole.wait()
        for refused in answers:
            if refused is not None:
                raise StorageFailed(f"the outbox can't commit: {refused}") from refused
            self._health.count("event_fetched")


_WHY = {
    401: "the server doesn't know our API key",
    403: "the API key may not read this application's traffic",
    404: "no such application, or the Storage Integration isn't enabled for it",
    429: "too many requests",
}
