"""The uplink: drain the outbox to the cloud, one connection after the other.

In: sealed batches, and what waits in the outbox. Out: messages on the broker, and settled rows. It
decides nothing about sending: `edge.window` does, and this file does what it says.

On each connection, in this order: read our own retained status (it may know of a later life of
this card), subscribe, publish inventory and status, then the window: a snapshot, what is new as it
comes, the backlog beside it. A connection that is lost is replaced by a new one; nothing of the
old is carried over but what the window knows.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from edge.broker import (
    DELIVERED,
    SESSION_TAKEN_OVER,
    Connection,
    ConnectionLost,
    Outgoing,
    connect,
    most_telling,
)
from edge.configuration import EdgeConfiguration
from edge.identity import Identity
from edge.links.health import Backoff
from edge.outbox_file import OutboxFailing
from edge.outbox_thread import OutboxThread
from edge.records import Sealed
from edge.status import Report, inventory
from edge.timekeeping import Timekeeping
from edge.uplink_actions import Action, Ask, HangUp, Load, Park, Send, Snapshot
from edge.uplink_endings import certificate_changes, dates_can_be_judged
from edge.uplink_inbox import Inbox
from edge.uplink_snapshot import LastReadings
from edge.uplink_status import Tidings
from edge.window import Window
from wire.batch import CONTENT_TYPE
from wire.configuration import ConfigurationError
from wire.messages import Fate, pack_message
from wire.topics import TIME_TOPIC, Leaf, topic

CONNECT_S = 20.0
LEAVE_S = 2.0
LOOK_S = 1.0
RECONNECT_S = (0.2, 3.0)
TAKEN_OVER_S = (10.0, 20.0)
"""After another client took our name: two that take turns must not do it all the time."""

ROWS_MAX = 32
"""Payloads kept between looking up and sending; one that is gone is looked up again."""

_log = logging.getLogger(__name__)


class Uplink:
    """Sends what waits until told to leave."""

    def __init__(
        self,
        configuration: EdgeConfiguration,
        outbox: OutboxThread,
        timekeeping: Timekeeping,
        last: LastReadings,
        report: Report,
    ) -> None:
        self._configuration = configuration
        self._gateway = configuration.gateway.name
        self._outbox, self._timekeeping, self._clock = outbox, timekeeping, timekeeping.clock
        self._last, self.identity = last, Identity(configuration)
        self._window = Window(configuration.uplink)
        self._inbox = Inbox(self._gateway, outbox, self._window, self._clock, timekeeping.heard)
        self.besides, self.confirm_times = self._inbox.besides, self._inbox.confirm_times
        interval_s = configuration.uplink.status_interval_s
        self._tidings = Tidings(
            self._gateway, interval_s, report, timekeeping, self._inbox, lambda: self.alarms
        )
        self._rows: dict[int, Sealed] = {}
        self._connection: Connection | None = None
        self._shown_at, self._to_park = -math.inf, set[int]()
        self._wake = self._inbox.wake
        self._leaving = asyncio.Event()

    @property
    def alarms(self) -> tuple[str, ...]:
        """Why batches don't leave or don't count, for the status."""
        return self._window.alarms + self._inbox.alarms + self.identity.alarms

    @property
    def connected(self) -> bool:
        """Whether there is a connection to send on."""
        return self._connection is not None

    async def prepare(self) -> None:
        """Telemetry is about to be sealed: make the status that goes with it, if it is time. Made
        before, it says what is open, and not that a batch waits which is on its way."""
        if self._connection:
            with suppress(OutboxFailing):
                await self._tidings.prepare()

    def announce(self, sealed: Sequence[Sealed]) -> None:
        """Batches that were just sealed."""
        for row in sealed:
            self._keep(row)
            self._window.sealed(row.key.sequence)
        self._wake.set()

    def tell_fates(self, told: Callable[[Sequence[Fate]], None]) -> None:
        """Let somebody hear what the cloud says of our batches."""
        self._inbox.settled = told

    def look_again(self) -> None:
        """Something may wait that could not be sent before: the time is known now."""
        self._window.look_again()
        self._wake.set()

    def leave(self) -> None:
        """Say goodbye and let `drain` end."""
        self._leaving.set()

    async def drain(self) -> None:
        """Keep a connection and send what waits, until told to leave."""
        backoff = Backoff(*RECONNECT_S)
        while not self._leaving.is_set():
            began = self._clock.monotonic()
            lost: ConnectionLost | None = None
            try:
                await self._serve()
            except* ConnectionLost as group:
                lost = most_telling(group)
            except* OutboxFailing as group:
                lost = ConnectionLost(f"outbox: {group.exceptions[0]}")
            except* ConfigurationError as group:  # a file taken away, or damaged on the card
                lost = ConnectionLost(str(group.exceptions[0]), refused=True)
            if self._connection is not None:
                self._connection = None
                self._window.disconnected(self._clock.monotonic(), lost.code if lost else None)
            # Python 3.11's TaskGroup drops a cancellation that comes in the turn a child fails.
            if (task := asyncio.current_task()) and task.cancelling():
                raise asyncio.CancelledError
            if lost is None:
                return
            _log.warning("event=uplink_down reason=%r", str(lost))
            if lost.refused:
                self.identity.refused()
            if self._clock.monotonic() - began > RECONNECT_S[1]:
                backoff.reset()
            await self._pause(backoff.next_s(), lost.code)

    async def _pause(self, seconds: float, code: int | None) -> None:
        if code == SESSION_TAKEN_OVER:  # mosquitto 2.0 doesn't say it, other brokers do
            self._inbox.note_clone("another client has our name and epoch")
            seconds = random.uniform(*TAKEN_OVER_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()

    async def _serve(self) -> None:
        """One connection, from its first message to its loss or our goodbye.

        Raises (in a group):
            ConnectionLost: it couldn't be had, or it ended.
        """
        broker = self.identity.broker()
        self.identity.changed.clear()
        trusted = self._timekeeping.time_trusted()
        will = await self._tidings.status(online=False)
        summary = await self._outbox.summary()
        client_id = f"{self._gateway}-{summary.epoch}"
        async with connect(broker, client_id, will, trusted, CONNECT_S) as connection:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._inbox.listen(connection))]
                await self._greet(connection, summary.epoch, summary.newest_sequence)
                _log.info("event=uplink_up broker=%s:%d", broker.host, broker.port)
                self._connection = connection
                self._window.connected()
                tasks.append(group.create_task(self._send(connection)))
                tasks.append(group.create_task(self._tidings.keep_telling(connection)))
                tasks += [group.create_task(each.speak(connection)) for each in self.besides]
                tasks.append(group.create_task(certificate_changes(self.identity)))
                if broker.tls and not trusted:
                    tasks.append(group.create_task(dates_can_be_judged(self._timekeeping)))
                await self._leaving.wait()
                for task in tasks:
                    task.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await connection.publish(await self._tidings.status(online=False))

    async def _greet(self, connection: Connection, epoch: str, newest: int) -> None:
        """What comes first on every connection.

        Raises:
            ConnectionLost: also when this outbox isn't the only one, and takes a new epoch.
        """
        self._inbox.begin(epoch)
        status = topic(self._gateway, Leaf.STATUS)
        await connection.subscribe([status])
        await connection.unsubscribe(status)
        others = [topic(self._gateway, Leaf.CONFIRM)]
        if not self._timekeeping.time_trusted():
            others.append(TIME_TOPIC)
        await connection.subscribe([status, *others], own=False, kept=False)
        if reason := self._inbox.doubt(newest):
            _log.error("event=new_epoch reason=%s", reason)
            await self._outbox.new_epoch(reason)
            self._rows.clear()
            raise ConnectionLost(f"{reason}: going on under a new epoch")
        devices = pack_message(inventory(self._configuration))
        for message in (
            Outgoing(topic(self._gateway, Leaf.INVENTORY), devices, retain=True),
            await self._tidings.told(qos=1),
        ):
            code = await connection.publish(message)
            if code >= 0x80:
                _log.error("event=refused topic=%s code=0x%02x", message.topic, code)

    async def _send(self, connection: Connection) -> None:
        """Do what the window says, whenever something happened or it is time."""
        window = frozenset(self._window.copies)
        while True:
            self._wake.clear()
            for action in self._window.next(self._clock.monotonic()):
                await self._perform(connection, action)
            await self._park()
            if window != self._window.copies.keys():
                window = frozenset(self._window.copies)
                await self._outbox.set_window(window)
            wake_at = self._window.wake_at()
            wait_s = None if wake_at is None else max(0.0, wake_at - self._clock.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _perform(self, connection: Connection, action: Action) -> None:
        match action:
            case Send():
                await self._send_batch(connection, action)
            case Snapshot():
                await self._send_snapshot(connection)
            case Ask(leaf):
                answered = self._answered(connection, leaf)
                await connection.send(Outgoing(topic(self._gateway, leaf), b""), answered)
            case Load():
                await self._load(action)
            case Park(sequence):
                _log.error("event=parked sequence=%d", sequence)
                self._to_park.add(sequence)
            case HangUp():
                raise ConnectionLost("the broker doesn't answer")

    async def _park(self) -> None:
        """On disk too, so that it is counted as parked, and tried again at the next start: once the
        disk takes it. The window leaves it out meanwhile."""
        with suppress(OutboxFailing):
            for sequence in sorted(self._to_park):
                await self._outbox.park(sequence, "the broker hangs up on it")
                self._to_park.discard(sequence)

    async def _load(self, load: Load) -> None:
        """Look the backlog up; a disk that fails (a row gets its time by a commit) is asked again
        soon, and what is new goes on meanwhile."""
        try:
            rows = await self._outbox.waiting(load.after, load.limit)
        except OutboxFailing as error:
            _log.warning("event=backlog_unreadable reason=%r", error.reason)
            await self._clock.pause(LOOK_S)
            self._window.loaded(load.after, [], end=False)
        else:
            for row in rows:
                self._keep(row)
            self._window.loaded(load.after, [row.key.sequence for row in rows], end=not rows)
        self._wake.set()

    async def _send_batch(self, connection: Connection, send: Send) -> None:
        row = self._rows.pop(send.sequence, None)
        if row is None:
            found = await self._outbox.waiting(send.sequence - 1, 1)
            row = found[0] if found and found[0].key.sequence == send.sequence else None
        if row is None or not await self._outbox.mark_sent(send.sequence):
            self._window.settled(send.sequence, answered=False)  # dropped, confirmed, or parked
            self._wake.set()
            return
        self._inbox.sent(row.key)
        message = Outgoing(
            topic(self._gateway, send.leaf),
            row.payload,
            expiry_s=send.expiry_s,
            content_type=CONTENT_TYPE,
            correlation=row.key.pack(),
            user=(("seal_ms", str(row.seal_ms)),),
        )
        await connection.send(message, partial(self._puback, connection, send.sequence))
        if status := self._tidings.take_prepared():
            await connection.publish(status)

    async def _send_snapshot(self, connection: Connection) -> None:
        """Each device's last reading, without a key: written, never confirmed. Not again at once
        when a link comes and goes: on a mobile link it would cost more than all batches."""
        timeout_s = self._configuration.uplink.confirm_timeout_s
        if self._clock.monotonic() < self._shown_at + timeout_s:
            return
        for payload in self._last.batches():
            message = Outgoing(
                topic(self._gateway, Leaf.BATCH),
                payload,
                expiry_s=int(timeout_s),
                content_type=CONTENT_TYPE,
            )
            await connection.send(message, self._answered(connection, Leaf.BATCH, question=False))

    def _puback(self, connection: Connection, sequence: int, code: int) -> None:
        if connection is self._connection:
            self._window.puback(self._clock.monotonic(), sequence, code)
            self._wake.set()

    def _answered(
        self, connection: Connection, leaf: Leaf, question: bool = True
    ) -> Callable[[int], None]:
        """What to do with a PUBACK that says whether anybody listens; a refusal says it only of a
        question, a snapshot may just be too large."""

        def answered(code: int) -> None:
            if code == DELIVERED and not question:
                self._shown_at = self._clock.monotonic()
            if connection is self._connection and (question or code < 0x80):
                self._window.answered(self._clock.monotonic(), leaf, code)
                self._wake.set()

        return answered

    def _keep(self, row: Sealed) -> None:
        self._rows[row.key.sequence] = row
        if len(self._rows) > ROWS_MAX:
            del self._rows[next(iter(self._rows))]
