"""What is sent, where and when: the core of the uplink, without a socket, a clock or a log.

In: the time with each event (a batch sealed, a PUBACK, a fate, a link up or down). Out: what to do
now (`next`), and when to ask again (`wake_at`). The same events at the same times give the same
answers.

Theory. A batch is *in flight* while a copy of it may be in the broker. A copy carries an expiry
equal to the confirm time-out, counted by the broker from when it has the copy; a PUBACK says it
has, a lost connection says it may. So a copy is dead one time-out after its PUBACK, or after the
connection that carried it was lost, and only then may the next be sent: there are never two. (A
restarted agent doesn't know its former copies: for one time-out there can be two, and no harm.) A
copy in flight takes a place in its lane's window until it is dead or the far side has answered. On
`batch` the first `LOST_MAX` lost ones take none: what is new doesn't wait for what the link did
before, and a link that comes and goes leaves no more copies behind than that.

    a batch     event                         becomes
    ready       sent                          sent         (takes a place)
    sent        PUBACK                        queued       dies in one time-out
    sent        PUBACK "nobody listens"       ready        the lane turns deaf
    sent        PUBACK refused                ready        the link backs off
    sent        link lost                     lost         dies in one time-out
    sent        no PUBACK for one time-out    sent         hang up: the link is stuck
    queued      link lost                     lost         dies when it would have
    queued      dead                          ready        the link backs off
    lost        dead                          ready
    any         hold s                        held         ready after s (frees its place)
    any         stored, rejected or dropped   forgotten

A lane is `batch` for what is sealed while connected, `backfill` for everything else, oldest first.
The link backs off, not the batch: after a time-out only the newest batch is tried, less and less
often, and any answer opens the windows again. A deaf lane sends nothing but an empty question.

A DISCONNECT that blames a packet makes suspects of the batches without a PUBACK. A suspect is sent
while no other batch lacks one; three such DISCONNECTs with nobody else to blame, and it is parked.
A PUBACK clears it.

The backlog stays on disk: the core holds a cursor into it and a few numbers, so a week without a
link costs no memory.
"""

from __future__ import annotations

from enum import Enum, auto

from edge.configuration import UplinkSettings
from edge.uplink_actions import Action, Ask, HangUp, Load, Park, Send, Snapshot
from wire.topics import Leaf

NO_SUBSCRIBERS = 0x10
BLAMES_PACKET = frozenset({0x81, 0x82, 0x95, 0x99})
"""Malformed packet, protocol error, packet too large, payload format invalid."""

STRIKES_MAX = 3
LIVE_MAX, LIVE_PER_PLACE = 16, 4
"""Batches on the live lane that wait for a place, in all and for each place, since a place takes
about one a second; more, and the oldest turns into backlog."""

LOST_MAX = 16
"""Lost copies on the live lane that take no place: the events (30 a minute) and the telemetry that
a gateway seals in one time-out. More, and they do."""

HELD_PER_PLACE = 4
"""Batches on hold for each place of a lane; more, and the lane waits for the first to end."""

HOLD_S = (0.1, 3600.0)
"""What a hold is bounded to."""

LOAD_LIMIT = 8
_UNANSWERED_MAX = 1024


class _State(Enum):
    SENT = auto()
    QUEUED = auto()
    LOST = auto()
    HELD = auto()


class _Copy:
    """A batch that isn't ready: in flight (until `until` the copy may live) or held."""

    def __init__(self, leaf: Leaf, until: float) -> None:
        self.state = _State.SENT
        self.leaf = leaf
        self.until = until


class _Lane:
    """One of the two topics: its window and whether anybody listens there."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.deaf = False
        self.asking = False
        self.ask_at = 0.0

    def reset(self) -> None:
        self.deaf = self.asking = False


class Window:
    """The state of sending; see the tables above.

    `copies` has the sequences that aren't ready: in flight, or held by the far side.
    """

    def __init__(self, settings: UplinkSettings) -> None:
        self._settings = settings
        self._timeout = settings.confirm_timeout_s
        self._lanes = {
            Leaf.BATCH: _Lane(settings.window),
            Leaf.BACKFILL: _Lane(settings.backfill_window),
        }
        self._connected = False
        self._snapshot_due = False
        self.copies: dict[int, _Copy] = {}
        self._live: list[int] = []  # ready, in the order of sealing
        self._live_max = min(LIVE_MAX, LIVE_PER_PLACE * settings.window)
        self._suspects: set[int] = set()  # ready only when in no copy
        self._strikes: dict[int, int] = {}
        self._parked: set[int] = set()
        self._unanswered: dict[int, None] = {}  # a copy died without an answer, which may be late
        self._loaded: list[int] = []  # ready, of the backlog, up to the cursor
        self._cursor = 0
        self._loading = self._exhausted = False
        self._backing_off = False
        self._tries = 0
        self._try_at = 0.0
        self._backfill_at = 0.0
        self._asked_at = 0.0

    @property
    def alarms(self) -> tuple[str, ...]:
        """`nobody_listens`, `no_answer`: why batches don't leave, for the gateway's status."""
        deaf = any(lane.deaf for lane in self._lanes.values())
        names = (("nobody_listens", deaf), ("no_answer", self._backing_off))
        return tuple(name for name, holds in names if holds)

    # Events

    def connected(self) -> None:
        """The link is up. All that waits is backlog now; what is sealed from here on is live."""
        self._connected = self._snapshot_due = True
        self._backing_off = self._loading = False
        self._live.clear()
        for lane in self._lanes.values():
            lane.reset()
        self.look_again()

    def disconnected(self, now: float, code: int | None = None) -> None:
        """The link is down; `code` is the broker's DISCONNECT reason, if it gave one."""
        self._connected = False
        unacknowledged = [s for s, copy in self.copies.items() if copy.state is _State.SENT]
        for sequence in unacknowledged:
            self.copies[sequence].until = now + self._timeout
        for copy in self.copies.values():
            if copy.state is not _State.HELD:
                copy.state = _State.LOST
        if code in BLAMES_PACKET:
            self._suspects.update(unacknowledged)
            if len(unacknowledged) == 1:
                self._strikes[unacknowledged[0]] = self._strikes.get(unacknowledged[0], 0) + 1

    def sealed(self, sequence: int) -> None:
        """A batch was sealed. While the link is down it is backlog like the rest."""
        if not self._connected or sequence in self.copies:
            return
        if sequence in self._loaded:
            self._loaded.remove(sequence)
        self._live.append(sequence)
        if len(self._live) > self._live_max:
            self._to_backlog(self._live.pop(0))

    def puback(self, now: float, sequence: int, code: int) -> None:
        """The broker answered a batch with this reason code (MQTT 5, 3.4.2.1)."""
        copy = self.copies.get(sequence)
        if copy is None or copy.state is not _State.SENT:
            return
        if code < 0x80 and code != NO_SUBSCRIBERS:
            copy.state, copy.until = _State.QUEUED, now + self._timeout
            self._acquit(sequence)
            return
        del self.copies[sequence]
        if code in BLAMES_PACKET:
            self._strikes[sequence] = self._strikes.get(sequence, 0) + 1
            self._suspects.add(sequence)
            return
        if code == NO_SUBSCRIBERS:
            self._acquit(sequence)
            self._turn_deaf(self._lanes[copy.leaf], now)
        else:
            self._back_off(now, now + self._timeout)
        if copy.leaf is Leaf.BATCH:
            self._live.insert(0, sequence)
        else:
            self._to_backlog(sequence)

    def answered(self, now: float, leaf: Leaf, code: int) -> None:
        """The broker answered an empty question or a snapshot on that leaf."""
        lane = self._lanes[leaf]
        lane.asking = False
        if code != 0:
            self._turn_deaf(lane, now)
        elif lane.deaf:
            lane.deaf = False
            self._snapshot_due |= leaf is Leaf.BATCH

    def settled(self, sequence: int, answered: bool = True) -> None:
        """A batch no longer waits: the far side answered, or it is gone from the outbox."""
        self._backing_off = self._backing_off and not answered
        self.copies.pop(sequence, None)
        self._unanswered.pop(sequence, None)
        self._acquit(sequence)
        for ready in (self._live, self._loaded):
            if sequence in ready:
                ready.remove(sequence)

    def held(self, now: float, sequence: int, hold_s: float) -> None:
        """The far side asks to send this batch again after so many seconds, not before."""
        copy = self.copies.get(sequence)
        if copy is None:
            return
        self._backing_off = False
        self._acquit(sequence)
        until = now + min(max(hold_s, HOLD_S[0]), HOLD_S[1])
        if sequence in self._unanswered:  # it may mean an earlier copy; this one may live
            until = max(until, copy.until)
        copy.state, copy.until = _State.HELD, until

    def loaded(self, after: int, sequences: list[int], end: bool) -> None:
        """The answer to `Load`: what waits after that sequence; `end` when there is no more."""
        self._loading = False
        if after != self._cursor:  # asked before the cursor went back
            return
        self._exhausted = end
        if sequences:
            self._cursor = sequences[-1]
        taken = {*self.copies, *self._live, *self._suspects, *self._parked}
        self._loaded += [sequence for sequence in sequences if sequence not in taken]

    def look_again(self) -> None:
        """Go through the whole backlog again: something may wait that could not be sent before."""
        self._to_backlog(1)

    # Answers

    def next(self, now: float) -> list[Action]:
        """What to do now, in this order."""
        self._asked_at = now
        stuck = self._expire(now)
        if not self._connected:
            return []
        if stuck:
            return [HangUp()]
        actions: list[Action] = [*self._parking()]
        if self._snapshot_due:
            self._snapshot_due = False
            actions.append(Snapshot())
        actions += self._questions(now)
        while (send := self._choose(now)) is not None:
            actions.append(send)
        if not (self._loaded or self._loading or self._exhausted):
            self._loading = True
            actions.append(Load(self._cursor, LOAD_LIMIT))
        return actions

    def wake_at(self) -> float | None:
        """When to call `next` again if nothing happens before; None when only events matter. What
        fell due since the last `next` counts: its moment is in the past then."""
        now = self._asked_at
        times = [copy.until for copy in self.copies.values()]
        times += [lane.ask_at for lane in self._lanes.values() if lane.deaf or lane.asking]
        times += [self._backfill_at, self._try_at if self._backing_off else now]
        return min((time for time in times if time > now), default=None)

    # The rules

    def _expire(self, now: float) -> bool:
        """Turn what has died or been held long enough ready; whether the link is stuck."""
        for sequence, copy in sorted(self.copies.items()):
            if now < copy.until:
                continue
            if copy.state is _State.SENT:
                return True
            del self.copies[sequence]
            self._to_backlog(sequence)
            if copy.state is not _State.HELD:
                self._remember_unanswered(sequence)
            if copy.state is _State.QUEUED and not self._backing_off:
                self._back_off(now, now)
        return any(lane.asking and now >= lane.ask_at for lane in self._lanes.values())

    def _remember_unanswered(self, sequence: int) -> None:
        self._unanswered[sequence] = None
        if len(self._unanswered) > _UNANSWERED_MAX:
            del self._unanswered[next(iter(self._unanswered))]

    def _back_off(self, now: float, try_at: float) -> None:
        if not self._backing_off:
            self._tries = 0
        self._backing_off, self._try_at = True, max(try_at, now)

    def _gap(self) -> float:
        """Between two tries: one time-out at least, so that the former try's copy is dead."""
        longest = max(self._settings.retry_s_max, self._timeout)
        return min(longest, self._timeout * 2.0 ** min(self._tries, 16))

    def _turn_deaf(self, lane: _Lane, now: float) -> None:
        lane.deaf, lane.ask_at = True, now + self._settings.nobody_listens_probe_s

    def _acquit(self, sequence: int) -> None:
        self._suspects.discard(sequence)
        self._strikes.pop(sequence, None)

    def _to_backlog(self, sequence: int) -> None:
        """Let the cursor pass this sequence (and all that is loaded after it) again."""
        first = min([sequence, *self._loaded[:1]])
        if first <= self._cursor:
            self._cursor = first - 1
            self._loaded.clear()
        self._exhausted = False

    def _parking(self) -> list[Park]:
        guilty = [s for s, strikes in self._strikes.items() if strikes >= STRIKES_MAX]
        for sequence in guilty:
            self.settled(sequence, answered=False)
            self._parked.add(sequence)
        return [Park(sequence) for sequence in guilty]

    def _questions(self, now: float) -> list[Ask]:
        for leaf, lane in self._lanes.items():  # `batch` first: its answer speaks for both
            if lane.deaf:
                if lane.asking or now < lane.ask_at:
                    return []
                lane.asking, lane.ask_at = True, now + self._timeout
                return [Ask(leaf)]
        return []

    def _choose(self, now: float) -> Send | None:
        """The next batch to send, or None."""
        sent = [s for s, copy in self.copies.items() if copy.state is _State.SENT]
        if self._suspects.intersection(sent):
            return None
        if self._backing_off:
            return self._try(now) if now >= self._try_at else None
        if (suspect := self._ready_suspect()) and self._has_place(Leaf.BACKFILL):
            return None if sent else self._send(now, suspect, Leaf.BACKFILL)
        if self._live and self._has_place(Leaf.BATCH):
            return self._send(now, self._live.pop(0), Leaf.BATCH)
        if self._loaded and now >= self._backfill_at and self._has_place(Leaf.BACKFILL):
            self._backfill_at = now + 1.0 / self._settings.backfill_batches_per_s
            return self._send(now, self._loaded.pop(0), Leaf.BACKFILL)
        return None

    def _try(self, now: float) -> Send | None:
        """The one batch that is tried after a time-out: the newest there is."""
        leaf = Leaf.BATCH if self._live else Leaf.BACKFILL
        ready = self._live or self._loaded
        sequence = ready[-1] if self._live else (ready[0] if ready else self._ready_suspect())
        if sequence is None or not self._has_place(leaf):
            return None
        if ready:
            ready.remove(sequence)
        self._try_at = now + self._gap()
        self._tries += 1
        return self._send(now, sequence, leaf)

    def _ready_suspect(self) -> int | None:
        return min(self._suspects.difference(self.copies), default=None)

    def _has_place(self, leaf: Leaf) -> bool:
        lane = self._lanes[leaf]
        copies = [copy for copy in self.copies.values() if copy.leaf is leaf]
        held = sum(copy.state is _State.HELD for copy in copies)
        lost = sum(copy.state is _State.LOST for copy in copies) if leaf is Leaf.BATCH else 0
        taken = len(copies) - held - min(lost, LOST_MAX)
        return not lane.deaf and taken < lane.places and held < lane.places * HELD_PER_PLACE

    def _send(self, now: float, sequence: int, leaf: Leaf) -> Send:
        self.copies[sequence] = _Copy(leaf, now + self._timeout)
        return Send(sequence, leaf, max(1, int(self._timeout)))
