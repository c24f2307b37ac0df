"""The agent beside the ThingsBoard gateway on the same uplinks: CPU a reading, memory, disk.

Both hear the same site broker at the same time; each sends to a cloud broker of its own. Ours
decodes the sensor's bytes, makes meaning of them, commits each before it is acknowledged, and has
every batch confirmed. Theirs takes decoded JSON. CPU is user and system time of the process from
/proc, start-up left out; `written` is what the kernel wrote to the block device for it.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench import peers
from bench.cloud import Cloud
from bench.environment import environment
from bench.gateway import write_gateway
from bench.processes import Used, used
from bench.result import AtMost, Figure, Result, Row, options, publish
from bench.running import DidNotWork, Running, gampong, python
from bench.thingsboard import NO_LIMITS, RPC_TOPIC, TELEMETRY_TOPIC, thingsboard
from tests.servers import Mosquitto

RATES = ((0.2, 0.4), (100.0, 0.2), (500.0, 0.2), (2000.0, 0.2))
"""Readings a second, and the share of the time that each is given."""

BROKER = "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
SETTLE_S = 6.0
CHANGES, EVENTS_PER_S = 0.02, 0.9
"""Share of a bay's readings that are changes, and how many of them a second at the most (five in
nine devices are bays): about the 30 a minute that the agent seals at once."""
SEAL_S = 10
DRAIN_S = 25.0
METHOD = " ".join(str(__doc__).partition("\n\n")[2].split())


class Side(msgspec.Struct):
    """What one gateway used for a load, and how many readings left it."""

    readings: int
    seconds: float
    cpu_s: float
    resident_mb: float
    written_bytes: int


class TheirServer:
    """Counts the ThingsBoard gateway's readings, and tells it that there are no limits, before
    which it sends nothing."""

    def __init__(self, port: int) -> None:
        self.readings = 0
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._arrived
        self._port = port

    def _connected(self, *_: Any) -> None:
        self._client.subscribe([(TELEMETRY_TOPIC, 1), (f"{RPC_TOPIC}/request/+", 1)])

    def _arrived(self, client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic != TELEMETRY_TOPIC:
            number = message.topic.rpartition("/")[2]
            client.publish(f"{RPC_TOPIC}/response/{number}", NO_LIMITS, qos=1)
            return
        said = msgspec.json.decode(message.payload, type=dict[str, list[dict[str, Any]]])
        entries = [entry for device in said.values() for entry in device]
        # A reading may be split over two messages; one field of it is in one of them.
        self.readings += sum("frame_counter" in entry["values"] for entry in entries)

    def __enter__(self) -> TheirServer:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        if not self._ready.wait(10):
            raise DidNotWork("no subscription for the ThingsBoard gateway's server")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Gateways:
    """Both gateways on one site broker, running; the peer only when it is installed."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.site = stack.enter_context(Mosquitto(folder / "site", 0, BROKER))
        ours = stack.enter_context(Mosquitto(folder / "ours", 0, BROKER))
        self.cloud = stack.enter_context(Cloud("127.0.0.1", ours.port))
        here = "127.0.0.1"
        file = write_gateway(
            folder, (here, ours.port), (here, self.site.port), seal_interval_s=SEAL_S
        )
        self.agent = Running("agent", folder, gampong("edge", "run", str(file)))
        stack.enter_context(self.agent).said("event=started")
        self.peer = peers.thingsboard()
        self.theirs: Running | None = None
        self.server: TheirServer | None = None
        if not self.peer.missing:
            theirs = stack.enter_context(Mosquitto(folder / "theirs", 0, BROKER))
            self.server = stack.enter_context(TheirServer(theirs.port))
            self.theirs = thingsboard(self.peer, folder, self.site.port, theirs.port)
            stack.enter_context(self.theirs)
        self.agent.runs_for(SETTLE_S)

    def load(self, rate: float, seconds: float) -> tuple[Side, Side | None]:
        """Uplinks at that rate to both; each one's use until all has left it, or no more comes."""
        count = max(1, round(rate * seconds))
        words = ["--mqtt", f"127.0.0.1:{self.site.port}", "--rate", str(rate)]
        words += ["--count", str(count), "--changes", f"{min(CHANGES, EVENTS_PER_S / rate):g}"]
        command = python("bench.uplinks", *words)
        before, stored = used(self.agent.pid), self.cloud.stored
        theirs = used(self.theirs.pid) if self.theirs else None
        counted = self.server.readings if self.server else 0
        began = time.monotonic()
        with Running(f"uplinks-{rate:g}", self.folder, command) as uplinks:
            uplinks.said("done", seconds * 3 + 60)
        self._drained(count, stored, counted)
        seconds = time.monotonic() - began
        ours = _side(self.agent.pid, before, self.cloud.stored - stored, seconds)
        if not (theirs and self.theirs and self.server):
            return ours, None
        return ours, _side(self.theirs.pid, theirs, self.server.readings - counted, seconds)

    def _drained(self, count: int, stored: int, counted: int) -> None:
        """Wait for both, for a bounded time: what is lost never comes."""
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline:
            ours = self.cloud.stored - stored >= count
            if ours and (self.server is None or self.server.readings - counted >= count):
                return
            self.agent.runs_for(0.05)


def _side(pid: int, before: Used, readings: int, seconds: float) -> Side:
    after = used(pid)
    return Side(
        readings,
        seconds,
        after.cpu_s - before.cpu_s,
        after.resident_bytes / 1e6,
        after.written_bytes - before.written_bytes,
    )


def rows(rate: float, ours: Side, theirs: Side | None, missing: str) -> list[Row]:
    """CPU and memory at one rate."""
    name, peer = f"{rate:g} readings/s", "ThingsBoard gateway"

    def cpu(side: Side) -> float:
        if rate < 1:  # what it costs to be there
            return side.cpu_s / side.seconds * 3600
        return side.cpu_s / max(1, side.readings) * 1e6

    what = "CPU an hour, idle" if rate < 1 else "CPU a reading"
    return [
        Row(
            what=f"{what} ({name})",
            unit="s" if rate < 1 else "µs",
            ours=Figure.of([cpu(ours)]),
            peer=peer,
            theirs=Figure.of([cpu(theirs)]) if theirs else None,
            missing=missing,
            ratio_target=4,
            note=_lost(ours, theirs),
        ),
        Row(
            what=f"resident memory ({name})",
            unit="MB",
            ours=Figure.of([ours.resident_mb]),
            peer=peer,
            theirs=Figure.of([theirs.resident_mb]) if theirs else None,
            missing=missing,
            target=AtMost(40) if rate < 1 else None,  # a city never says so much
        ),
    ]


def _lost(ours: Side, theirs: Side | None) -> str:
    if theirs is None or ours.readings == theirs.readings:
        return f"{ours.readings:,} readings"
    return f"{ours.readings:,} readings left ours, {theirs.readings:,} theirs"


def main() -> int:
    parser = options(str(__doc__).splitlines()[0], 100)
    parser.add_argument("--rate", type=float, help="only this one")
    arguments = parser.parse_args()
    result = Result("agent_load", METHOD)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gampong-load-")))
        gateways = Gateways(folder, stack)
        for rate, share in RATES:
            if arguments.rate in (None, rate):
                ours, theirs = gateways.load(rate, arguments.seconds * share)
                result.rows += rows(rate, ours, theirs, gateways.peer.missing)
                result.raw[f"{rate:g}"] = msgspec.to_builtins([ours, theirs])
    where = environment(
        mosquitto=peers.mosquitto_version(), thingsboard=gateways.peer.version or "missing"
    )
    publish(result, where, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
