"""`gampong probe gateway.toml DEVICE`: one wired device's raw bytes, values and quality, live.

In: the gateway's configuration. Out: a line a reading on stdout until --count of them have come;
refusals and noise as such. Exit code: 0 when a reading came, 1 when none did, 2 for a configuration
that can't be used. Nothing is stored. The agent must not hold the port: one program a port.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gampong.spoken import complain, spoken
from wire.sentence import told

if TYPE_CHECKING:
    from devices.driver import Driver
    from devices.envelope import Uplink
    from devices.reading import Payload, Refusal
    from edge.configuration import EdgeConfiguration
    from edge.links import Answered
    from edge.meaning_state import State

NOTHING, UNUSABLE = 1, 2


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    probe = subparsers.add_parser(
        "probe",
        help="what one device says: raw bytes, value, quality",
        description="For devices on wires and access points. Stop the agent first.",
    )
    probe.add_argument("file", type=Path, metavar="FILE", help="gateway.toml")
    probe.add_argument("device", metavar="DEVICE", help="its name there")
    probe.add_argument("--count", type=int, default=10, help="readings (default 10)")
    probe.add_argument("--within", type=float, default=60.0, metavar="S", help="seconds (60)")
    probe.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong probe`."""
    from edge.configuration import load_configuration
    from wire.configuration import ConfigurationError

    try:
        text = arguments.file.read_text(encoding="utf-8")
        configuration = only(
            load_configuration(text, str(arguments.file)), arguments.device, str(arguments.file)
        )
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        complain("probe", error)
        return UNUSABLE
    shown = asyncio.run(_probe(configuration, arguments.count, arguments.within))
    return 0 if shown else NOTHING


def only(configuration: EdgeConfiguration, name: str, source: str) -> EdgeConfiguration:
    """The configuration with that device and its link alone.

    Raises:
        ConfigurationError: no such device, or one that can't be asked.
    """
    from devices.driver import LorawanLink, TopicLink
    from edge.drivers import driver_of
    from wire.configuration import ConfigurationError

    names = [device.name for device in configuration.device]
    if name not in names:
        remedy = told("Take one of: {names}", names=", ".join(names) or told("none"))
        raise ConfigurationError(source, "device", told("no {name!r}", name=name), remedy)
    device = configuration.device[names.index(name)]
    if isinstance(driver_of(configuration, device).link, LorawanLink | TopicLink):
        # A second reader would take uplinks away from the agent.
        remedy = told("See what it sent: gampong outbox export --confirmed")
        problem = told("speaks when it likes, it can't be asked")
        raise ConfigurationError(source, name, problem, remedy)
    links = tuple(link for link in configuration.link if link.name == device.link)
    return msgspec.structs.replace(configuration, device=(device,), link=links)


async def _probe(configuration: EdgeConfiguration, count: int, within_s: float) -> int:
    from edge.links.make import make_links
    from wire.clock import SystemClock

    clock = SystemClock()
    screen = _Screen(configuration, count, clock.now_ms)
    (link,) = make_links(configuration, screen, clock)
    try:
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
            running = group.create_task(link.run())
            await screen.full.wait()
            running.cancel()
    except TimeoutError:
        status = link.status()
        why = status.detail or told("no more readings in time")
        ended = (
            told("{link} is up: {why}", link=link.name, why=why)
            if status.state == "up"
            else told("{link} is down: {why}", link=link.name, why=why)
        )
        print(spoken(ended))
    return screen.shown


class _Screen:
    """A sink that shows."""

    def __init__(self, configuration: EdgeConfiguration, count: int, now_ms: object) -> None:
        from edge.drivers import driver_of
        from edge.meaning import rules_of

        device = configuration.device[0]
        self._driver: Driver = driver_of(configuration, device)
        self._rules = rules_of(device, self._driver, configuration.outbox.seal_interval_s)
        self._state: State | None = None
        self._count, self._now_ms = count, now_ms
        self.shown = 0
        self.full = asyncio.Event()

    def polled(self, device: str, payload: Payload) -> None:
        from devices.reading import Undecodable, check_fields
        from edge.meaning import interpret

        assert callable(self._now_ms)
        size = told("{size} bytes", size=len(payload.data))
        raw = payload.data.hex() if len(payload.data) <= 64 else spoken(size)
        try:
            values = self._driver.decode(payload)[0]
            check_fields(self._driver.kind, values.fields)
        except Undecodable as error:
            refused = told("refused: {error}", error=error)
            print(f"{device}  {raw}  {spoken(refused)}", flush=True)
            return
        interpreted = interpret(self._rules, values, self._now_ms(), self._state)
        self._state = interpreted.state
        fields = values.fields if interpreted.fields is None else interpreted.fields
        said = "  ".join(f"{name}={value}" for name, value in sorted(fields.items()))
        print(f"{device}  {raw}  {said}", flush=True)
        self.shown += 1
        if self.shown >= self._count:
            self.full.set()

    def refused(self, device: str, reason: Refusal) -> None:
        print(f"{device}  {spoken(told('no reading: {reason}', reason=reason))}", flush=True)

    def noise(self, link: str, reason: str) -> None:
        print(f"{link}  {spoken(told('noise: {reason}', reason=reason))}", flush=True)

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        raise AssertionError("a device that can be asked sends no uplinks")
