"""The Things Stack v3: its MQTT stream, and its storage for what the stream lost.

In: MQTT messages at QoS 0 (its server knows no other). Out: to the sink, uplinks; a gap of a
device's frame counter is counted as `gap`, in uplinks. Its storage is asked for what was missed:

    at the start           since the newest reading that the outbox knows of this link's devices
    after an outage        since the last uplink heard before it
    on a gap               of that device, since its last uplink before it
    not kept               when the outbox couldn't commit, since that uplink's time

Without `storage` in the configuration, all of these are lost, and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from devices.driver import Noise
from devices.envelope import Notice, Uplink
from devices.things_stack import device_id, read_envelope
from edge.link_settings import ThingsStack
from edge.links import Sink
from edge.links.mqtt_311 import Message
from edge.links.mqtt_stream import MqttStream
from edge.links.repeats import Recent
from edge.links.things_storage import OVERLAP_MS, PACE_S, SETTLE_S, ThingsStorage
from wire.clock import Clock
from wire.messages import LinkStatus

GAP_MAX = 1000
"""A counter that is farther on is another session or device: nothing is inferred."""

DEVICES_MAX = 4096
_SIXTEEN_BITS = 65_536


class ThingsStackLink:
    """A link with one application.

    Args:
        settings: the link's.
        gateway: this gateway's name; with the link's it names the session.
        sink: where uplinks go.
        clock: wall time for retries.
        newest_ms: time of the newest reading known of this link's devices, None when there is none.
        time_trusted: until it says True, certificates' dates aren't checked.
        settle_s, pace_s: of `things_storage.py`.
    """

    def __init__(
        self,
        settings: ThingsStack,
        gateway: str,
        sink: Sink,
        clock: Clock,
        newest_ms: int | None = None,
        time_trusted: Callable[[], bool] = lambda: True,
        settle_s: float = SETTLE_S,
        pace_s: float = PACE_S,
    ) -> None:
        self._stream = MqttStream(
            settings.name,
            settings.broker,
            gateway,
            [(settings.topic, 1)],
            self._read,
            sink,
            clock,
            time_trusted,
            self._opened,
            self._not_kept,
        )
        self._heard = Recent()
        self._newest_ms = newest_ms
        self._last: dict[str, tuple[int, int]] = {}
        self._storage = None
        if settings.storage is not None:
            health, heard = self._stream.health, self._heard
            self._storage = ThingsStorage(
                settings.storage, health, heard, sink, clock, settle_s, pace_s
            )

    @property
    def name(self) -> str:
        return self._stream.name

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stream.run())
            if self._storage is not None:
                group.create_task(self._storage.run())

    def status(self) -> LinkStatus:
        """Errors by reason; `gap` and `event_fetched` in uplinks."""
        return self._stream.status()

    def _opened(self) -> None:
        if self._storage is not None:
            known_ms = self._newest_ms
            self._storage.ask("", None if known_ms is None else known_ms - OVERLAP_MS)

    def _read(self, message: Message) -> Iterable[Uplink | Notice | Noise]:
        heard = read_envelope(message.topic, message.payload)
        if not isinstance(heard, Uplink):
            return [heard]
        if heard.deduplication_id in self._heard:
            return []
        self._heard.add(heard.deduplication_id)
        self._follow(device_id(message.topic), heard)
        return [heard]

    def _follow(self, device: str, uplink: Uplink) -> None:
        """Note the counter and the time, and what is missing before them."""
        before = self._last.pop(uplink.dev_eui, None)
        self._last[uplink.dev_eui] = uplink.frame_counter, uplink.time_ms
        if len(self._last) > DEVICES_MAX:
            del self._last[next(iter(self._last))]
        self._newest_ms = max(self._newest_ms or 0, uplink.time_ms)
        if before is None:
            return
        step = uplink.frame_counter - before[0]
        if step < 0 and before[0] < _SIXTEEN_BITS:
            step += _SIXTEEN_BITS
        if 1 < step <= GAP_MAX:
            self._stream.health.count("gap", step - 1)
            if self._storage is not None:
                self._storage.ask(device, before[1])

    def _not_kept(self, uplink: Uplink) -> None:
        """The outbox couldn't commit it, and at QoS 0 nobody sends it again but the storage."""
        self._heard.discard(uplink.deduplication_id)
        if self._storage is not None:
            self._storage.ask("", uplink.time_ms - OVERLAP_MS)
