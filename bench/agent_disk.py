"""What goes to the card: bytes a reading and fsyncs a minute, 72 readings a minute.

Three loads: 72 polled sensors (Modbus), sealed each 60 s, which is telemetry; the same number by
radio, each committed before its source is told (an acknowledged source); and the ThingsBoard
gateway, on its SQLite storage, hearing the same uplinks. City time runs ten times as fast, which
favours the peer: it writes by the wall's clock, and so finds more readings in each write. Bytes are
the kernel's write_bytes of the process (whole pages), syncs are counted by strace. The first seals,
which make the files, are left out.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from bench import peers
from bench.agent_load import BROKER, TheirServer
from bench.cloud import Cloud
from bench.environment import environment
from bench.gateway import write_bus_gateway, write_gateway
from bench.processes import used
from bench.result import AtMost, Figure, Result, Row, options, publish
from bench.running import Running, gampong, python
from bench.thingsboard import thingsboard
from bench.uplinks import DEVICES
from tests.line.sensors import FREE_MM, Bus
from tests.servers import Mosquitto
from wire.clock import CityTime, SystemClock

SPEED = 10
SETTLE_CITY_S = 130
METHOD = " ".join(str(__doc__).partition("\n\n")[2].split())
_BAY = """poll_interval_s = 60
heartbeat_s = 30
bay = { occupied_below_mm = 1000 }"""


class Written(msgspec.Struct):
    """What one load cost."""

    readings: int
    minutes: float
    bytes: int
    syncs: int | None

    @property
    def bytes_a_reading(self) -> float:
        return self.bytes / max(1, self.readings)

    @property
    def syncs_a_minute(self) -> float | None:
        return None if self.syncs is None else self.syncs / self.minutes


class Syncs:
    """Counts a running process's fsync and fdatasync with strace; None where there is none."""

    def __init__(self, pid: int, folder: Path, stack: ExitStack) -> None:
        self._file = folder / f"strace-{pid}.txt"
        self._strace: Running | None = None
        if shutil.which("strace"):
            words = ["strace", "-f", "-q", "-e", "trace=fsync,fdatasync", "-o", str(self._file)]
            self._strace = Running(f"strace-{pid}", folder, [*words, "-p", str(pid)])
            stack.enter_context(self._strace).runs_for(0.5)

    @property
    def count(self) -> int | None:
        if self._strace is None or not self._file.exists():
            return None
        return len(re.findall(r"\b(?:fsync|fdatasync)\(", self._file.read_text(errors="replace")))


def measure(gateway: Running, syncs: Syncs, seconds: float, count: Callable[[], int]) -> Written:
    """What the gateway wrote in so many wall seconds, and for how many readings."""
    before, first, synced = used(gateway.pid).written_bytes, count(), syncs.count
    gateway.runs_for(seconds)
    written = used(gateway.pid).written_bytes - before
    after = syncs.count
    syncs_made = None if after is None or synced is None else after - synced
    return Written(count() - first, seconds * SPEED / 60, written, syncs_made)


def polled(folder: Path, seconds: float) -> Written:
    """72 sensors on a bus, each asked once a minute."""
    with ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(folder / "cloud", 0, BROKER))
        cloud = stack.enter_context(Cloud("127.0.0.1", broker.port))
        units = range(1, DEVICES + 1)
        bus = stack.enter_context(Bus(folder / "ttyBUS", dict.fromkeys(units, FREE_MM)))
        file = write_bus_gateway(folder, broker.port, bus.path, units, _BAY)
        agent = stack.enter_context(_agent(folder, file, _city()))
        agent.runs_for(SETTLE_CITY_S / SPEED)
        syncs = Syncs(agent.pid, folder, stack)
        return measure(agent, syncs, seconds, lambda: cloud.stored)


def by_radio(folder: Path, seconds: float) -> tuple[Written, Written | None]:
    """72 radio sensors, each once a minute, to us and to the ThingsBoard gateway."""
    city, here = _city(), "127.0.0.1"
    with ExitStack() as stack:
        site = stack.enter_context(Mosquitto(folder / "site", 0, BROKER))
        broker = stack.enter_context(Mosquitto(folder / "cloud", 0, BROKER))
        cloud = stack.enter_context(Cloud(here, broker.port))
        scaled: dict[str, Any] = {
            "event_gather_s": 0.1 / SPEED,
            "event_seals_per_minute": 30 * SPEED,
        }
        file = write_gateway(
            folder,
            (here, broker.port),
            (here, site.port),
            **scaled,
            journal_commit_s=0.1 / SPEED,
        )
        agent = stack.enter_context(_agent(folder, file, city))
        rate = DEVICES / 60 * SPEED
        words = ["--mqtt", f"{here}:{site.port}", "--rate", str(rate), "--count", "1000000"]
        words += ["--city-time", city.argument, "--changes", "0"]
        theirs, server = None, None
        peer = peers.thingsboard()
        if not peer.missing:
            their_broker = stack.enter_context(Mosquitto(folder / "theirs", 0, BROKER))
            server = stack.enter_context(TheirServer(their_broker.port))
            theirs = thingsboard(peer, folder, site.port, their_broker.port)
            stack.enter_context(theirs).runs_for(5.0)
        load = Running("uplinks", folder, python("bench.uplinks", *words))
        stack.enter_context(load).runs_for(SETTLE_CITY_S / SPEED)
        own = Syncs(agent.pid, folder, stack)
        if theirs is None or server is None:
            return measure(agent, own, seconds, lambda: cloud.stored), None
        counted, written = server.readings, used(theirs.pid).written_bytes
        their_syncs = Syncs(theirs.pid, folder, stack)
        ours = measure(agent, own, seconds, lambda: cloud.stored)
        return ours, Written(
            server.readings - counted,
            seconds * SPEED / 60,
            used(theirs.pid).written_bytes - written,
            their_syncs.count,
        )


def _city() -> CityTime:
    now_ms = SystemClock().now_ms()
    return CityTime(now_ms, now_ms, SPEED)


def _agent(folder: Path, file: Path, city: CityTime) -> Running:
    words = ["edge", "run", str(file), "--city-time", city.argument]
    return Running("agent", folder, gampong(*words))


def rows(what: str, ours: Written, theirs: Written | None, missing: str, apart: bool) -> list[Row]:
    """Bytes and syncs of one load; what stands apart has no target of its own."""
    found = []
    for name, unit, ours_is, theirs_is, target in (
        (
            "written",
            "B a reading",
            ours.bytes_a_reading,
            theirs.bytes_a_reading if theirs else None,
            400,
        ),
        ("fsyncs", "a minute", ours.syncs_a_minute, theirs.syncs_a_minute if theirs else None, 4),
    ):
        if ours_is is None:  # no strace here
            continue
        found.append(
            Row(
                what=f"{name}, {what}",
                unit=unit,
                ours=Figure.of([ours_is]),
                peer="ThingsBoard gateway, SQLite",
                theirs=Figure.of([theirs_is]) if theirs_is is not None else None,
                missing=missing,
                target=None if apart else AtMost(target),
                note=f"{ours.readings / ours.minutes:.0f} readings a minute",
            )
        )
    return found


def main() -> int:
    arguments = options(str(__doc__).splitlines()[0], 80).parse_args()
    result = Result("agent_disk", METHOD)
    if not shutil.which("strace"):
        print("agent_disk: fsyncs not counted: strace is missing (apt-get install strace)")
    with tempfile.TemporaryDirectory(prefix="gampong-disk-") as folder:
        telemetry = polled(Path(folder), arguments.seconds / 2)
    with tempfile.TemporaryDirectory(prefix="gampong-disk-") as folder:
        radio, theirs = by_radio(Path(folder), arguments.seconds / 2)
    missing = peers.thingsboard().missing
    result.rows += rows("telemetry, sealed each 60 s", telemetry, theirs, missing, False)
    result.rows += rows("an acknowledged source", radio, theirs, missing, True)
    result.raw = msgspec.to_builtins({"polled": telemetry, "by_radio": radio, "theirs": theirs})
    version = peers.thingsboard().version or "missing"
    publish(
        result,
        environment(mosquitto=peers.mosquitto_version(), thingsboard=version),
        arguments.out,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
