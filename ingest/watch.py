"""The watch: one process that knows who should be heard, and says each minute who isn't.

In: every gateway's status and inventory, over MQTT; the store's newest points. Out: the registry
(a file, and a retained message for the ingestors), `device_registry` when an inventory changes and
each hour, `device_health`, `gateway_health` and zones each whole minute of city time, roll-ups of
hours and days, `gateway_completeness` and `revenue` of each day, alerts (`ingest.alerts`), and the
cloud's time for gateways without a clock. `watch_health` is the last point of a round: there was
one.

Promised: silence becomes a value within a minute; an hour that late data touched is rolled up
again; a database that is away loses health points of that time and nothing else, and each round
that could not be written is counted and said. A gateway is judged only while the watch itself has
been connected for long enough to have heard it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from functools import partial
from pathlib import Path

from devices.kinds import KINDS
from devices.reading import Value
from ingest.accounts import Accounts
from ingest.alerts.judge import WATCH, Alerts, Look
from ingest.broker import Connection, Door, Lost, Received, connected
from ingest.health import (
    OFFLINE_AFTER_S,
    Fact,
    Heard,
    device_facts,
    gateway_fact,
    oldest_waiting_s,
)
from ingest.latest import Latest
from ingest.newest import Newest, See
from ingest.places import Places
from ingest.rates import Rates
from ingest.registry import GATEWAYS_MAX, NEW_A_DAY, Registry
from ingest.registry_file import load_registry
from ingest.registry_keeping import RegistryKeeping
from ingest.remote import Remote
from ingest.revenue import RevenueSettings
from ingest.revenue_days import Revenue
from ingest.rollup import hour_of
from ingest.rollups import RollUps
from ingest.rules.standing import Place
from ingest.stores import Bucket, Kept, StoreError
from ingest.stores.live import LiveStore
from wire.clock import Clock
from wire.messages import BadMessage, CloudTime, Inventory, Status, decode_message, encode_message
from wire.topics import TIME_TOPIC, Leaf, every, gateway_of
from wire.topics import topic as topic_of

log = logging.getLogger("gampong.watch")

NO_TARIFFS = RevenueSettings()
MINUTE_MS = 60_000
ROUND_S_MIN = 0.5
"""Wall seconds between rounds at the least, however fast city time runs."""

TIME_EVERY_S = 10.0
OVER_NAMED_MAX = 5
RECONNECT_S = (0.2, 3.0)


class Watch:
    """The state of the process; everything in it can be rebuilt from broker, store and file.

    `see` says what a page shows of devices and zones, which `gampong` brings in; `beat` is called
    after each whole round; days are those of `zone`, the store keeps readings `retention_days`.
    """

    def __init__(
        self,
        store: LiveStore,
        clock: Clock,
        registry_path: Path,
        see: See | None = None,
        alerts: Alerts | None = None,
        beat: Callable[[], None] = lambda: None,
        zone: tzinfo = UTC,
        revenue: RevenueSettings = NO_TARIFFS,
        retention_days: float = 90.0,
        new_a_day: int = NEW_A_DAY,
    ) -> None:
        self.store, self.clock = store, clock
        self.alerts, self._see, self._beat = alerts, see, beat
        self.registry = Registry(load_registry(registry_path), new_a_day)
        self.latest = Latest()
        self.accounts = Accounts(store, clock)
        self.heard: dict[str, Heard] = {}
        self.newest = Newest()
        self._rates = Rates()
        self._started_s = self._listening_s = clock.monotonic()
        self.counts: Counter[str] = Counter()
        self._revenue = Revenue(store, revenue, zone, retention_days)
        self._roll_ups = RollUps(store, clock, zone, self.counts, self._revenue.touch)
        self._cursor = 0
        self._hour_ms = 0
        self._connection: Connection | None = None
        self.remote = Remote(registry_path, clock)
        self.listening = False
        self._keeping = RegistryKeeping(self.registry, registry_path, clock, self.counts)
        self._places = Places(self.registry.counted_once())  # what an earlier watch wrote

    async def run(self, door: Door, client_id: str) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(door, client_id))
            group.create_task(self._tell_time())
            group.create_task(self._keeping.run())
            group.create_task(self._rounds())

    async def take(self, received: Received) -> None:
        """One word of a gateway; later, if it has said too much."""
        topic, payload = received.envelope.topic, received.envelope.payload
        if self.latest.is_turn(topic, payload, self.clock.monotonic()):
            await self._look_into(topic, payload)

    async def _look_into(self, topic: str, payload: bytes) -> None:
        if self.remote.hears(topic):
            await self._take_answer(topic, payload)
        else:
            self._take(topic, payload)

    async def _take_answer(self, topic: str, payload: bytes) -> None:
        try:
            await self.remote.take(topic, payload)
        except (BadMessage, OSError) as error:  # a full disk ends neither alarms nor the time
            self._note_bad(topic, error)

    def _note_bad(self, topic: str, error: BadMessage | OSError) -> None:
        word = "not_kept" if isinstance(error, OSError) else "bad_message"
        self.counts[word] += 1
        log.warning("event=%s topic=%s why=%r", word, topic[:200], str(error)[:200])

    def _take(self, topic: str, payload: bytes) -> None:
        try:
            if gateway := gateway_of(topic, Leaf.STATUS):
                self._take_status(gateway, decode_message(payload, Status))
            elif gateway := gateway_of(topic, Leaf.INVENTORY):
                self._take_inventory(gateway, decode_message(payload, Inventory))
        except BadMessage as error:
            self._note_bad(topic, error)

    def _take_status(self, gateway: str, status: Status) -> None:
        if status.gateway != gateway:
            raise BadMessage("names another gateway than its topic")
        if gateway not in self.heard and len(self.heard) >= GATEWAYS_MAX:
            raise BadMessage(f"more than {GATEWAYS_MAX} gateways")
        self.heard[gateway] = Heard(status, self.clock.monotonic())
        self.accounts.hear(status)

    def _take_inventory(self, gateway: str, inventory: Inventory) -> None:
        if inventory.gateway != gateway:
            raise BadMessage("names another gateway than its topic")
        refusal = self.registry.announce(inventory, self.clock.now_ms())
        if refusal:
            raise BadMessage(refusal)
        if self.registry.changed:
            self._places.due.add(gateway)
            self._keeping.announced.set()

    def _refused(self, reason: str) -> None:
        self.counts[f"publish_{reason}"] += 1

    async def _listen(self, door: Door, client_id: str) -> None:
        pause = RECONNECT_S[0]
        while True:
            try:
                async with connected(door, client_id) as connection:
                    self._connection = self._keeping.connection = connection
                    await connection.subscribe(every(Leaf.INVENTORY))
                    await connection.subscribe(every(Leaf.STATUS))
                    await self._keeping.publish()
                    await self.remote.greet(connection)
                    self.listening, self._listening_s = True, self.clock.monotonic()
                    pause = RECONNECT_S[0]
                    async for received in connection.messages():
                        await self.take(received)
                        await connection.acknowledge(received)
            except Lost as error:
                log.warning("event=broker_lost why=%r", str(error)[:200])
            finally:
                self._connection = self._keeping.connection = None
                self.listening = False
                self.remote.lost()
            await self.clock.pause(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, RECONNECT_S[1])

    async def _tell_time(self) -> None:
        while True:
            if self._connection is not None:
                message = encode_message(CloudTime(self.clock.now_ms()))
                try:
                    await self._connection.publish(TIME_TOPIC, message, 1, self._refused)
                except Lost:
                    self.counts["time_not_told"] += 1
            await self.clock.pause(TIME_EVERY_S)

    async def _rounds(self) -> None:
        last_minute = 0
        while True:
            self._places.due |= await self._keeping.take_words()
            for topic, payload in self.latest.due(self.clock.monotonic()):
                await self._look_into(topic, payload)
            now_ms = self.clock.now_ms()
            if self.alerts:
                await self.alerts.take_asks(now_ms)
            if await self.remote.take_asks() or now_ms // MINUTE_MS > last_minute:
                self._places.due |= self.remote.turned(self.registry.inventories, now_ms)
            if self._places.due or now_ms // MINUTE_MS > last_minute:
                minute_ms = now_ms - now_ms % MINUTE_MS
                try:
                    await self.round(minute_ms, whole=now_ms // MINUTE_MS > last_minute)
                except StoreError as error:
                    self.counts["store_unread"] += 1
                    log.warning("event=store_unread why=%r", str(error)[:200])
                last_minute = now_ms // MINUTE_MS
            await self.clock.pause(ROUND_S_MIN)

    async def round(self, minute_ms: int, whole: bool = True) -> None:
        """One minute's health points, and whatever else is due.

        Raises:
            StoreError: the store can't be read now; the round is over.
        """
        new_hour, self._hour_ms = hour_of(minute_ms) > self._hour_ms, hour_of(minute_ms)
        if new_hour:
            self._places.due |= self.registry.inventories.keys()
        inventories = self.remote.as_worked_at(self.registry.counted_once(), self.clock.now_ms())
        await self._places.tell(
            inventories, self.clock.now_ms(), partial(self._write, Bucket.HEALTH)
        )
        if whole:
            self._places.due.update(self.registry.announce_waiting(minute_ms))
            if self.registry.changed:
                self._keeping.announced.set()
            await self._see_newest(minute_ms)
            for gateway, hour_ms in await self._roll_ups.see_touched(minute_ms):
                self.accounts.touch(gateway, hour_ms)
                if self.alerts:
                    self.alerts.touch(gateway, hour_ms)
            facts = await self._write_health(inventories, minute_ms)
            if self.alerts:
                retired = self.registry.file.retired
                look = Look(minute_ms, self.newest.unjudged, facts, inventories, retired)
                await self.alerts.round(look)
            self.newest.judged()
            await self._roll_ups.round(minute_ms)
            await self._revenue.round(minute_ms)
            await self.accounts.round(self.registry.inventories, self.clock.now_ms())
            if await self._write(Bucket.HEALTH, [self._own_fact().line(minute_ms)]):
                self._beat()
        if new_hour:
            await self.store.prune()

    async def _write_health(
        self, inventories: Mapping[str, Inventory], minute_ms: int
    ) -> list[Fact]:
        """Write what is known of devices, gateways and zones; those facts that can be judged."""
        now_s, judged, lines = self.clock.monotonic(), [self._own_fact()], list[str]()
        newest_ms, first_ms = self.newest.times_ms, self.registry.file.first_ms
        shows: Mapping[str, str] = {}
        if self._see:
            seen = self._see(inventories, self.newest.fields, minute_ms)
            shows, lines = seen.shows, seen.lines
            for (site, zone, kind), fields in seen.zones.items():
                place = Place(zone, site, site, zone)
                judged.append(Fact(f"{kind}_zone", place, fields))
        for gateway, inventory in sorted(inventories.items()):
            heard = self.heard.get(gateway)
            rates: dict[str, Value] = {"over_limit": self._is_over_limit(gateway)}
            if heard:
                waiting_s = oldest_waiting_s(heard.status, minute_ms)
                rates |= self._rates.hear(heard.status, heard.at_s, waiting_s)
            facts = [
                gateway_fact(inventory, heard, minute_ms, now_s, rates),
                *device_facts(inventory, newest_ms, heard, minute_ms, now_s, shows, first_ms),
            ]
            lines += [fact.line(minute_ms) for fact in facts]
            judged += facts if self._knows(heard, now_s) else []
        self._say_over_limits()
        await self._write(Bucket.HEALTH, lines)
        return judged

    def _say_over_limits(self) -> None:
        """Who, for the log: the points have it a gateway (`over_limit`)."""
        if over := sorted(self.latest.over)[:OVER_NAMED_MAX]:
            counts = dict(self.latest.counts)
            log.warning("event=over_limit limit=messages topics=%s counts=%s", over, counts)
        if waiting := sorted(self.registry.waiting)[:OVER_NAMED_MAX]:
            log.warning("event=over_limit limit=new_a_day gateways=%s", waiting)
        self.latest.over.clear()

    def _is_over_limit(self, gateway: str) -> int:
        """1 when it announces or says more than it may."""
        topics = {topic_of(gateway, leaf) for leaf in (Leaf.STATUS, Leaf.INVENTORY)}
        return int(gateway in self.registry.waiting or not topics.isdisjoint(self.latest.over))

    def _knows(self, heard: Heard | None, now_s: float) -> bool:
        """Whether silence of a gateway would be its own: not when we were deaf ourselves."""
        if not self.listening:
            return False
        if heard is not None and heard.at_s >= self._listening_s:
            return True
        return now_s - self._listening_s >= OFFLINE_AFTER_S

    def _own_fact(self) -> Fact:
        inventories = self.registry.inventories.values()
        fields: dict[str, Value] = {
            "uptime_s": self.clock.monotonic() - self._started_s,
            "listening": int(self.listening),
            "gateways": len(inventories),
            "devices": sum(len(inventory.devices) for inventory in inventories),
        }
        return Fact("watch_health", WATCH, fields | (self.alerts.counts if self.alerts else {}))

    async def _see_newest(self, minute_ms: int) -> None:
        seen = await self.store.changes(tuple(KINDS), self._cursor)
        self._cursor = seen.cursor
        self.newest.take(seen.changes, minute_ms)

    async def _write(self, bucket: Bucket, lines: list[str]) -> bool:
        if not lines:
            return True
        outcome = await self.store.write(bucket, lines)
        if isinstance(outcome, Kept):
            self.counts[f"kept_{outcome.reason}"] += len(lines)
            log.warning("event=health_not_written lines=%d why=%s", len(lines), outcome.reason)
            return False
        for reason in outcome.rejected.values():
            self.counts[f"rejected_{reason}"] += 1
        return True
