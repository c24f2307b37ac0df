"""What the cloud says to this gateway: fates of batches, the time, and our own name.

In: messages. Out: settled rows in the outbox and the window, a word to timekeeping, and whether
there is another of us:

    our retained status, our epoch, ahead of the outbox     restored: this card is an old copy
    our retained status, our epoch, in words not ours       cloned: a twin was here meanwhile
    a status of our name, online, with another epoch        cloned: a twin is here now

The first two are seen on connecting, and answered with a new epoch; every sign of a twin raises the
`cloned` alarm.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from edge.beside import Beside
from edge.broker import Connection, Received
from edge.durations import Durations
from edge.outbox_file import OutboxFailing
from edge.outbox_thread import OutboxThread
from edge.window import Window
from wire.batch import BatchKey, digest
from wire.clock import Clock
from wire.messages import (
    BadMessage,
    CloudTime,
    Confirm,
    Fate,
    Status,
    decode_confirm,
    decode_message,
)
from wire.topics import TIME_TOPIC, Leaf, topic

CLONED_S = 3600.0
"""How long the alarm stands after the last sign of another of us."""

_SENT_MAX = 1024
_STATUSES_MAX = 1024  # a broker that restarts may know one that is hours old
_WILLS_MAX = 256  # each is as old as its connection was long
_log = logging.getLogger(__name__)


class Inbox:
    """Reads what arrives on a connection; `wake` is set when the window may have work."""

    def __init__(
        self,
        gateway: str,
        outbox: OutboxThread,
        window: Window,
        clock: Clock,
        time_heard: Callable[[int], None],
    ) -> None:
        self._outbox, self._window, self._clock = outbox, window, clock
        self._time_heard = time_heard
        self._confirm = topic(gateway, Leaf.CONFIRM)
        self._status = topic(gateway, Leaf.STATUS)
        self._epoch = ""
        self._digests: dict[int, bytes] = {}  # of what was sent and not settled yet
        self._sent_s: dict[int, float] = {}  # when first, by this process
        self.confirm_times = Durations()  # from a batch's first send to its final fate
        self._statuses: deque[bytes] = deque(maxlen=_STATUSES_MAX)
        self._wills: deque[bytes] = deque(maxlen=_WILLS_MAX)
        self._kept: tuple[Status, bool] | None = None
        self._greeted = False
        self.besides: list[Beside] = []
        self._cloned_until = 0.0
        self.settled: Callable[[Sequence[Fate]], None] = lambda _: None  # an onlooker, if any
        self.wake = asyncio.Event()

    @property
    def alarms(self) -> tuple[str, ...]:
        """`cloned` while another of us has been noticed lately."""
        return ("cloned",) if self._clock.monotonic() < self._cloned_until else ()

    def begin(self, epoch: str) -> None:
        """A new connection, under this epoch."""
        self._epoch, self._kept = epoch, None

    def said(self, status: bytes, online: bool) -> None:
        """A status or a will of ours, so that it is known again."""
        (self._statuses if online else self._wills).append(digest(status))

    def doubt(self, newest: int) -> str:
        """Why this outbox isn't the only one of its epoch, by the status that the broker kept:
        `restored`, `cloned`, or "" for no doubt. `newest` is the outbox's newest sequence."""
        greeted, self._greeted = self._greeted, True
        if self._kept is None or self._kept[0].epoch != self._epoch:
            return ""
        status, ours = self._kept
        if status.newest_sequence > newest:
            return "restored"
        if greeted and not ours:
            self.note_clone("a status of our name and epoch that isn't ours")
            return "cloned"
        return ""

    def sent(self, key: BatchKey) -> None:
        """A batch goes out: answers for it name this digest."""
        self._digests[key.sequence] = key.digest
        self._sent_s.setdefault(key.sequence, self._clock.monotonic())
        for known in (self._digests, self._sent_s):
            if len(known) > _SENT_MAX:
                del known[next(iter(known))]

    def note_clone(self, reason: str) -> None:
        """Another of us was noticed."""
        _log.error("event=cloned reason=%r", reason)
        self._cloned_until = self._clock.monotonic() + CLONED_S

    async def listen(self, connection: Connection) -> None:
        """Take in what arrives until the connection is lost, which it raises."""
        async for message in connection.messages():
            try:
                await self._take(message)
            except BadMessage as error:
                _log.warning("event=bad_message topic=%s reason=%r", message.topic, str(error))

    async def _take(self, message: Received) -> None:
        if message.topic == self._confirm:
            await self._settle(decode_confirm(message.payload))
        elif message.topic == TIME_TOPIC:
            self._time_heard(decode_message(message.payload, CloudTime).time_ms)
        elif message.topic == self._status and message.payload:
            status = decode_message(message.payload, Status)
            if message.retained:
                name = digest(message.payload)
                self._kept = status, name in self._statuses or name in self._wills
            elif status.online and status.epoch != self._epoch:
                self.note_clone(f"a status of our name with epoch {status.epoch}")
        for beside in self.besides:
            if message.topic in beside.topics:
                beside.hear(message)

    async def _settle(self, confirm: Confirm) -> None:
        try:
            settled = await self._outbox.confirm(confirm.epoch, confirm.fates)
        except OutboxFailing as error:  # it will be sent and confirmed again
            _log.warning("event=confirm_not_kept reason=%r", error.reason)
            return
        now, heard = self._clock.monotonic(), []
        for fate in confirm.fates:
            ours = self._digests.get(fate.sequence) == fate.digest
            ours = ours and confirm.epoch.hex() == self._epoch
            if fate.sequence in settled or ours:
                heard.append(fate)
            if fate.sequence in settled or (ours and fate.final):
                self._digests.pop(fate.sequence, None)
                if (sent_s := self._sent_s.pop(fate.sequence, None)) is not None:
                    self.confirm_times.note(now - sent_s)
                self._window.settled(fate.sequence)
            elif ours:
                self._window.held(now, fate.sequence, fate.hold_s)
        self.settled(heard)
        self.wake.set()
