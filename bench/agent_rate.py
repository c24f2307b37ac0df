"""The most readings a second that the agent accepts, commits and has confirmed on one core.

More uplinks are offered than it can take. The agent (all its threads) may use core 0 alone;
brokers, load and the far side share the others. The rate is that of confirmed readings between the
first and the last batch, so it holds intake, commit, seal, sending and confirmation. The
ThingsBoard gateway is offered the same, alone on the same core, and its rate is that of readings
that reach its server.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import peers
from bench.agent_load import BROKER, TheirServer
from bench.cloud import Cloud
from bench.environment import environment
from bench.gateway import write_gateway
from bench.processes import used
from bench.result import AtLeast, Figure, Result, Row, options, publish
from bench.running import Running, gampong, python
from bench.thingsboard import thingsboard
from tests.servers import Mosquitto

OFFERED = 9000
SEAL_S = 2
CORE = 0
RUNS = 2
METHOD = " ".join(str(__doc__).partition("\n\n")[2].split())


class Climb:
    """A count that grows, looked at often: its slope between the first and the last change."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def look(self, at: float, count: int) -> None:
        """Note the count if it has changed."""
        if count and (not self._seen or count > self._seen[-1][1]):
            self._seen.append((at, count))

    @property
    def per_s(self) -> float:
        """A second; 0 before there are two changes. What came at the first change was made
        before, so it doesn't count."""
        if len(self._seen) < 2:
            return 0.0
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began)


def offer(
    gateway: Running, folder: Path, site: int, count: Callable[[], int], seconds: float
) -> tuple[float, float]:
    """Readings a second that left the gateway meanwhile, and its CPU's share of a core."""
    total = round(OFFERED * seconds)
    words = ["--mqtt", f"127.0.0.1:{site}", "--rate", str(OFFERED), "--count", str(total)]
    before, began, climb = used(gateway.pid).cpu_s, time.monotonic(), Climb()
    core = CORE + 1 if (os.cpu_count() or 1) > 1 else CORE
    with Running("offered", folder, python("bench.uplinks", *words), pinned=core):
        while (now := time.monotonic()) < began + seconds:
            climb.look(now, count())
            gateway.runs_for(0.02)
    busy = (used(gateway.pid).cpu_s - before) / (time.monotonic() - began)
    return climb.per_s, busy


def ours(folder: Path, seconds: float) -> tuple[float, float]:
    """A run of the agent."""
    with ExitStack() as stack:
        site = stack.enter_context(Mosquitto(folder / "site", 0, BROKER))
        broker = stack.enter_context(Mosquitto(folder / "cloud", 0, BROKER))
        cloud = stack.enter_context(Cloud("127.0.0.1", broker.port))
        here = "127.0.0.1"
        file = write_gateway(folder, (here, broker.port), (here, site.port), seal_interval_s=SEAL_S)
        agent = Running("agent", folder, gampong("edge", "run", str(file)), pinned=CORE)
        stack.enter_context(agent).said("event=started")
        agent.runs_for(1.0)
        return offer(agent, folder, site.port, lambda: cloud.stored, seconds)


def theirs(folder: Path, seconds: float) -> tuple[float, float]:
    """A run of the ThingsBoard gateway."""
    with ExitStack() as stack:
        site = stack.enter_context(Mosquitto(folder / "their-site", 0, BROKER))
        broker = stack.enter_context(Mosquitto(folder / "their-cloud", 0, BROKER))
        server = stack.enter_context(TheirServer(broker.port))
        peer = peers.thingsboard()
        gateway = thingsboard(peer, folder, site.port, broker.port, pinned=CORE)
        stack.enter_context(gateway).runs_for(5.0)
        return offer(gateway, folder, site.port, lambda: server.readings, seconds)


def main() -> int:
    arguments = options(str(__doc__).splitlines()[0], 60).parse_args()
    peer, each = peers.thingsboard(), arguments.seconds / (2 * RUNS)
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    busy: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(RUNS):
        for name, run in (("ours", ours), ("theirs", theirs)):
            if name == "theirs" and peer.missing:
                continue
            with tempfile.TemporaryDirectory(prefix="gampong-rate-") as folder:
                rate, share = run(Path(folder), each)
            rates[name].append(rate)
            busy[name].append(share)
    row = Row(
        what="readings on one core, accepted, committed, confirmed",
        unit="a second",
        ours=Figure.of(rates["ours"]),
        peer="ThingsBoard gateway, SQLite",
        theirs=Figure.of(rates["theirs"]) if rates["theirs"] else None,
        missing=peer.missing,
        target=AtLeast(5000),
        less_is_better=False,
        note=f"{OFFERED:,} offered",
    )
    result = Result("agent_rate", METHOD, [row], {"rates": rates, "share_of_a_core": busy})
    where = environment(mosquitto=peers.mosquitto_version(), thingsboard=peer.version or "missing")
    publish(result, where, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
