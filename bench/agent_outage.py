"""The agent's memory with every link open, and through a day without the cloud.

One gateway with the city's 72 devices: sixteen bays on RS-485, ten bins on UARTs, 44 radio devices,
two WiFi corners, polled once a minute. First the cloud is there, then its broker is killed and a
simulated day passes. The ThingsBoard gateway hears as many uplinks a city minute, on its SQLite
storage, its server killed at the same moment; it hears nothing else, which favours it.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec

from bench import peers
from bench.agent_load import BROKER, TheirServer
from bench.cloud import Cloud
from bench.environment import environment
from bench.processes import used
from bench.result import AtMost, Figure, Result, Row, options, publish
from bench.running import Running, gampong, python
from bench.thingsboard import thingsboard
from simulators.city import City
from simulators.gateway_files import write_gateway_files
from tests.servers import Mosquitto
from wire.clock import CityTime, SystemClock
from wire.configuration import Broker

DAY_S = 24 * 3600
ONLINE_S = 12.0
LOOKS = 240
READINGS_A_MINUTE = 20
METHOD = " ".join(str(__doc__).partition("\n\n")[2].split())


class Resident(msgspec.Struct):
    """Resident MB: online, then at each look through the day."""

    online: float = 0.0
    outage: list[float] = []

    @property
    def growth(self) -> float:
        """From the first tenth of the day to its last, each at its most."""
        tenth = max(1, len(self.outage) // 10)
        return max(self.outage[-tenth:]) - max(self.outage[:tenth])


def day(folder: Path, seconds: float) -> tuple[Resident, Resident | None]:
    """Run both; the day passes in so many seconds."""
    now_ms = SystemClock().now_ms()
    city = CityTime(now_ms, now_ms, DAY_S / seconds)
    with ExitStack() as stack:
        site = stack.enter_context(Mosquitto(folder / "site", 0, BROKER))
        broker = stack.enter_context(Mosquitto(folder / "cloud", 0, BROKER))
        cloud = stack.enter_context(Cloud("127.0.0.1", broker.port))
        agent = _agent(folder, city, site.port, broker.port, stack)
        others: list[Mosquitto] = [broker]
        theirs = _theirs(folder, city, site.port, stack, others)
        cloud.wait_stored(1, 30)
        agent.runs_for(ONLINE_S)
        gateways = [agent, theirs] if theirs else [agent]
        found = [Resident(_resident_mb(gateway)) for gateway in gateways]
        for other in others:
            other.kill()
        for _ in range(LOOKS):
            agent.runs_for(seconds / LOOKS)
            for gateway, resident in zip(gateways, found, strict=True):
                resident.outage.append(_resident_mb(gateway))
        return found[0], found[1] if theirs else None


def _resident_mb(gateway: Running) -> float:
    return round(used(gateway.pid).resident_bytes / 1e6, 1)


def _agent(folder: Path, city: CityTime, site: int, cloud: int, stack: ExitStack) -> Running:
    words = ["simulate", "--directory", str(folder), "--bays", "40", "--bins", "30"]
    words += ["--mqtt", f"127.0.0.1:{site}", "--city-time", city.argument]
    simulator = Running("city", folder, gampong(*words))
    stack.enter_context(simulator).said("ready")
    file = write_gateway_files(
        City.of(1, bays=40, bins=30),
        folder,
        cloud_broker=Broker(port=cloud),
        site_broker=Broker(port=site),
        poll_interval_s=60,
    )[0]
    words = ["edge", "run", str(file), "--city-time", city.argument, "--drain-seconds", "0"]
    agent = Running("agent", folder, gampong(*words))
    stack.enter_context(agent).said("event=started")
    return agent


def _theirs(
    folder: Path, city: CityTime, site: int, stack: ExitStack, others: list[Mosquitto]
) -> Running | None:
    peer = peers.thingsboard()
    if peer.missing:
        return None
    broker = stack.enter_context(Mosquitto(folder / "theirs", 0, BROKER))
    others.append(broker)
    stack.enter_context(TheirServer(broker.port))
    gateway = thingsboard(peer, folder, site, broker.port)
    stack.enter_context(gateway).runs_for(4.0)
    rate = READINGS_A_MINUTE / 60 * city.rate
    words = ["--mqtt", f"127.0.0.1:{site}", "--rate", f"{rate:g}", "--count", "1000000"]
    words += ["--city-time", city.argument]
    stack.enter_context(Running("uplinks", folder, python("bench.uplinks", *words)))
    return gateway


def rows(ours: Resident, theirs: Resident | None, missing: str) -> list[Row]:
    """Online, at the most in the day, and how it grew."""
    peer = "ThingsBoard gateway, SQLite"

    def row(what: str, our: float, their: float | None, target: AtMost | None) -> Row:
        return Row(
            what=what,
            unit="MB",
            ours=Figure.of([our]),
            peer=peer,
            theirs=Figure.of([their]) if their is not None else None,
            missing=missing,
            target=target,
        )

    most = max(theirs.outage) if theirs else None
    return [
        row(
            "resident, all links open, online",
            ours.online,
            theirs.online if theirs else None,
            AtMost(40),
        ),
        row("resident, at the most in a day without the cloud", max(ours.outage), most, AtMost(40)),
        row("growth through that day", ours.growth, theirs.growth if theirs else None, AtMost(2)),
    ]


def main() -> int:
    arguments = options(str(__doc__).splitlines()[0], 120).parse_args()
    with tempfile.TemporaryDirectory(prefix="gampong-outage-") as folder:
        ours, theirs = day(Path(folder), max(arguments.seconds, 10.0))
    result = Result("agent_outage", METHOD, rows(ours, theirs, peers.thingsboard().missing))
    result.raw = msgspec.to_builtins({"ours": ours, "theirs": theirs})
    version = peers.thingsboard().version or "missing"
    publish(
        result,
        environment(mosquitto=peers.mosquitto_version(), thingsboard=version),
        arguments.out,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
