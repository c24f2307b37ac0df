"""Cold start to the first confirmed reading, and from a bay's change to the database's yes.

Start: from the process's launch, with an empty outbox and a sensor that speaks at once, until the
far side has confirmed a reading. Change: a bay on RS-485 turns; the time until the broker passes
the ingestor's confirmation on, which comes after InfluxDB's 204. The bay is polled 20 times a
second and believed at once (debounce 1), so that the line is measured and not the poll. Peer: the
same bay's change as a line of Telegraf's MQTT input, with its default flush (10 s).
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from bench import peers
from bench.cloud import Cloud
from bench.environment import environment
from bench.gateway import write_bus_gateway
from bench.result import AtMost, Figure, Result, Row, at, options, publish
from bench.running import DidNotWork, Running, gampong
from tests.line.sensors import FREE_MM, OCCUPIED_MM, Bus
from tests.live.line import set_up, write_ingest_toml
from tests.servers import Influxd, Mosquitto
from wire.messages import decode_confirm

BROKER = "set_tcp_nodelay true\n"
TELEGRAF_FLUSH_S = 10.0
METHOD = " ".join(str(__doc__).partition("\n\n")[2].split())
_OFTEN = "event_seals_per_minute = 600"
_BAY = """poll_interval_s = 0.05
bay = { occupied_below_mm = 1000, debounce = 1 }"""


def start(folder: Path) -> float:
    """Seconds from an agent's launch to its first confirmed reading."""
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "cloud", 0, BROKER))
        cloud = stack.enter_context(Cloud("127.0.0.1", broker.port))
        file = _gateway(folder, broker.port, stack)[0]
        began = time.monotonic()
        agent = Running("agent", folder, gampong("edge", "run", str(file)))
        stack.enter_context(agent)
        cloud.wait_stored(1, within_s=30)
        return cloud.first_at - began


def _gateway(folder: Path, port: int, stack: ExitStack) -> tuple[Path, Bus]:
    bus = stack.enter_context(Bus(folder / "ttyBUS", {1: FREE_MM}))
    return write_bus_gateway(folder, port, bus.path, [1], _BAY, _OFTEN), bus


class Confirmed:
    """When a batch that holds a line with that text was confirmed, heard at the broker."""

    def __init__(self, port: int, stack: ExitStack) -> None:
        self._wanted, self._at = "", 0.0
        self._waiting: bytes = b""
        self._done = threading.Event()
        # A plain subscriber beside the ingestor: it hears both batches and confirmations.
        stack.enter_context(Cloud("127.0.0.1", port, self._heard, confirms=False))

    def expect(self, text: str) -> None:
        self._wanted, self._waiting = text, b""
        self._done.clear()

    def wait(self, within_s: float) -> float:
        """The monotonic time of the confirmation.

        Raises:
            DidNotWork: there was none in time.
        """
        if not self._done.wait(within_s):
            raise DidNotWork(f"no confirmation of {self._wanted!r} within {within_s} s")
        return self._at

    def _heard(self, leaf: str, payload: bytes, lines: list[str]) -> None:
        if leaf == "batch" and self._wanted:
            if any(self._wanted in line for line in lines):
                self._waiting = payload
        elif leaf == "confirm" and self._waiting and _is_stored(payload):
            self._at = time.monotonic()
            self._done.set()


def _is_stored(confirm: bytes) -> bool:
    return any(fate.final and fate.stored for fate in decode_confirm(confirm).fates)


def changes(folder: Path, seconds: float) -> list[float]:
    """Milliseconds from each change to its confirmation, after InfluxDB's answer."""
    draw = random.Random(1)
    with ExitStack() as stack:
        database = stack.enter_context(Influxd(folder / "influxd"))
        broker = stack.enter_context(Mosquitto(folder / "cloud", 0, BROKER))
        ingest = write_ingest_toml(folder, database, broker.port)
        with ingest.open("a") as file:
            file.write('\n[ingest]\nregistry = "none"\n')
        set_up(folder, database, ingest)
        ingestor = Running("ingestor", folder, gampong("ingest", "run", str(ingest)))
        stack.enter_context(ingestor).said("event=subscribed leaf=backfill")
        heard = Confirmed(broker.port, stack)
        gateway, bus = _gateway(folder, broker.port, stack)
        agent = Running("agent", folder, gampong("edge", "run", str(gateway)))
        heard.expect("occupied=0i")
        stack.enter_context(agent)
        heard.wait(30)
        found, ends, occupied = [], time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            agent.runs_for(0.15 + draw.random() * 0.1)
            occupied ^= 1
            heard.expect(f"occupied={occupied}i")
            began = time.monotonic()
            bus.distances[1] = OCCUPIED_MM if occupied else FREE_MM
            found.append(1000 * (heard.wait(10) - began))
        return found


def main() -> int:
    arguments = options(str(__doc__).splitlines()[0], 60).parse_args()
    starts = []
    for _ in range(5):
        with tempfile.TemporaryDirectory(prefix="gampong-start-") as folder:
            starts.append(start(Path(folder)))
    result = Result("agent_start", METHOD)
    result.rows.append(
        Row(
            what="cold start to the first confirmed reading",
            unit="s",
            ours=Figure.of(starts),
            target=AtMost(2),
        )
    )
    result.raw["starts_s"] = starts
    if missing := peers.influxd().missing:
        print(f"agent_start: a bay's change not measured: InfluxDB {missing}")
    else:
        with tempfile.TemporaryDirectory(prefix="gampong-change-") as folder:
            found = sorted(changes(Path(folder), arguments.seconds / 2))
        result.rows.append(
            Row(
                what="from a bay's change to the database's yes, p99, loopback",
                unit="ms",
                ours=Figure.of([at(found, 0.99)]),
                peer="Telegraf's default flush, by its documentation",
                theirs=Figure.of([1000 * TELEGRAF_FLUSH_S]),
                target=AtMost(300),
                note=f"{len(found)} changes, median {statistics.median(found):.0f} ms",
            )
        )
        result.raw["changes_ms"] = [round(ms, 1) for ms in found]
    where = environment(
        mosquitto=peers.mosquitto_version(), influxd=peers.influxd().version or "missing"
    )
    publish(result, where, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
