"""Where links put what they hear, and where it becomes durable.

In: payloads and uplinks from links. Out: sealed batches, announced to the uplink. A polled reading
is *open* until the seal that holds it is committed; an uplink isn't acknowledged before its journal
entry is. Time: seals come with city time, gathering is the network's and the disk's, in wall time.

    telemetry     sealed every `seal_interval_s`
    an event      sealed after `event_gather_s`, at most `event_seals_per_minute` times a minute;
                  beyond that events wait for the next seal that is allowed
    an uplink     journalled with all others that came meanwhile, in one commit: within
                  `JOURNAL_GATHER_S`, at once when it is an event or enough have come

Full or failing disk: open readings are refused and counted, uplinks are `NotAccepted` and not
counted, polling goes on. A damaged file ends the process: the next start repairs it.

The ledger balances at every await: what is in the outbox's thread holds the lock, and the ledger
waits for it, so nothing is counted twice or not at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from devices.envelope import Uplink
from devices.reading import Payload, Refusal
from edge.configuration import OutboxSettings
from edge.intake import Intake
from edge.links import Answered, NotAccepted
from edge.outbox_file import OutboxDamaged, OutboxFailing, OutboxFull
from edge.outbox_thread import OutboxThread
from edge.records import Line, Sealed, Tally
from edge.uplink_snapshot import LastReadings
from wire.clock import Clock
from wire.messages import Ledger

OPEN_MAX = 50_000
"""Open readings in memory; one more is refused{open_full}. A seal interval of 800 a second."""

QUEUED_UPLINKS_MAX = 1000
"""Uplinks that wait for the journal; one more is not accepted, and comes again."""

JOURNAL_GATHER_S = 0.1
ENOUGH = (16, 64)
"""Uplinks that are committed without gathering on: as many as came the last time, between these.
A broker sends no more than it may have unacknowledged (20, as mosquitto comes), so waiting for more
would only make it wait; and a commit for each at 100 a second would cost more than the rest."""

_MINUTE_S = 60.0

_log = logging.getLogger(__name__)


async def _nothing() -> None:
    """Nobody has anything to prepare."""


class _Queued(NamedTuple):
    """An uplink on its way into the journal, with what intake counted for it."""

    lines: list[Line]
    counts: Counter[tuple[str, str]]
    answered: Answered


class Sealing:
    """The agent's `Sink`, and the owner of what is open."""

    def __init__(
        self,
        settings: OutboxSettings,
        outbox: OutboxThread,
        intake: Intake,
        tally: Tally,
        clock: Clock,
        last: LastReadings,
    ) -> None:
        self._settings, self._outbox, self._clock = settings, outbox, clock
        self._intake, self._tally = intake, tally
        self._last = last
        self.announce: Callable[[list[Sealed]], None] = lambda _: None  # the uplink, once there
        self.prepare: Callable[[], Awaitable[None]] = _nothing  # the same
        self.remember: Callable[[], dict[str, bytes]] = dict  # what else goes with a seal's states
        self._open: list[Line] = []
        self._queue: list[_Queued] = []
        self._queued = asyncio.Event()
        self._hurry = asyncio.Event()
        self._enough = ENOUGH[1]
        self._event = asyncio.Event()
        self._event_seals: deque[float] = deque(maxlen=settings.event_seals_per_minute)
        self._lock = asyncio.Lock()  # held while lines or counts are in the outbox's thread
        self._ending = asyncio.Event()
        self._failing = ""

    @property
    def alarms(self) -> tuple[str, ...]:
        """`disk_full` or `disk_failing` while nothing can be accepted."""
        return (self._failing,) if self._failing else ()

    # The sink

    def polled(self, device: str, payload: Payload) -> None:
        """A device's answer: open until the next seal."""
        for line in self._intake.take_polled(device, payload):
            if len(self._open) >= OPEN_MAX:
                self._tally.add("refused", "open_full")
                continue
            self._open.append(line)
            if line.event:
                self._event.set()

    def refused(self, device: str, reason: Refusal) -> None:
        """A device that was asked and gave nothing."""
        self._intake.refuse(reason)

    def noise(self, link: str, reason: str) -> None:
        """Something that belongs to no device."""
        self._tally.add("noise", reason)

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        """A network server's uplink; `answered` once it is committed, or can't be."""
        if len(self._queue) >= QUEUED_UPLINKS_MAX:
            answered(NotAccepted("too many uplinks wait for the disk"))
            return
        before, self._tally.counts = self._tally.counts, Counter()
        lines = self._intake.take_uplink(uplink)
        counts, self._tally.counts = self._tally.counts, before
        # Without lines it is refused: that too is committed before it is acknowledged.
        self._queue.append(_Queued(lines, counts, answered))
        self._queued.set()
        if len(self._queue) >= self._enough or any(line.event for line in lines):
            self._hurry.set()

    # What runs

    async def run(self) -> None:
        """Seal and journal until told to end, and then a last time."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._seal_telemetry()),
                group.create_task(self._seal_events()),
                group.create_task(self._journal()),
            ]
            await self._ending.wait()
            async with self._lock:  # so that no commit is cut off from what it means
                for task in tasks:
                    task.cancel()
        async with self._lock:
            await self._commit_uplinks()
        await self.seal(at_the_end=True)

    def end(self) -> None:
        """Let `run` come to its end."""
        self._ending.set()

    async def seal(self, at_the_end: bool = False) -> None:
        """Commit what is open and what is journalled as batches; at the end with every state."""
        async with self._lock:
            self._event.clear()
            lines, self._open = self._open, []
            counts = self._tally.take()
            states = self._intake.changed_states(at_the_end)
            if lines or states:  # for itself it isn't worth a commit
                states |= self.remember()
            try:
                sealed = await self._outbox.seal(lines, states, counts)
            except OutboxFailing as error:
                counts["refused", self._fail(error)] += len(lines)
                await self._count(counts)
                self._intake.give_back_states(states)
            else:
                self._failing = ""
                self._last.take(lines)
                self.announce(sealed)

    async def _count(self, counts: Counter[tuple[str, str]]) -> None:
        """What was refused is committed alone: a full outbox has room for that, and a crash would
        forget it. A disk that takes nothing leaves it for the next commit."""
        try:
            await self._outbox.journal([], counts)
        except OutboxFailing as error:
            self._fail(error)
            self._tally.give_back(counts)

    async def ledger(self) -> Ledger:
        """Where every reading is, those included that are open or on their way to the journal.

        Raises:
            OutboxFailing: the outbox can't be read.
        """
        async with self._lock:
            counts = Counter(self._tally.counts)
            for queued in self._queue:
                counts.update(queued.counts)
            open_readings = len(self._open) + sum(len(queued.lines) for queued in self._queue)
            return await self._outbox.ledger(counts, open_readings)

    async def _seal_telemetry(self) -> None:
        interval_s = self._settings.seal_interval_s
        due_s = self._clock.uptime_s() + interval_s
        while True:
            await self._clock.sleep(max(0.0, due_s - self._clock.uptime_s()))
            due_s = max(due_s + interval_s, self._clock.uptime_s())
            await self.prepare()
            await self.seal()

    async def _seal_events(self) -> None:
        while True:
            await self._event.wait()
            await self._clock.pause(self._settings.event_gather_s)
            await self._clock.pause(self._until_allowed())
            if self._event.is_set():  # no other seal took it along
                self._event_seals.append(self._clock.monotonic())
                await self.seal()

    def _until_allowed(self) -> float:
        if len(self._event_seals) < self._settings.event_seals_per_minute:
            return 0.0
        return max(0.0, self._event_seals[0] + _MINUTE_S - self._clock.monotonic())

    async def _journal(self) -> None:
        gather_s = min(self._settings.journal_commit_s, JOURNAL_GATHER_S)
        while True:
            await self._queued.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(gather_s):
                    await self._hurry.wait()
            async with self._lock:
                await self._commit_uplinks()

    async def _commit_uplinks(self) -> None:
        group, self._queue = self._queue, []
        self._queued.clear()
        self._hurry.clear()
        if not group:
            return
        self._enough = min(max(ENOUGH[0], len(group)), ENOUGH[1])
        lines = [line for queued in group for line in queued.lines]
        counts: Counter[tuple[str, str]] = Counter()
        for queued in group:
            counts.update(queued.counts)
        try:
            fresh = await self._outbox.journal(lines, counts)
        except OutboxFailing as error:
            self._fail(error)
            refused = NotAccepted(error.reason)
            for queued in reversed(group):
                self._undo(queued)
            for queued in group:
                queued.answered(refused)
            return
        self._failing = ""
        accepted = [line for line, new in zip(lines, fresh, strict=True) if new]
        self._last.take(accepted)
        if any(line.event for line in accepted):
            self._event.set()
        for queued in group:
            queued.answered(None)

    def _undo(self, queued: _Queued) -> None:
        """Count nothing of an uplink that isn't accepted: it will come again."""
        lines = len(queued.lines)
        self._tally.give_back(Counter({("taken", ""): lines}))
        self._intake.give_back(queued.lines)

    def _fail(self, error: OutboxFailing) -> str:
        """Note that the outbox can't commit; the reason for the ledger and the status.

        Raises:
            OutboxDamaged: only a new start can repair it.
        """
        if isinstance(error, OutboxDamaged):
            raise error
        self._failing = "disk_full" if isinstance(error, OutboxFull) else "disk_failing"
        _log.error("event=%s reason=%r remedy=%r", self._failing, error.reason, error.remedy)
        return self._failing
