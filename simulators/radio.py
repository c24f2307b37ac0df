"""The air: brings each LoRaWAN device's uplinks to the network server when their time has come.

In: devices with their transmissions. Out: ChirpStack v4 events over MQTT, a truth row for each
uplink, sent or lost, and now and then a join or status notice, which no reading hangs on.
"""

from __future__ import annotations

import heapq

import msgspec
import numpy as np

from devices.chirpstack import APPLICATION, Uplink, topic_of, write_envelope
from simulators.faults import UPLINK, Faults
from simulators.network_server import NetworkServer, Verdict
from simulators.radio_devices import RadioDevice, Transmission
from simulators.truth import How, Row, Truth
from wire.clock import Clock

LATE_MS = (20_000, 180_000)  # city: so much later than spoken a late uplink is delivered
ASK_S, PATIENCE_S = 0.2, 10.0  # wall: for somebody who subscribes, before devices speak anyway
STATUS_EVERY = 24  # uplinks between two status notices of a device
UNKNOWN_EUI = "24e124ffffffffff"
_NEVER_ARRIVES = (Verdict.NOBODY_LISTENS, Verdict.REFUSED)


class _Due(msgspec.Struct, frozen=True, order=True):
    """A delivery that waits for its time; `nth` breaks ties."""

    due_ms: int
    nth: int
    delayed: Transmission | None = None


class Air:
    """All LoRaWAN devices of one gateway's application.

    Args:
        application_id: the application their events are published under.
    """

    def __init__(
        self,
        devices: list[RadioDevice],
        application_id: str,
        server: NetworkServer,
        clock: Clock,
        truth: Truth,
        faults: Faults,
        draws: np.random.Generator,
    ) -> None:
        self._devices, self._application_id = devices, application_id
        self._server, self._clock, self._truth = server, clock, truth
        self._faults, self._draws = faults, draws

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._somebody_listens()
        start_ms = self._clock.now_ms()
        plans = [device.transmissions(start_ms) for device in self._devices]
        nexts = [next(plan) for plan in plans]
        queue = [_Due(first.uplink.time_ms, nth) for nth, first in enumerate(nexts)]
        heapq.heapify(queue)
        while queue:
            due = heapq.heappop(queue)
            await self._until(due.due_ms)
            device = self._devices[due.nth]
            if due.delayed:
                await self._deliver(device, due.delayed, "late")
                continue
            said = nexts[due.nth]
            nexts[due.nth] = next(plans[due.nth])
            heapq.heappush(queue, _Due(nexts[due.nth].uplink.time_ms, due.nth))
            fault = self._faults.pick(self._draws, UPLINK) if said.heard else ""
            if fault == "late":
                late_ms = due.due_ms + int(self._draws.integers(*LATE_MS))
                heapq.heappush(queue, _Due(late_ms, due.nth, said))
            elif said.heard:
                await self._deliver(device, said, fault)
            else:
                self._truth.write(_row(device, said, "lost"))

    async def _somebody_listens(self) -> None:
        """Wait a while for a subscriber, so that the first words aren't lost on nobody: a device
        asks to join until the network lets it."""
        if not self._devices:
            return
        nobody_s = 0.0
        now_ms = self._clock.now_ms()
        asks = Uplink(self._devices[0].dev_eui, f_port=1, data=b"", time_ms=now_ms)
        join, topic = _notice_of(self._envelope(asks), "join"), self._topic(asks, "join")
        while nobody_s < PATIENCE_S:
            if await self._server.publish(topic, join) is not Verdict.NOBODY_LISTENS:
                return
            await self._clock.pause(ASK_S)
            nobody_s += ASK_S

    async def _until(self, due_ms: int) -> None:
        while (wait_ms := due_ms - self._clock.now_ms()) > 0:
            await self._clock.sleep(wait_ms / 1000)

    async def _deliver(self, device: RadioDevice, said: Transmission, fault: str) -> None:
        envelope = self._envelope(said.uplink)
        if name := _notice(said.uplink):
            await self._server.publish(self._topic(said.uplink, name), _notice_of(envelope, name))
        if fault == "unknown_device":
            stranger = msgspec.structs.replace(said.uplink, dev_eui=UNKNOWN_EUI)
            fields, time_ms = said.fields, said.uplink.time_ms
            row = Row(UNKNOWN_EUI, device.driver.kind, device.driver.name, "sent", time_ms, fields)
            await self._publish(stranger, self._envelope(stranger), row, fault)
            fault = ""
        if fault == "not_json":
            self._truth.write(_row(device, said, "lost", fault))
            topic = self._topic(said.uplink, "up")
            await self._server.publish(topic, envelope[: len(envelope) // 2])
            return
        row = _row(device, said, "sent")
        await self._publish(said.uplink, envelope, row, "late" if fault == "late" else "")
        if fault == "duplicate":
            await self._publish(said.uplink, envelope, row, fault)

    async def _publish(self, uplink: Uplink, envelope: bytes, row: Row, fault: str) -> None:
        """One event, and its row once the broker has said what became of it."""

        def note(verdict: Verdict) -> None:
            how: How = "lost" if verdict in _NEVER_ARRIVES else "sent"
            self._truth.write(msgspec.structs.replace(row, how=how, fault=verdict or fault))

        await self._server.publish(self._topic(uplink, "up"), envelope, note)

    def _topic(self, uplink: Uplink, event: str) -> str:
        topic = topic_of(uplink).replace(APPLICATION, self._application_id)
        return topic.removesuffix("up") + event

    def _envelope(self, uplink: Uplink) -> bytes:
        """A gateway's devices are an application of their own; the driver's room knows only one."""
        own = self._application_id.encode()
        return write_envelope(uplink).replace(APPLICATION.encode(), own)


def _row(device: RadioDevice, said: Transmission, how: How, fault: str = "") -> Row:
    driver, time_ms = device.driver, said.uplink.time_ms
    return Row(device.name, driver.kind, driver.name, how, time_ms, said.fields, fault)


def _notice(uplink: Uplink) -> str:
    """The event that goes before this uplink, if any: a join at first, a status now and then."""
    if uplink.frame_counter == 0:
        return "join"
    return "status" if uplink.frame_counter % STATUS_EVERY == 0 else ""


def _notice_of(envelope: bytes, name: str) -> bytes:
    """A join or status event of the same device (layouts: ChirpStack's events.md)."""
    up = msgspec.json.decode(envelope)
    event = {key: up[key] for key in ("deduplicationId", "time", "deviceInfo")}
    if name == "join":
        event["devAddr"] = up["devAddr"]
    else:
        event |= {"margin": 10, "externalPowerSource": False, "batteryLevel": 88.3}
    return msgspec.json.encode(event)
