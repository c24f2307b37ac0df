"""The ingestor process: batches in, lines stored, gateways told. As many as needed share a city.

    subscriber ─▶ guard ─▶ joiner ─▶ store ─▶ fates ─▶ gateway
                    │                           ▲ │
                    └── nothing to write ───────┘ └─▶ dead letters, notes

Stateless but for the dead-letter file: `kill -9` at any moment loses nothing that a gateway was
told. When nothing could be written for `AWAY_S` the gate is shut: both connections unsubscribe, the
store is probed, and they subscribe again when it answers. SIGTERM shuts the gate too, and what is
in hand has `FINISH_S` to be stored and confirmed.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import re

from devices.reading import Value
from ingest.arrivals import Arrival
from ingest.broker import Door
from ingest.configuration import IngestConfiguration
from ingest.counters import Counters
from ingest.dead_letters import DeadLetters
from ingest.fates import Fates
from ingest.guard import Checked, Deferred, Noise, OwnerOf, Refused, check
from ingest.health import point
from ingest.joiner import Joiner, Taken
from ingest.notes import Notes
from ingest.overload import Overload
from ingest.ownership import Ownership
from ingest.stores import Bucket, Kept, Store
from ingest.stores.kinds import INGESTOR_HEALTH
from ingest.subscriber import Gate, Subscriber
from wire.clock import Clock
from wire.topics import Leaf

log = logging.getLogger(__name__)

AWAY_S = 5.0
PROBE_S_MIN, PROBE_S_MAX = 0.5, 5.0
FINISH_S = 5.0
REPORT_EVERY_S = 60.0
_LOOK_EVERY_S = 0.25


class Ingestor:
    """One process's work. `run` returns when `stop` is set and everything is closed."""

    def __init__(
        self,
        configuration: IngestConfiguration,
        door: Door,
        store: Store,
        clock: Clock,
    ) -> None:
        self._store, self._clock = store, clock
        settings = configuration.ingest
        self._limits = settings.limits
        self._name = settings.name or machine_name()
        self._began_s = clock.monotonic()
        self.counters = Counters()
        self._ownership = Ownership(door, clock, self.counters, settings.new_a_day_max)
        self._owner_of: OwnerOf | None = None
        if settings.registry == "needed":
            self._owner_of = self.owner_of
        self._gate = Gate()
        self._away = False
        self._notes = Notes(store, clock, self.counters, self._limits.late_ms)
        self._letters = DeadLetters.of(configuration.dead_letters)
        self._fates = Fates(self._letters, self._notes, clock, self.counters)
        self._overload = Overload(
            settings.gateway_kb_per_s_max * 1000.0,
            self._ownership.newcomers,
            self._fates,
            self.counters,
        )
        self._joiner = Joiner(
            store, self._fates, clock, self.counters, settings.batch_lines_max, settings.join_s
        )
        self._subscribers = [
            Subscriber(
                door,
                settings.group,
                leaf,
                self._gate,
                handle,
                self._fates.connections,
                clock,
                self.counters,
            )
            for leaf, handle in ((Leaf.BATCH, self._live), (Leaf.BACKFILL, self._late))
        ]

    @property
    def listening(self) -> bool:
        """Whether both subscriptions stand."""
        return all(subscriber.subscribed for subscriber in self._subscribers)

    @property
    def idle(self) -> bool:
        """Whether every batch that came has its fate, and every note is written."""
        return not self._in_hand and not self._notes.waiting

    def owner_of(self, device: str, time_ms: int) -> str | None:
        """Whose device it was then, as far as this ingestor knows."""
        return self._ownership.owner_of(device, time_ms)

    @property
    def _in_hand(self) -> int:
        return sum(subscriber.in_hand for subscriber in self._subscribers)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish what is in hand."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._joiner.run()),
                group.create_task(self._fates.run()),
                group.create_task(self._notes.run()),
                group.create_task(self._report()),
                *(group.create_task(subscriber.run()) for subscriber in self._subscribers),
            ]
            watching = [group.create_task(self._mind_the_store())]
            if self._owner_of is not None:
                self._gate.shut()
                watching.append(group.create_task(self._ownership.run()))
                watching.append(group.create_task(self._ownership.say_while_unknown()))
                watching.append(group.create_task(self._open_when_known()))
            await stop.wait()
            for task in watching:
                task.cancel()
            self._gate.shut()
            await self._finish()
            for task in tasks:
                task.cancel()
        log.info("event=ended %s", self.counters.text())

    async def _live(self, arrivals: list[Arrival]) -> None:
        await self._take(arrivals, live=True)

    async def _late(self, arrivals: list[Arrival]) -> None:
        await self._take(arrivals, live=False)

    async def _take(self, arrivals: list[Arrival], live: bool) -> None:
        """Judge some messages; all of one moment."""
        now_ms, now_s = self._clock.now_ms(), self._clock.monotonic()
        limits, joiner = self._limits, self._joiner
        owner_of = self._owner_of
        newcomers = self._ownership.newcomers if owner_of else None  # trusted: no limit on names
        overload = self._overload
        taken = 0
        try:
            for arrival in arrivals:
                if overload.wait_s(arrival.message.topic, now_s) > 0:
                    await overload.postpone(arrival, now_s)
                    taken += 1
                    continue
                judged = check(arrival.message, now_ms, limits, owner_of, newcomers)
                overload.charge_for(judged, arrival.message, now_s)
                if isinstance(judged, Checked):
                    self.counters.snapshots += judged.key is None
                    batch = Taken(judged, now_s, live, arrival)
                    if self._away or not judged.lines.size:
                        await self._not_to_write(batch)
                    else:
                        if not joiner.has_room(live):
                            await joiner.room(live)
                        joiner.add(batch)
                else:
                    await self._answer(judged, arrival)
                taken += 1
        finally:
            self.counters.received += taken
            for arrival in arrivals[taken:]:  # cut off with the connection: sent again
                arrival.settle()

    async def _not_to_write(self, batch: Taken) -> None:
        if batch.checked.lines.size:  # away; UNSUBACK stands behind what still comes
            await self._fates.kept([batch], "away", 0.0)
        else:
            await self._fates.nothing_to_write(batch)

    async def _answer(self, judged: Refused | Deferred | Noise, arrival: Arrival) -> None:
        match judged:
            case Refused():
                self._fates.refused(judged, arrival)
            case Deferred():
                await self._fates.deferred(judged, arrival)
            case Noise(reason):
                self.counters.noise[reason] += 1
                arrival.settle()

    async def _open_when_known(self) -> None:
        await self._ownership.known.wait()
        self._gate.open()

    async def _mind_the_store(self) -> None:
        while True:
            await self._clock.pause(_LOOK_EVERY_S)
            if self._joiner.failing_s() < AWAY_S:
                continue
            self.counters.store_away += 1
            log.error("event=store_away seconds=%.0f action=unsubscribe", AWAY_S)
            self._away = True
            self._gate.shut()
            await self._until_well()
            self._joiner.forget_failing()
            self._away = False
            self._gate.open()
            log.info("event=store_back action=subscribe")

    async def _until_well(self) -> None:
        pause_s = PROBE_S_MIN
        while (answer := await self._store.probe()) is not None:
            log.info("event=probe reason=%s detail=%s", answer.reason, answer.detail)
            await self._clock.pause(pause_s)
            pause_s = min(2 * pause_s, PROBE_S_MAX)

    async def _finish(self) -> None:
        """Wait until nothing is in hand, at most `FINISH_S`."""
        try:
            async with asyncio.timeout(FINISH_S):
                while any(each.subscribed for each in self._subscribers) or not self.idle:
                    await self._clock.pause(_LOOK_EVERY_S / 10)
        except TimeoutError:
            log.warning("event=unfinished batches=%d remedy=sent_again", self._in_hand)

    async def _report(self) -> None:
        while True:
            await self._clock.pause(REPORT_EVERY_S)
            log.info("event=counters in_hand=%d %s", self._in_hand, self.counters.text())
            await self.report()

    async def report(self) -> None:
        """Write one `ingestor_health` point. A store that is away loses it, and nothing else: the
        next one counts from the start too."""
        fields: dict[str, Value] = self.counters.fields() | {
            "uptime_s": round(self._clock.monotonic() - self._began_s, 3),
            "in_hand": self._in_hand,
            "over_limit": self._overload.report(),
            "notes_waiting": self._notes.waiting,
            "dead_letters_bytes": await asyncio.to_thread(self._letters.waiting_bytes),
            "dead_letters_share": self._letters.share(),
        }
        place = (self._name, self._name, "cloud", "main")
        line = point(INGESTOR_HEALTH, place, fields, self._clock.now_ms())
        answer = await self._store.write(Bucket.HEALTH, [line])
        if isinstance(answer, Kept):
            log.warning("event=health_not_written why=%s", answer.reason)


def machine_name() -> str:
    """The machine's name within the alphabet of names."""
    name = re.sub(r"[^a-z0-9_-]", "-", platform.node().lower()).strip("-_")
    return name[:64] or "ingestor"
