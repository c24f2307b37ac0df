"""The air: brings each LoRaWAN device's uplinks to the network server when their time has come.

In: devices with their transmissions. Out: a network server's events over MQTT, a truth row for each
uplink, sent or lost, and now and then a join or status notice, which no reading hangs on.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec
import numpy as np

from devices.envelope import Uplink
from simulators.envelopes import Envelope
from simulators.faults import UPLINK, Faults
from simulators.network_server import NetworkServer, Verdict
from simulators.radio_devices import RadioDevice, Transmission
from simulators.truth import How, Row, Truth
from wire.clock import Clock

LATE_MS = (20_000, 180_000)  # city: so much later than spoken a late uplink is delivered
ASK_S, PATIENCE_S = 0.2, 10.0  # wall: for somebody who subscribes, before devices speak anyway
UNKNOWN_EUI = "24e124ffffffffff"
_NEVER_ARRIVES = (Verdict.NOBODY_LISTENS, Verdict.REFUSED)


class Event(msgspec.Struct, frozen=True):
    """One message for the site's broker. `name` is the server's (up, join, status); `row` is the
    truth's, none for a notice. No payload: nobody heard it."""

    name: str
    uplink: Uplink
    payload: bytes
    row: Row | None = None


class Delivery(msgspec.Struct, frozen=True):
    """What reaches the network server at one moment, in order."""

    due_ms: int
    events: tuple[Event, ...]


class _Due(msgspec.Struct, frozen=True, order=True):
    """A delivery that waits for its time; `nth` breaks ties."""

    due_ms: int
    nth: int
    delayed: Transmission | None = None


class Air:
    """All LoRaWAN devices of one gateway's application. `deliveries` is everything they bring
    about, without any IO; `run` publishes it when its time has come.

    Args:
        envelope: how their network server tells of them.
    """

    def __init__(
        self,
        devices: list[RadioDevice],
        envelope: Envelope,
        faults: Faults,
        draws: np.random.Generator,
    ) -> None:
        self._devices, self._envelope = devices, envelope
        self._faults, self._draws = faults, draws

    def deliveries(self, start_ms: int) -> Iterator[Delivery]:
        """Endless, in the order of their time."""
        plans = [device.transmissions(start_ms) for device in self._devices]
        nexts = [next(plan) for plan in plans]
        queue = [_Due(first.spoken_ms, nth) for nth, first in enumerate(nexts)]
        heapq.heapify(queue)
        while queue:
            due = heapq.heappop(queue)
            device = self._devices[due.nth]
            if due.delayed:
                yield self._delivery(due.due_ms, device, due.delayed, "late")
                continue
            said = nexts[due.nth]
            nexts[due.nth] = next(plans[due.nth])
            heapq.heappush(queue, _Due(nexts[due.nth].spoken_ms, due.nth))
            fault = self._faults.pick(self._draws, UPLINK) if said.heard else ""
            if fault == "late":
                late_ms = due.due_ms + int(self._draws.integers(*LATE_MS))
                heapq.heappush(queue, _Due(late_ms, due.nth, said))
            elif fault == "lost" or not said.heard:
                lost = Event("up", said.uplink, b"", device.row(said, "lost", fault))
                yield Delivery(due.due_ms, (lost,))
            else:
                yield self._delivery(due.due_ms, device, said, fault)

    async def run(self, server: NetworkServer, clock: Clock, truth: Truth) -> None:
        """Deliver until cancelled."""
        await self._somebody_listens(server, clock)
        for delivery in self.deliveries(clock.now_ms()):
            while (wait_ms := delivery.due_ms - clock.now_ms()) > 0:
                await clock.sleep(wait_ms / 1000)
            for event in delivery.events:
                if event.payload:
                    await self._publish(event, server, truth)
                elif event.row:
                    truth.write(event.row)

    def topic(self, event: Event) -> str:
        """Where the network server publishes it."""
        return self._envelope.topic(event.uplink, event.name)

    async def _somebody_listens(self, server: NetworkServer, clock: Clock) -> None:
        """Wait a while for a subscriber, so that the first words aren't lost on nobody: a device
        asks to join until the network lets it."""
        if not self._devices:
            return
        nobody_s = 0.0
        asks = Uplink(self._devices[0].dev_eui, f_port=1, data=b"", time_ms=clock.now_ms())
        join = Event("join", asks, self._envelope.notice_message(asks, "join"))
        while nobody_s < PATIENCE_S:
            verdict = await server.publish(self.topic(join), join.payload)
            if verdict is not Verdict.NOBODY_LISTENS:
                return
            await clock.pause(ASK_S)
            nobody_s += ASK_S

    def _delivery(
        self, due_ms: int, device: RadioDevice, said: Transmission, fault: str
    ) -> Delivery:
        uplink, events = said.uplink, list[Event]()
        message = self._envelope.message(uplink)
        if name := self._envelope.notice(uplink):
            events.append(Event(name, uplink, self._envelope.notice_message(uplink, name)))
        if fault == "unknown_device":
            stranger = msgspec.structs.replace(uplink, dev_eui=UNKNOWN_EUI)
            row = msgspec.structs.replace(device.row(said, "sent", fault), device=UNKNOWN_EUI)
            events.append(Event("up", stranger, self._envelope.message(stranger), row))
        if fault == "not_json":
            events.append(Event("up", uplink, b"", device.row(said, "lost", fault)))
            events.append(Event("up", uplink, message[: len(message) // 2]))
            return Delivery(due_ms, tuple(events))
        row = device.row(said, "sent", fault if fault == "late" else "")
        events.append(Event("up", uplink, message, row))
        if fault == "duplicate":
            events.append(Event("up", uplink, message, device.row(said, "sent", fault)))
        return Delivery(due_ms, tuple(events))

    async def _publish(self, event: Event, server: NetworkServer, truth: Truth) -> None:
        """One event, and its row once the broker has said what became of it."""
        row = event.row

        def note(verdict: Verdict) -> None:
            how: How = "lost" if verdict in _NEVER_ARRIVES else "sent"
            if row:
                truth.write(msgspec.structs.replace(row, how=how, fault=verdict or row.fault))

        await server.publish(self.topic(event), event.payload, note)
