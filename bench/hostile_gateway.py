"""How long a gateway's batches take while another does its worst, beside how long they take alone.

One broker, one ingestor, the watch, on the embedded store; a gateway of 13 bays sends one batch
after the other, each when the last is confirmed, alone and beside `bench.hostile`, in turns. The
time is from the first send to the confirmation. The hostile gateway and the broker run on this
machine too, and take their part of its cores.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from bench.environment import environment
from bench.peers import mosquitto_version
from bench.processes import used
from bench.result import Figure, Result, Row, at, options, publish
from bench.running import Running, python
from simulators.fleet_link import FleetLink, Packet
from tests.processes import Gampong
from tests.servers import Mosquitto
from wire.batch import CONTENT_TYPE, BatchKey, digest, encode_batch
from wire.messages import Inventory, InventoryDevice, Status, decode_confirm, encode_message
from wire.topics import REGISTRY_TOPIC, Leaf, topic

TURNS = 3
BAYS = 13
GOOD, HOSTILE = "good-01", "hostile-01"
AGAIN_S = 30.0
"""What isn't confirmed after so long is sent again, as the uplink does."""

BROKER = """
max_inflight_messages 1000
max_queued_messages 10000
max_packet_size 400000
set_tcp_nodelay true
log_type warning
"""
"""What `gampong gateway authority` writes, but for packets large enough for every assault."""

INGEST = """
[broker]
port = {port}

[store]
type = "sqlite"
path = "{folder}/store.db"
busy_timeout_s = 5.0

[dead_letters]
path = "{folder}/dead-letters.jsonl"

[watch]
registry_path = "{folder}/registry.json"
"""


class Neighbour:
    """A gateway that is as it should be. `latencies_s` has one of each batch, `again` counts what
    was sent a second time."""

    def __init__(self, broker: Mosquitto, name: str = GOOD) -> None:
        self._broker, self.name = broker, name
        self.epoch = digest(name.encode()) * 2
        self.latencies_s: list[float] = []
        self.again = self.stored = self._sequence = 0
        self._answer = asyncio.Event()
        self._registered = asyncio.Event()
        up = self._up = asyncio.Event()
        filters = [topic(name, Leaf.CONFIRM), REGISTRY_TOPIC]
        self.link = FleetLink(name, filters, self._heard, up.set, lambda _: None)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self.link, self._broker.host, self._broker.port)
        await self._up.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.link.close()

    async def announce(self, *more: str) -> None:
        """Say what hangs on it; back when the registry has it."""
        self._registered.clear()
        self._last = more[-1] if more else self.bays()[-1]
        devices = tuple(
            InventoryDevice(name, "parking_spot", "bosch_tps110", "a", 600, 1560)
            for name in (*self.bays(), *more)
        )
        for leaf, message in (
            (Leaf.INVENTORY, Inventory(self.name, "pasar", 60.0, devices)),
            (Leaf.STATUS, Status(self.name, True)),
        ):
            packet = Packet(topic(self.name, leaf), encode_message(message), retain=True)
            self.link.publish(packet, lambda _: None)
        await self._registered.wait()

    def bays(self) -> list[str]:
        return [f"{self.name}-bay-{number:02d}" for number in range(BAYS)]

    async def send(self) -> None:
        """One batch, until it is stored."""
        self._sequence += 1
        now_ms = int(time.time() * 1000)
        payload = encode_batch(
            f"parking_spot,device={bay},site=pasar,zone=a occupied=1i {now_ms}"
            for bay in self.bays()
        )
        key = BatchKey(self.epoch, self._sequence, digest(payload))
        packet = Packet(
            topic(self.name, Leaf.BATCH),
            payload,
            content_type=CONTENT_TYPE,
            correlation=key.pack(),
            user=(("seal_ms", str(now_ms)),),
        )
        began = time.monotonic()
        self._answer.clear()
        self.link.publish(packet, lambda _: None)
        while True:
            try:
                async with asyncio.timeout(AGAIN_S):
                    await self._answer.wait()
                break
            except TimeoutError:
                self.again += 1
                self.link.publish(packet, lambda _: None)
        self.latencies_s.append(time.monotonic() - began)

    def _heard(self, name: str, payload: bytes) -> None:
        if name == REGISTRY_TOPIC:
            if f'"{self._last}"'.encode() in payload:
                self._registered.set()
            return
        for fate in decode_confirm(payload).fates:
            if fate.sequence == self._sequence and fate.stored == BAYS:
                self.stored += fate.stored
                self._answer.set()

    _last = ""


@contextmanager
def cloud(folder: Path) -> Iterator[tuple[Mosquitto, Gampong, Gampong]]:
    """Broker, ingestor and watch, each a process."""
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "broker", config=BROKER))
        file = folder / "ingest.toml"
        file.write_text(INGEST.format(port=broker.port, folder=folder))
        watch = stack.enter_context(Gampong("watch", folder, "watch", str(file)))
        watch.said("ready")
        ingestor = stack.enter_context(Gampong("ingest", folder, "ingest", "run", str(file)))
        yield broker, ingestor, watch


def flooding(folder: Path, broker: Mosquitto, *words: str) -> Running:
    """The hostile gateway, in a process of its own; `hang_up` ends it."""
    command = python("bench.hostile", "--port", str(broker.port), "--name", HOSTILE, *words)
    return Running("hostile", folder, command, fed=True)


async def _measure(folder: Path, seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Latencies alone and beside the flood, and resident MB of ingestor and watch after it."""
    with cloud(folder) as (broker, ingestor, watch):
        async with Neighbour(broker) as good:
            await good.announce()
            ingestor.said("event=subscribed leaf=backfill")
            alone = await _for(good, seconds)
            with flooding(folder, broker) as flood:
                flood.said("sent")
                beside = await _for(good, seconds)
                flood.hang_up()
                flood.said("over")
            print(flood.tail().splitlines()[-1], f"sent again: {good.again}")
        memory = [used(process.pid).resident_bytes / 1e6 for process in (ingestor, watch)]
        assert ingestor.stop() == 0
        print(ingestor.tail().splitlines()[-1])
        return alone, beside, memory


async def _for(good: Neighbour, seconds: float) -> list[float]:
    first, began = len(good.latencies_s), time.monotonic()
    while time.monotonic() - began < seconds:
        await good.send()
    return good.latencies_s[first:]


def main() -> int:
    given = options("a gateway beside a hostile one", seconds=90).parse_args()
    result = Result("hostile_gateway", (__doc__ or "").strip())
    alone: list[list[float]] = []
    beside: list[list[float]] = []
    memory: list[list[float]] = []
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory(prefix="gampong-bench-") as folder:
            found = asyncio.run(_measure(Path(folder), given.seconds / TURNS / 2))
        alone.append(sorted(found[0]))
        beside.append(sorted(found[1]))
        memory.append(found[2])
    for what, place in (("median", 0.5), ("99th percentile", 0.99), ("slowest", 1.0)):
        result.rows.append(
            Row(
                what=f"a batch beside a hostile gateway, {what}",
                unit="ms",
                ours=Figure.of(1000 * at(times, place) for times in beside),
                peer="alone",
                theirs=Figure.of(1000 * at(times, place) for times in alone),
            )
        )
    for place, name in enumerate(("ingestor", "watch")):
        row = Row(
            what=f"{name} after it", unit="MB", ours=Figure.of(each[place] for each in memory)
        )
        result.rows.append(row)
    publish(result, environment(mosquitto=mosquitto_version()), given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
