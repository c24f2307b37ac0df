"""The watch's part in what is asked of gateways: configurations, commands, maintenance.

In: requests that operators left (`ingest/desk.py`), and what gateways answer. Out: `config`
retained and `command` on the broker, the desk's files, and inventories in which a device that is
being worked at says so. What is wanted is kept on disk here and told again on each connection: the
broker is a courier, and may lose what it retains.

A gateway is believed about itself only: its answers count for its own name, and for commands that
were asked of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ingest.broker import Connection, Lost
from ingest.desk import Ask, Closed, Desk, SendCommand, SetConfiguration, SetMaintenance
from wire.clock import Clock
from wire.messages import BadMessage, Inventory, decode_message, pack_message
from wire.remote import EXPIRY_S_MAX, Applied, Command, CommandResult, Desired
from wire.topics import Leaf, every, gateway_of, topic

NOBODY = "the watch has no connection to the broker"
ASKED_MAX = 1000
"""Commands whose answer is believed; the oldest is forgotten first."""

TOLD_A_TURN = 100
"""Configurations that are retained again after a connection, each half second."""

RESULTS_S = 3600.0
_REFUSED = "refused with 0x"
log = logging.getLogger("gampong.watch")


class Remote:
    """Between operators and gateways."""

    def __init__(self, registry: Path, clock: Clock) -> None:
        self._desk, self._clock = Desk(registry), clock
        self._closed: dict[str, Closed] = self._desk.closed()
        self._asked: OrderedDict[str, str] = OrderedDict()  # id → gateway
        self._connection: Connection | None = None
        self._to_tell: list[str] = []  # gateways, since the connection began
        self._now_closed: set[tuple[str, str]] = set()  # gateway, device
        self._keeping = asyncio.Lock()  # from reading a gateway's file until it is written again

    async def greet(self, connection: Connection) -> None:
        """A new connection: hear what gateways answer; what is wanted is told by and by, since
        nobody reads while this runs.

        Raises:
            Lost: it ended.
        """
        self._connection = connection
        for leaf in (Leaf.CONFIG_APPLIED, Leaf.COMMAND_RESULT):
            try:
                await connection.subscribe(every(leaf))
            except Lost as error:  # an access list of before: nothing else is to suffer from it
                if _REFUSED not in str(error):  # whatever the broker's reason code
                    raise
                log.warning("event=not_allowed topic=%s", every(leaf))
        self._to_tell = [*await asyncio.to_thread(self._desk.wanted)]

    def lost(self) -> None:
        """The connection has ended."""
        self._connection = None

    def hears(self, name: str) -> bool:
        """Whether a topic is ours."""
        return bool(gateway_of(name, Leaf.CONFIG_APPLIED) or gateway_of(name, Leaf.COMMAND_RESULT))

    async def take(self, name: str, payload: bytes) -> None:
        """What a gateway says.

        Raises:
            BadMessage: it isn't what its topic says, or answers what nobody asked.
            OSError: it can't be kept; the gateway says it again on its next connection.
        """
        if gateway := gateway_of(name, Leaf.CONFIG_APPLIED):
            applied = decode_message(payload, Applied)
            async with self._keeping:
                kept = self._desk.kept(gateway)
                if applied != kept.applied:
                    kept.applied, kept.applied_ms = applied, self._clock.now_ms()
                    await asyncio.to_thread(self._desk.keep, gateway, kept)
                    log.info("event=configuration gateway=%s state=%s", gateway, applied.state)
        elif gateway := gateway_of(name, Leaf.COMMAND_RESULT):
            result = decode_message(payload, CommandResult)
            if self._asked.get(result.id) != gateway:
                raise BadMessage("answers what it wasn't asked")
            async with self._keeping:
                await asyncio.to_thread(self._keep_answer, gateway, result)

    def _keep_answer(self, gateway: str, result: CommandResult) -> None:
        if result.text:
            kept = self._desk.kept(gateway)
            kept.running, kept.running_ms = result.text, self._clock.now_ms()
            self._desk.keep(gateway, kept)
        self._desk.keep_result(result)

    async def take_asks(self) -> bool:
        """Take up what operators have left: on disk and told, then gone. Whether there was any."""
        turn, self._to_tell = self._to_tell[:TOLD_A_TURN], self._to_tell[TOLD_A_TURN:]
        for gateway in turn:  # what is wanted now: it may have changed since the connection began
            if desired := (await asyncio.to_thread(self._desk.kept, gateway)).desired:
                await self._publish(gateway, desired)
        asks = await asyncio.to_thread(self._desk.asks)
        for path, ask in asks:
            if ask is None:
                log.error("event=bad_ask file=%s", path.name)
            else:
                try:
                    await self._take_up(ask)
                except BadMessage as error:
                    log.error("event=bad_ask file=%s why=%r", path.name, str(error))
                except OSError as error:  # a full disk: it stays until there is room
                    log.error("event=ask_not_kept file=%s why=%r", path.name, str(error))
                    continue
            path.unlink(missing_ok=True)
        return bool(asks)

    async def _take_up(self, ask: Ask) -> None:
        match ask:
            case SetConfiguration():
                await self._set_configuration(ask)
            case SendCommand(gateway, command):
                await self._send(gateway, command)
            case SetMaintenance():
                await self._set_maintenance(ask)

    async def _set_configuration(self, ask: SetConfiguration) -> None:
        """Under a number above all that this gateway has seen from us: the clock's, so that after
        the folder was lost it doesn't begin below what the gateway knows."""
        async with self._keeping:
            kept = self._desk.kept(ask.gateway)
            known = max(
                kept.desired.version if kept.desired else 0,
                kept.applied.version if kept.applied else 0,
            )
            version = max(known + 1, self._clock.now_ms() // 1000)
            kept.desired = desired = Desired(version, ask.text, ask.base, ask.by)
            await asyncio.to_thread(self._desk.keep, ask.gateway, kept)
        log.info("event=configuration_wanted gateway=%s version=%d", ask.gateway, version)
        await self._publish(ask.gateway, desired)

    async def _send(self, gateway: str, command: Command) -> None:
        """Not retained: a gateway that isn't there never hears it."""
        before_s = self._clock.now_ms() / 1000 - RESULTS_S
        await asyncio.to_thread(self._desk.forget_results, before_s)
        left_s = (command.until_ms - self._clock.now_ms()) / 1000
        if self._connection is None or not 0 < left_s <= EXPIRY_S_MAX:
            why = NOBODY if self._connection is None else "its time isn't within ten minutes"
            refused = CommandResult(command.id, False, why)
            await asyncio.to_thread(self._desk.keep_result, refused)
            return
        self._asked[command.id] = gateway
        if len(self._asked) > ASKED_MAX:
            self._asked.popitem(last=False)
        log.info("event=command gateway=%s ask=%s by=%r", gateway, command.ask, command.by)
        payload = pack_message(command)
        name = topic(gateway, Leaf.COMMAND)
        await self._hand_over(name, payload, max(1, int(left_s)), retain=False)

    async def _set_maintenance(self, ask: SetMaintenance) -> None:
        now_ms = self._clock.now_ms()
        closed = {name: one for name, one in self._closed.items() if one.until_ms > now_ms}
        closed.pop(ask.device, None)
        if ask.until_ms > now_ms:
            closed[ask.device] = Closed(ask.until_ms, now_ms, ask.by, ask.why)
        await asyncio.to_thread(self._desk.keep_closed, closed)
        self._closed = closed
        log.info("event=maintenance device=%s until_ms=%d", ask.device, ask.until_ms)

    async def _publish(self, gateway: str, desired: Desired) -> None:
        name = topic(gateway, Leaf.CONFIG)
        await self._hand_over(name, pack_message(desired), 0, retain=True)

    async def _hand_over(self, name: str, payload: bytes, expiry_s: int, retain: bool) -> None:
        if self._connection is None:
            return  # told on the next connection
        try:
            await self._connection.publish(name, payload, expiry_s, self._refused, retain=retain)
        except Lost:
            self._connection = None

    def _refused(self, reason: str) -> None:
        log.error("event=publish_refused code=%s remedy=%r", reason, "the watch's access: config")

    def turned(self, inventories: Mapping[str, Inventory], now_ms: int) -> set[str]:
        """Gateways with a device whose maintenance has begun or ended since this was asked last."""
        closed = {
            (gateway, device.name)
            for gateway, inventory in self.as_worked_at(inventories, now_ms).items()
            for device in inventory.devices
            if device.maintenance
        }
        turned, self._now_closed = closed ^ self._now_closed, closed
        return {gateway for gateway, _ in turned}

    def as_worked_at(
        self, inventories: Mapping[str, Inventory], now_ms: int
    ) -> dict[str, Inventory]:
        """The same inventories, in which whatever is being worked at now says so."""
        closed = self._closed
        return {name: in_maintenance(one, closed, now_ms) for name, one in inventories.items()}


def in_maintenance(inventory: Inventory, closed: Mapping[str, Closed], now_ms: int) -> Inventory:
    """The inventory with `maintenance` where it holds now: the gateway's own word for good, or
    until a time, or an operator's until a time."""
    devices = []
    for device in inventory.devices:
        by_operator = closed.get(device.name)
        holds = now_ms < device.maintenance_until_ms or (
            by_operator is not None and now_ms < by_operator.until_ms
        )
        if holds and not device.maintenance:
            device = msgspec.structs.replace(device, maintenance=True)
        devices.append(device)
    if all(one is other for one, other in zip(devices, inventory.devices, strict=True)):
        return inventory
    return msgspec.structs.replace(inventory, devices=tuple(devices))
