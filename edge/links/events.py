"""A signed event to a reading that is committed, or to the reason why it isn't one.

In: where it was sent to, its headers, its body. Out: an `Outcome`, once it is known. In this order:

    genuine        signature and time (`devices/signature.py`)         else 401
    somebody's     the first device whose topic and `match` fit it;    else 200 `nobodys`: a payment
                   several would count it several times                that is pending or expired
    an event       the device's field map reads it, in the kind's      else 422
                   bounds and the link's
    of its time    not older than the outbox knows repeats (31 days),  else 422 `time`
                   not from the future
    told before    its number was ours already, and said the same      200 `repeat`; 409 `changed`
    committed      the outbox has it on disk                           200 `stored`; 503 if it can't

Whoever gets 200 needn't tell it again. Everything that isn't `stored` is counted by reason.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from devices.driver import Driver
from devices.envelope import Uplink
from devices.kinds import KINDS
from devices.reading import Payload, Refusal, Undecodable, Values
from devices.signature import NotGenuine, Rule, check
from devices.topics import Listener, fits, read_json
from edge.link_settings import Webhook
from edge.links import NotAccepted, Sink
from edge.links.health import Health
from edge.links.told import Told
from wire.clock import Clock
from wire.configuration import ConfigurationError
from wire.small_file import Kept

AGE_MAX_MS = timedelta(days=31) // timedelta(milliseconds=1)
AHEAD_MAX_MS = timedelta(minutes=10) // timedelta(milliseconds=1)
COMMIT_S = 25.0
"""Longer than any disk of ours takes; senders hang up after 30 s and more."""


class Outcome(NamedTuple):
    """What becomes of it: an HTTP status and a word of a closed list."""

    status: int
    word: str


class Terminal(NamedTuple):
    """A device, and which events are its own."""

    listener: Listener
    driver: Driver


class Events:
    """What comes from one sender.

    Args:
        settings: the link's.
        terminals: its devices; the first that fits takes an event.
        secrets: those that are valid now; a file that can't be used is a `ConfigurationError`.
        sink, clock, time_trusted: as for any link.
        told: numbers that are ours already.
        health: where refusals are counted.
    """

    def __init__(
        self,
        settings: Webhook,
        terminals: Sequence[Terminal],
        secrets: Kept[list[bytes]],
        sink: Sink,
        clock: Clock,
        time_trusted: Callable[[], bool],
        told: Told,
        health: Health,
    ) -> None:
        self._name, self._amount_max = settings.name, settings.amount_idr_max
        self._rule: Rule = settings.signature.rule
        self._terminals, self._secrets = terminals, secrets
        self._sink, self._clock, self._time_trusted = sink, clock, time_trusted
        self._told, self._health = told, health
        self._under_way: set[str] = set()

    def serves(self, topic: str) -> bool:
        """Whether any device listens there."""
        return any(fits(one.listener.topic, topic) for one in self._terminals)

    async def take(self, topic: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """One event to its end; `headers` with lower-case names."""
        if not self._time_trusted():
            return self._noise(503, "clock")
        now_ms = self._clock.now_ms()
        try:
            check(self._rule, self._secrets.now(), headers, body, now_ms / 1000)
        except NotGenuine as error:
            if self._secrets.behind and error.reason == "signature":
                return self._noise(503, "secret")  # it may be signed with what we couldn't read
            return self._noise(401, error.reason)
        except ConfigurationError as error:
            self._health.down(str(error))
            return self._noise(503, "secret")
        self._health.up(str(self._secrets.behind or ""))
        terminal, data, word = self._whose(topic, body)
        if terminal is None:
            return self._noise(200 if word == "nobodys" else 400, word)
        try:
            values = self._read(terminal, data, now_ms)
        except Undecodable as error:
            self._sink.refused(terminal.listener.device, error.reason)
            self._health.count(error.reason)
            return Outcome(422, error.reason)
        return await self._once(terminal, data, values, now_ms)

    def _noise(self, status: int, word: str) -> Outcome:
        self._sink.noise(self._name, word)
        self._health.count(word)
        return Outcome(status, word)

    def _whose(self, topic: str, body: bytes) -> tuple[Terminal | None, bytes, str]:
        """The device, the JSON that its map reads; or why there is none."""
        for terminal in self._terminals:
            heard = read_json([terminal.listener], topic, body)
            if heard.garbage:
                return None, b"", "garbage"
            if heard.messages:
                return terminal, heard.messages[0][1], ""
        return None, b"", "nobodys"

    def _read(self, terminal: Terminal, data: bytes, now_ms: int) -> Values:
        (values,) = terminal.driver.decode(Payload(data))
        if int(values.fields.get("amount_idr", 0)) > self._amount_max:
            raise Undecodable(Refusal.RANGE, f"more than {self._amount_max} rupiah")
        time_ms = values.time_ms
        if time_ms is None or not now_ms - AGE_MAX_MS <= time_ms <= now_ms + AHEAD_MAX_MS:
            raise Undecodable(Refusal.TIME, "not of the last 31 days")
        return values

    async def _once(self, terminal: Terminal, data: bytes, values: Values, now_ms: int) -> Outcome:
        device, kind = terminal.listener.device, KINDS[terminal.driver.kind]
        number = str(values.fields[kind.number])
        said = _digest(device, values)
        before = self._said_before(number)
        if before is not None:
            word = "repeat" if before == said else "changed"
            self._sink.refused(device, Refusal.REPEAT)
            self._health.count(word)
            return Outcome(200 if word == "repeat" else 409, word)
        if number in self._under_way:
            return self._noise(503, "under_way")
        self._under_way.add(number)
        try:
            async with asyncio.timeout(COMMIT_S):
                refused = await self._committed(device, data, now_ms)
        except TimeoutError:
            return self._noise(503, "disk_slow")
        finally:
            self._under_way.discard(number)
        if refused is not None:
            return self._noise(503, "not_accepted")
        self._note(number, said, now_ms)
        return Outcome(200, "stored")

    async def _committed(self, device: str, data: bytes, now_ms: int) -> NotAccepted | None:
        fate: asyncio.Future[NotAccepted | None] = asyncio.get_running_loop().create_future()

        def answered(refused: NotAccepted | None) -> None:
            if not fate.done():  # whoever asked may be gone
                fate.set_result(refused)

        self._sink.uplink(self._name, Uplink(device, 0, b"", now_ms, decoded=data), answered)
        return await fate

    def _said_before(self, number: str) -> bytes | None:
        try:
            return self._told.said(number)
        except sqlite3.Error as error:  # the point's own place still makes a repeat one
            self._file_failed(error)
            return None

    def _note(self, number: str, said: bytes, now_ms: int) -> None:
        try:
            self._told.note(number, said, now_ms)
        except sqlite3.Error as error:
            self._file_failed(error)

    def _file_failed(self, error: sqlite3.Error) -> None:
        self._health.count("told_file")
        self._health.remark(f"the file of known numbers: {error}")


def _digest(device: str, values: Values) -> bytes:
    """What counts of an event: whose, and every value; not its time."""
    said = msgspec.json.encode([device, sorted(values.fields.items())])
    return hashlib.sha256(said).digest()[:16]
