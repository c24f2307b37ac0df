"""One gateway of a played fleet: `edge.window` over true batches that wait in memory.

In: the plan, what the link hears. Out: messages on the link, counts in the tally. What a gateway
does on a connection, in its order, but for reading its own retained status (a fleet has no twins).
"""

from __future__ import annotations

import asyncio

import msgspec

from bench.fleet_tally import Tally
from edge.configuration import UplinkSettings
from edge.uplink_actions import Action, Ask, HangUp, Load, Send, Snapshot
from edge.window import Window
from simulators.fleet import FleetGateway, SealedBatch
from simulators.fleet_link import FleetLink, Packet
from wire.batch import CONTENT_TYPE
from wire.clock import Clock
from wire.messages import decode_confirm, encode_message
from wire.topics import Leaf, topic

HOUR_S = 3600.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to play. Times are wall seconds but for `backlog_span_s`, which is the city's.

    `interval_s` is from seal to seal of one gateway, 0 for none while running; `backlog` batches a
    gateway wait from the start, spread over the last `backlog_span_s`. `links` is how many
    connections carry all gateways, 0 for one each. `life`: see `FleetGateway`.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    gateways: int = 1
    first: int = 1
    readings: int = 60
    interval_s: float = 60.0
    backlog: int = 0
    backlog_span_s: float = HOUR_S
    links: int = 0
    status_s: float = 60.0
    seed: int = 1
    life: int = 0
    sending: UplinkSettings = UplinkSettings()


class Player:
    """One gateway of the fleet, its window and what waits."""

    def __init__(self, gateway: FleetGateway, plan: Plan, clock: Clock, tally: Tally) -> None:
        self.gateway, self._plan, self._clock, self._tally = gateway, plan, clock, tally
        self._window = Window(plan.sending)
        self._waiting: dict[int, SealedBatch] = {}  # what the plan seals; nothing is dropped
        self._sends: dict[int, tuple[int, float, float]] = {}  # sequence → copies, first, sealed
        self._link: FleetLink | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._acting = False
        self._in_flight = 0
        self._shown_at = float("-inf")

    @property
    def name(self) -> str:
        return self.gateway.name

    def prepare(self, backlog: int, span_s: float) -> None:
        """Seal what has waited for so long."""
        now_ms = self._clock.now_ms()
        for place in range(backlog, 0, -1):
            self._seal(now_ms - int(place * span_s * 1000 / backlog))

    def seal(self) -> None:
        """One more batch, now."""
        sequence = self._seal(self._clock.now_ms())
        self._sends[sequence] = (0, 0.0, self._loop.time())
        self._window.sealed(sequence)
        self._act()

    def up(self, link: FleetLink) -> None:
        """Connected and subscribed."""
        self._link = link
        inventory = encode_message(self.gateway.inventory())
        self._publish(Packet(topic(self.name, Leaf.INVENTORY), inventory, retain=True))
        self.say_status()
        self._window.connected()
        self._act()

    def down(self, code: int | None) -> None:
        """The link is gone."""
        if self._link is not None:
            self._link = None
            self._window.disconnected(self._loop.time(), code)
            self._count_copies()

    def say_status(self) -> None:
        """The retained word about itself."""
        status = self.gateway.status(self._clock.now_ms(), len(self._waiting))
        self._publish(Packet(topic(self.name, Leaf.STATUS), encode_message(status), retain=True))

    def confirmed(self, payload: bytes) -> None:
        """The cloud says what became of batches."""
        confirm = decode_confirm(payload)
        if confirm.epoch != self.gateway.epoch:
            return
        now = self._loop.time()
        for fate in confirm.fates:
            batch = self._waiting.get(fate.sequence)
            if batch is None or batch.key.digest != fate.digest:
                continue
            if not fate.final:
                self._tally.held += 1
                self._window.held(now, fate.sequence, fate.hold_s)
                continue
            del self._waiting[fate.sequence]
            self._window.settled(fate.sequence)
            self._settled(fate.sequence, batch, sum(fate.rejected.values()), now)
        self._act()

    def _seal(self, now_ms: int) -> int:
        batch = self.gateway.seal(now_ms)
        self._waiting[batch.key.sequence] = batch
        self._tally.sealed += 1
        self._tally.sealed_readings += batch.readings
        return batch.key.sequence

    def _settled(self, sequence: int, batch: SealedBatch, rejected: int, now: float) -> None:
        self._tally.confirmed += 1
        self._tally.confirmed_readings += batch.readings
        self._tally.rejected_readings += rejected
        _, first, sealed = self._sends.pop(sequence, (0, now, 0.0))
        if sealed:
            self._tally.live.add(now - sealed)
        else:
            self._tally.late.add(now - first)

    def _act(self) -> None:
        """Do what the window says; once for all that happens in one turn of the loop."""
        if not self._acting:
            self._acting = True
            self._loop.call_soon(self._do)

    def _do(self) -> None:
        self._acting = False
        again = True
        while again:
            again = False
            for action in self._window.next(self._loop.time()):
                again |= isinstance(action, Load)
                self._perform(action)
        self._count_copies()
        wake_at = self._window.wake_at()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wake_at is None else self._loop.call_at(wake_at, self._do)

    def _perform(self, action: Action) -> None:
        match action:
            case Send():
                self._send(action)
            case Load(after, limit):
                found = self._find(after, limit)
                self._window.loaded(after, found, len(found) < limit)
            case Snapshot():
                self._show()
            case Ask(leaf):
                self._tally.questions += 1
                self._publish(Packet(topic(self.name, leaf), b""), leaf)
            case HangUp():
                if self._link is not None:
                    self._link.abort()

    def _find(self, after: int, limit: int) -> list[int]:
        first = max(after + 1, next(iter(self._waiting), 0))
        found: list[int] = []
        for sequence in range(first, self.gateway.sequence + 1):
            if sequence in self._waiting:
                found.append(sequence)
                if len(found) == limit:
                    break
        return found

    def _send(self, send: Send) -> None:
        batch, now, link = self._waiting[send.sequence], self._loop.time(), self._link
        assert link is not None
        copies, first, sealed = self._sends.get(send.sequence, (0, now, 0.0))
        self._sends[send.sequence] = (copies + 1, first or now, sealed)
        self._tally.sends += 1
        self._tally.resends += copies > 0
        self._tally.copies_of_one_max = max(self._tally.copies_of_one_max, copies + 1)
        packet = Packet(
            topic(self.name, send.leaf),
            batch.payload,
            expiry_s=send.expiry_s,
            content_type=CONTENT_TYPE,
            correlation=batch.key.pack(),
            user=(("seal_ms", str(batch.seal_ms)),),
        )

        def answered(code: int) -> None:
            self._tally.answered(code)
            if link is self._link:
                self._window.puback(self._loop.time(), send.sequence, code)
                self._act()

        link.publish(packet, answered)

    def _show(self) -> None:
        """The last reading of each device, without a key."""
        timeout_s = self._plan.sending.confirm_timeout_s
        if not self._waiting or self._loop.time() < self._shown_at + timeout_s:
            return
        self._shown_at = self._loop.time()
        self._tally.snapshots += 1
        newest = next(reversed(self._waiting.values()))  # has a reading of each device
        name, expiry_s = topic(self.name, Leaf.BATCH), int(timeout_s)
        packet = Packet(name, newest.payload, expiry_s=expiry_s, content_type=CONTENT_TYPE)
        self._publish(packet, Leaf.BATCH, question=False)

    def _publish(self, packet: Packet, leaf: Leaf | None = None, question: bool = True) -> None:
        """Not a batch. With a leaf, its PUBACK says whether anybody listens there."""
        link = self._link
        if link is None:
            return

        def answered(code: int) -> None:
            if leaf is not None and link is self._link and (question or code < 0x80):
                self._window.answered(self._loop.time(), leaf, code)
                self._act()

        link.publish(packet, answered)

    def _count_copies(self) -> None:
        now, before = len(self._window.copies), self._in_flight
        self._in_flight = now
        self._tally.in_flight += now - before
        self._tally.in_flight_max = max(self._tally.in_flight_max, self._tally.in_flight)
