"""The watch: one process that knows who should be heard, and says each minute who isn't.

In: every gateway's status and inventory, over MQTT; the store's newest points. Out: the registry
(a file, and a retained message for the ingestors), `device_registry` when an inventory changes and
each hour, `device_health` and `gateway_health` each whole minute of city time, hourly roll-ups,
`gateway_completeness` of each day, and the cloud's time for gateways without a clock.

Promised: silence becomes a value within a minute; an hour that late data touched is rolled up
again; a database that is away loses health points of that time and nothing else, and each round
that could not be written is counted and said.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec

from devices.kinds import KINDS
from ingest.accounts import Accounts
from ingest.broker import Connection, Door, Lost, Received, connected
from ingest.health import Heard, device_points, gateway_point, registry_points
from ingest.moves import waiting_moves
from ingest.registry import Registry, RegistryFile
from ingest.rollup import HOUR_MS, hour_of, roll_up
from ingest.stores import Bucket, Kept, Query, StoreError
from ingest.stores.live import LiveStore
from wire.clock import Clock
from wire.configuration import ConfigurationError
from wire.messages import BadMessage, CloudTime, Inventory, Status, decode_message, encode_message
from wire.topics import REGISTRY_TOPIC, TIME_TOPIC, Leaf, every, gateway_of

log = logging.getLogger("gampong.watch")

MINUTE_MS = 60_000
ROUND_S_MIN = 0.5
"""Wall seconds between rounds at the least, however fast city time runs."""

GRACE_MS = 5 * MINUTE_MS
"""An hour is rolled up first when it is over by this much."""

TIME_EVERY_S = 10.0
RECONNECT_S = (0.2, 3.0)
TOUCHED_OVERLAP_MS = 2 * MINUTE_MS


class Watch:
    """The state of the process; everything in it can be rebuilt from broker, store and file."""

    def __init__(self, store: LiveStore, clock: Clock, registry_path: Path) -> None:
        self.store, self.clock, self.path = store, clock, registry_path
        self.registry = Registry(load_registry(registry_path))
        self.accounts = Accounts(store, clock)
        self.heard: dict[str, Heard] = {}
        self.newest_ms: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self._cursor = 0
        self._hour_ms = 0
        self._hours_due: set[int] = set()
        self._rolled_ms = 0  # the newest hour that was rolled up because it was over
        self._touched_from_ms = 0
        self._connection: Connection | None = None
        self.listening = False
        self._keeping = asyncio.Lock()  # one writer of the registry's file
        self._places_due: set[str] = set(self.registry.inventories)

    async def run(self, door: Door, client_id: str) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(door, client_id))
            group.create_task(self._tell_time())
            group.create_task(self._rounds())

    async def take(self, received: Received) -> None:
        """One status or inventory."""
        topic, payload = received.envelope.topic, received.envelope.payload
        try:
            if gateway := gateway_of(topic, Leaf.STATUS):
                self._take_status(gateway, decode_message(payload, Status))
            elif gateway := gateway_of(topic, Leaf.INVENTORY):
                await self._take_inventory(gateway, decode_message(payload, Inventory))
        except BadMessage as error:
            self.counts["bad_message"] += 1
            log.warning("event=bad_message topic=%s why=%r", topic[:200], str(error)[:200])

    def _take_status(self, gateway: str, status: Status) -> None:
        if status.gateway != gateway:
            raise BadMessage("names another gateway than its topic")
        self.heard[gateway] = Heard(status, self.clock.monotonic())
        self.accounts.hear(status)

    async def _take_inventory(self, gateway: str, inventory: Inventory) -> None:
        if inventory.gateway != gateway:
            raise BadMessage("names another gateway than its topic")
        refusal = self.registry.announce(inventory, self.clock.now_ms())
        if refusal:
            raise BadMessage(refusal)
        if self.registry.changed:
            self._places_due.add(gateway)
            await self._keep_registry()

    async def accept_moves(self) -> None:
        """Take up what operators have left (`ingest/moves.py`): on disk and told, then gone."""
        for path, move in await asyncio.to_thread(waiting_moves, self.path):
            if move is None:
                log.error("event=bad_move file=%s", path.name)
            elif self.registry.accept(move.device, move.gateway):
                log.info("event=moved device=%s gateway=%s", move.device, move.gateway)
                self.counts["moved"] += 1
                await self._keep_registry()
            else:
                log.warning("event=no_such_claim device=%s gateway=%s", move.device, move.gateway)
            path.unlink(missing_ok=True)

    async def _keep_registry(self) -> None:
        """On disk first, then to the ingestors."""
        async with self._keeping:
            self.registry.changed = False
            await asyncio.to_thread(save_registry, self.path, self.registry.file)
            with suppress(Lost):  # told again on the next connection
                await self._publish_registry()

    async def _publish_registry(self) -> None:
        if self._connection is not None:
            payload = msgspec.json.encode(self.registry.file.owners)
            await self._connection.publish(REGISTRY_TOPIC, payload, 0, self._refused, retain=True)

    def _refused(self, reason: str) -> None:
        self.counts[f"publish_{reason}"] += 1

    async def _listen(self, door: Door, client_id: str) -> None:
        pause = RECONNECT_S[0]
        while True:
            try:
                async with connected(door, client_id) as connection:
                    self._connection = connection
                    await connection.subscribe(every(Leaf.INVENTORY))
                    await connection.subscribe(every(Leaf.STATUS))
                    await self._publish_registry()
                    self.listening = True
                    pause = RECONNECT_S[0]
                    async for received in connection.messages():
                        await self.take(received)
                        await connection.acknowledge(received)
            except Lost as error:
                log.warning("event=broker_lost why=%r", str(error)[:200])
            finally:
                self._connection, self.listening = None, False
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
            await self.accept_moves()
            now_ms = self.clock.now_ms()
            if self._places_due or now_ms // MINUTE_MS > last_minute:
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
        due, self._places_due = self._places_due, set()
        new_hour, self._hour_ms = hour_of(minute_ms) > self._hour_ms, hour_of(minute_ms)
        if new_hour:
            due = set(self.registry.inventories)
        lines = [
            line
            for gateway in sorted(due)
            for line in registry_points(self.registry.inventories[gateway], self.clock.now_ms())
        ]
        if not await self._write(Bucket.HEALTH, lines):
            self._places_due |= due
        if whole:
            await self._see_newest()
            await self._write(Bucket.HEALTH, self._health(minute_ms))
            await self._roll_up(minute_ms)
            await self.accounts.round(self.registry.inventories, self.clock.now_ms())
        if new_hour:
            await self.store.prune()

    def _health(self, minute_ms: int) -> list[str]:
        now_s, lines = self.clock.monotonic(), []
        for gateway, inventory in sorted(self.registry.inventories.items()):
            heard = self.heard.get(gateway)
            lines.append(gateway_point(inventory, heard, minute_ms, now_s))
            lines += device_points(inventory, self.newest_ms, heard, minute_ms, now_s)
        return lines

    async def _see_newest(self) -> None:
        seen = await self.store.changes(tuple(KINDS), self._cursor)
        self._cursor = seen.cursor
        for change in seen.changes:
            device = change.row.tags["device"]
            self.newest_ms[device] = max(self.newest_ms.get(device, 0), change.row.time_ms)

    async def _roll_up(self, now_ms: int) -> None:
        await self._see_touched(now_ms)
        ended_ms = hour_of(now_ms - GRACE_MS) - HOUR_MS
        if ended_ms > self._rolled_ms:
            self._hours_due.add(ended_ms)
            self._rolled_ms = ended_ms
        for hour_ms in sorted(self._hours_due):
            if hour_ms > ended_ms:
                continue  # not over yet: its turn comes
            kept = await roll_up(self.store, hour_ms)
            if kept is not None:
                self.counts["rollup_kept"] += 1
                log.warning("event=rollup_kept hour_ms=%d why=%s", hour_ms, kept.reason)
                return
            self._hours_due.discard(hour_ms)
            self.counts["rolled_up"] += 1

    async def _see_touched(self, now_ms: int) -> None:
        """Hours that late data touched since the last look; at the start, of the last week."""
        query = Query(
            kind="rollup_due",
            fields=("hour_ms",),
            start_ms=self._touched_from_ms,
            stop_ms=now_ms + HOUR_MS,
            bucket=Bucket.HEALTH,
            group=("device",),
        )
        for row in await self.store.read(query):
            hour_ms = hour_of(int(row.fields["hour_ms"]))
            self._hours_due.add(hour_ms)
            self.accounts.touch(row.tags["device"], hour_ms)
        # An ingestor's note can be on its way for a while: look back far enough, again is harmless.
        self._touched_from_ms = now_ms - TOUCHED_OVERLAP_MS

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


def load_registry(path: Path) -> RegistryFile:
    """The registry of that file; an empty one when there is none.

    Raises:
        ConfigurationError: the file is damaged; it names it and the remedy.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return RegistryFile()
    try:
        return msgspec.json.decode(data, type=RegistryFile)
    except msgspec.DecodeError as error:
        remedy = "Restore it from a backup, or move it away to learn it anew from the gateways"
        raise ConfigurationError(str(path), "", f"damaged: {error}", remedy) from error


def save_registry(path: Path, file: RegistryFile) -> None:
    """Replace the file at once: after a power cut it is the old one or the new one."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as out:
        out.write(msgspec.json.encode(file))
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
