"""Bytes on the wire a reading: MQTT, TLS, TCP and IP, both directions, beside a JSON gateway.

Two workloads, each with 72 devices on one gateway, seals each 60 s and events at once:

    city      the simulated city: sensors polled and reported by exception as configured by default
    minutely  a reading of each device each minute, by radio (nothing is suppressed)

City time runs faster so that a run is an hour of city; what is the network's own is scaled with it
(keep-alive, event gathering), so that packets a city minute stay what they are in real time. A JSON
gateway in a namespace of its own sends the same readings at the same time.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from bench import gateway
from bench.cloud import Cloud
from bench.environment import environment
from bench.namespaces import Counted, Namespace, missing
from bench.peers import mosquitto_version
from bench.result import AtMost, Figure, Result, Row, options, publish
from bench.running import Running, gampong, python
from bench.uplinks import DEVICES
from simulators.city import City
from simulators.gateway_files import write_gateway_files
from tests.line.certificates import Authority, Signed
from tests.servers import Mosquitto, find, free_port
from wire.clock import CityTime, SystemClock
from wire.configuration import Broker, Tls

SPEED = 15
SITE_PORT = 1883  # in the gateway's namespace
SITE = f"127.0.0.1:{SITE_PORT}"
KEEPALIVE_S = 75
EVENTS = {"event_gather_s": 0.1 / SPEED, "event_seals_per_minute": 30 * SPEED}
SETTLE_CITY_S = 150
METHOD = (
    "IP bytes both ways, from the kernel's counters of a veth pair (MTU 1500, offloads off), with"
    " TLS 1.3 and client certificates. The start (connect, inventory, snapshot) is apart. JSON: a"
    " message a reading, QoS 1, TLS, the ThingsBoard gateway's topic and format."
)


class Sides(msgspec.Struct):
    """What one run counted: ours, theirs, and the readings that both sent."""

    ours: Counted
    theirs: Counted
    start: Counted
    readings: int
    city_minutes: float
    messages: dict[str, int]
    payload_bytes: dict[str, int]

    def packed(self) -> dict[str, object]:
        """For the raw output."""
        built: dict[str, object] = msgspec.to_builtins(self)
        return built


class Wire:
    """Broker, namespaces, certificates and the JSON gateway of one run, in a folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        now_ms = SystemClock().now_ms()
        self.city = CityTime(now_ms, _morning_ms(now_ms), SPEED)
        self.gateway = stack.enter_context(Namespace("gateway", 1))
        self.field = stack.enter_context(Namespace("json", 2))
        own = (self.gateway.host, self.field.host, "127.0.0.1", "localhost")
        authority = Authority(folder / "ca", own)
        self.signed = authority.sign(gateway.NAME)
        theirs = authority.sign("json-gateway")
        self.port = free_port()
        listeners = "listener {port} 127.0.0.1\nset_tcp_nodelay true\n"
        for host in (self.gateway.host, self.field.host):
            tls = authority.sign("broker").mosquitto.replace("allow_anonymous false\n", "")
            tls = tls.replace("use_identity_as_username true\n", "")
            listeners += tls.format(port=self.port).replace("127.0.0.1", host)
        self.cloud_broker = stack.enter_context(Mosquitto(folder / "cloud", 0, listeners))
        stack.enter_context(self._site_broker()).said("running")
        self.json = stack.enter_context(self._json_gateway(theirs))
        self.json.said("connected")
        self.counting = False
        self.sent = 0
        self.cloud = stack.enter_context(Cloud("127.0.0.1", self.cloud_broker.port, self._heard))

    def _site_broker(self) -> Running:
        """Inside the gateway's namespace: what its sensors say isn't counted."""
        file = self.folder / "site.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        file.write_text(f"{user}allow_anonymous true\nlistener {SITE_PORT} 127.0.0.1\n")
        program = find("mosquitto", "apt-get install --no-install-recommends mosquitto")
        return Running("site", self.folder, [*self.gateway.prefix, program, "-c", str(file)])

    def _json_gateway(self, signed: Signed) -> Running:
        words = ["--tls", *(str(file) for file in signed)]
        words += ["--broker", f"{self.field.host}:{self.port}"]
        command = [*self.field.prefix, *python("bench.json_gateway", *words)]
        return Running("json", self.folder, command, fed=True)

    def _heard(self, _leaf: str, _payload: bytes, lines: list[str]) -> None:
        if self.counting:
            for line in lines:
                self.json.feed(line.encode())
                self.sent += 1

    def tls(self) -> Tls:
        """The gateway's own certificate."""
        return Tls(**{name: str(file) for name, file in self.signed._asdict().items()})

    def agent(self, file: Path) -> Running:
        """The agent, inside its namespace."""
        words = ["edge", "run", str(file), "--city-time", self.city.argument]
        return Running("agent", self.folder, [*self.gateway.prefix, *gampong(*words)])

    def measure(self, agent: Running, seconds: float) -> Sides:
        """Let the start pass, then count for so long."""
        agent.said("event=started")
        agent.runs_for(SETTLE_CITY_S / SPEED)
        start = self.gateway.counted()
        messages, payload = self.cloud.messages.copy(), self.cloud.payload_bytes.copy()
        theirs, began = self.field.counted(), time.monotonic()
        self.counting = True
        agent.runs_for(seconds)
        self.counting = False
        ours, minutes = self.gateway.counted() - start, (time.monotonic() - began) * SPEED / 60
        messages, payload = self.cloud.messages - messages, self.cloud.payload_bytes - payload
        self.json.hang_up()
        self.json.said("sent ", within_s=60)
        sent = self.field.counted() - theirs
        return Sides(ours, sent, start, self.sent, minutes, dict(messages), dict(payload))


def _morning_ms(now_ms: int) -> int:
    """Nine in the morning in Banda Aceh, when the market is busy."""
    day_ms = 24 * 3600 * 1000
    return now_ms // day_ms * day_ms + 2 * 3600 * 1000


def city(wire: Wire, stack: ExitStack) -> Running:
    """The simulated city's 72 devices on one gateway; its agent."""
    host = wire.gateway.host
    words = ["simulate", "--directory", str(wire.folder), "--bays", "40", "--bins", "30"]
    words += ["--mqtt", SITE, "--city-time", wire.city.argument]
    simulator = Running("city", wire.folder, [*wire.gateway.prefix, *gampong(*words)])
    stack.enter_context(simulator).said("ready")
    cloud = Broker(host=host, port=wire.port, keepalive_s=KEEPALIVE_S // SPEED, tls=wire.tls())
    site = Broker(port=SITE_PORT)
    of = City.of(1, bays=40, bins=30)
    file = write_gateway_files(of, wire.folder, cloud_broker=cloud, site_broker=site)[0]
    lines = [f"{name} = {value}" for name, value in EVENTS.items()]
    text = file.read_text(encoding="utf-8").replace("[outbox]", "\n".join(["[outbox]", *lines]))
    file.write_text(text, encoding="utf-8")
    return wire.agent(file)


def minutely(wire: Wire, stack: ExitStack) -> Running:
    """72 radio devices, each a reading a minute; two bays in a hundred readings turn."""
    host = wire.gateway.host
    settings: dict[str, Any] = {"keepalive_s": KEEPALIVE_S // SPEED, **EVENTS}
    tls = "[broker.tls]\n" + "\n".join(
        f'{name} = "{value}"' for name, value in msgspec.to_builtins(wire.tls()).items()
    )
    cloud, site = (host, wire.port), ("127.0.0.1", SITE_PORT)
    file = gateway.write_gateway(wire.folder, cloud, site, tls=tls, **settings)
    agent = wire.agent(file)
    words = ["--mqtt", SITE, "--rate", str(DEVICES / 60 * SPEED)]
    words += ["--count", "1000000", "--city-time", wire.city.argument]
    load = Running("uplinks", wire.folder, [*wire.gateway.prefix, *python("bench.uplinks", *words)])
    agent.start().said("event=started")
    agent.runs_for(1.0)
    stack.enter_context(load)
    return agent


def run(what: Callable[[Wire, ExitStack], Running], seconds: float) -> Sides:
    """One workload in a folder of its own."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gampong-wire-"))
        wire = Wire(Path(folder), stack)
        with what(wire, stack) as agent:
            return wire.measure(agent, seconds)


def rows(name: str, sides: Sides, note: str, target: AtMost | None) -> list[Row]:
    """The row of one workload, and what a connect costs."""
    each = max(1, sides.readings)
    ours, theirs = sides.ours.bytes / each, sides.theirs.bytes / each
    a_minute = sides.readings / sides.city_minutes
    return [
        Row(
            what=f"on the wire a reading, {name} ({a_minute:.0f} readings a minute)",
            unit="B",
            ours=Figure.of([ours]),
            peer="JSON a reading",
            theirs=Figure.of([theirs]),
            target=target,
            ratio_target=8,
            note=note,
        )
    ]


def main() -> int:
    parser = options(str(__doc__).splitlines()[0], 120)
    parser.add_argument("--only", choices=("city", "minutely"))
    arguments = parser.parse_args()
    if why := missing():
        print(f"agent_wire: not measured: {why}")
        return 0
    result = Result("agent_wire", METHOD)
    for name, what in (("minutely", minutely), ("city", city)):
        if arguments.only in (None, name):
            sides = run(what, arguments.seconds)
            result.rows += rows(name, sides, "", AtMost(30))
            result.raw[name] = sides.packed()
    publish(result, environment(mosquitto=mosquitto_version()), arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
