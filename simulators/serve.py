"""A city that runs: opens every port, lets every device speak, until told to stop.

    stop, ready = asyncio.Event(), asyncio.Event()
    await run_city(City.demo(seed=1), directory, site_broker, clock, truth, stop, ready=ready)

One TaskGroup. Stopping cancels the devices, which only ever wait between whole frames; what was
already published is still acknowledged and noted; then ports and the truth are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from devices.driver import HotspotLink, RouterosLink, load_driver
from simulators.access_point import AccessPoint
from simulators.city import City, Corner, Gateway
from simulators.endpoints import HOST, Endpoints, endpoints_of, serial_ports_of
from simulators.envelopes import ServerName, envelope_of
from simulators.faults import NO_FAULTS, Faults
from simulators.internet import TcpTarget, portal_application, serve_names
from simulators.network_server import NetworkServer
from simulators.payments import Till
from simulators.ports import Port, TcpPort
from simulators.ptys import PtyPort
from simulators.radio import Air
from simulators.radio_devices import RadioDevice
from simulators.routeros import RouterOs
from simulators.seeds import generator
from simulators.serial_devices import Bus, SerialSensor, Slave, Speaker
from simulators.snmp_agent import SnmpAgent
from simulators.truth import Truth
from simulators.voices import Voice
from simulators.wifi import WifiCorner
from simulators.world import World
from wire.clock import Clock
from wire.configuration import Broker

FLUSH_S = 0.5  # wall
HTTP_CLOSE_S = 0.1  # wall

_log = logging.getLogger("gampong.simulators")
Running = list[Coroutine[Any, Any, None]]
Serial = Literal["pty", "tcp"]


async def run_city(
    city: City,
    directory: Path,
    site_broker: Broker | None,
    clock: Clock,
    truth_path: Path | None,
    stop: asyncio.Event,
    faults: Faults = NO_FAULTS,
    ready: asyncio.Event | None = None,
    speak: asyncio.Event | None = None,
    serial: Serial = "pty",
    envelope: ServerName = "chirpstack",
) -> int:
    """Serve until `stop` is set; the number of truth rows written.

    Args:
        directory: a folder: the ptys appear there, and `endpoints_of` keeps its file there.
        site_broker: where the network server publishes uplinks; None for a city without radio.
        serial: what carries the serial ports' bytes: ptys, or TCP ports (`serial_ports_of`).
        truth_path: see `simulators.truth`; None for none.
        envelope: which network server tells of uplinks.
        ready: set once every port is open and the broker has accepted the network server.
        speak: radio devices are silent until it is set, for brokers that can't say whether
            anybody listens; what they had to say until then comes late.
    """
    start_ms = clock.now_ms()
    world = World(city, start_ms)
    async with contextlib.AsyncExitStack() as stack:
        truth = Truth(truth_path)
        stack.callback(truth.close)
        parts = _Parts(world, clock, truth, faults, directory, stack, serial)
        server = NetworkServer(site_broker) if site_broker else None
        running: Running = [_flush(truth, clock)]
        if server:
            stack.push_async_callback(server.close)
        for gateway in city.gateways:
            running += await parts.wired(gateway)
            if server:
                speaking = parts.by_radio(gateway, server, envelope) + parts.tills(gateway, server)
                running += [_when(speak, one) for one in speaking]
        running += await parts.corners()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in running]
            tasks.append(group.create_task(_announce(server, ready)))
            await stop.wait()
            for task in tasks:
                task.cancel()
    return truth.rows


class _Parts:
    """Builds the parts of a running city; what must be closed goes on the stack."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        truth: Truth,
        faults: Faults,
        directory: Path,
        stack: contextlib.AsyncExitStack,
        serial: Serial,
    ) -> None:
        self._world, self._clock, self._truth, self._faults = world, clock, truth, faults
        self._directory, self._stack = directory, stack
        self._seed = world.city.seed
        self._tcp = serial_ports_of(world.city, directory) if serial == "tcp" else {}

    async def wired(self, gateway: Gateway) -> Running:
        """Buses and UART sensors, each on a port of its own."""
        running: Running = []
        clock, truth = self._clock, self._truth
        for name in gateway.buses:
            slaves = [
                Slave(self._seed, one, self._world.sight(one.name), self._faults)
                for one in gateway.devices
                if one.bus == name
            ]
            running.append(Bus(slaves, await self._port(name), clock, truth, self._seed).run())
        for one in gateway.devices:
            if one.uart:
                sight = self._world.sight(one.name)
                speaker = Speaker(self._seed, one, sight, self._faults)
                running.append(
                    SerialSensor(speaker, await self._port(one.uart), clock, truth).run()
                )
        return running

    def by_radio(self, gateway: Gateway, server: NetworkServer, envelope: ServerName) -> Running:
        """The LoRaWAN devices of one gateway."""
        devices = [
            RadioDevice(self._seed, one, self._world.sight(one.name), self._faults)
            for one in gateway.by_radio
        ]
        draws = generator(self._seed, gateway.name, "faults")
        told = envelope_of(envelope, gateway.application_id)
        air = Air(devices, told, self._faults, draws)
        return [air.run(server, self._clock, self._truth)]

    def tills(self, gateway: Gateway, server: NetworkServer) -> Running:
        """Where parking is paid."""
        return [
            Till(
                self._seed,
                terminal,
                [self._world.bay(name) for name in terminal.bays],
                self._faults,
                generator(self._seed, terminal.name, "faults"),
            ).run(server, self._clock, self._truth)
            for terminal in gateway.terminals
        ]

    async def corners(self) -> Running:
        """Every WiFi corner's access point and what its probes reach."""
        running: Running = []
        endpoints = endpoints_of(self._world.city, self._directory)
        for corner in self._world.city.corners:
            history, own = self._world.corner(corner.name), endpoints[corner.name]
            await self._access_point(corner, history, own)
            await self._serve_http(portal_application(history, self._clock), own.portal)
            names = await serve_names(history, own, self._clock)
            self._stack.callback(names.close)
            target = TcpTarget(history, own.connect, self._clock)
            self._stack.callback(target.close)
            await target.follow()
            running.append(target.run())
        return running

    async def _access_point(self, corner: Corner, history: WifiCorner, own: Endpoints) -> None:
        link = load_driver(corner.driver).link
        clock, truth = self._clock, self._truth
        if isinstance(link, HotspotLink):
            openwrt = AccessPoint(corner, history, own, clock, truth)
            await self._serve_http(openwrt.application(), own.ubus)
            return
        voice = Voice(self._seed, corner, self._world.sight(corner.name), self._faults)
        if isinstance(link, RouterosLink):
            mikrotik = RouterOs(voice, history, own, clock, truth)
            await self._serve_http(mikrotik.application(), own.ubus)
            return
        agent = SnmpAgent(voice, history, own.password, clock, truth)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: agent, local_addr=(HOST, own.snmp)
        )
        self._stack.callback(transport.close)

    async def _port(self, name: str) -> Port:
        if name not in self._tcp:
            port = PtyPort(self._directory / name)
            self._stack.callback(port.close)
            return port
        tcp = TcpPort(name, self._tcp[name])
        await tcp.open()
        self._stack.callback(tcp.close)
        return tcp

    async def _serve_http(self, application: web.Application, port: int) -> None:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=HTTP_CLOSE_S)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, port).start()


async def _announce(server: NetworkServer | None, ready: asyncio.Event | None) -> None:
    if server:
        await server.connected()
    _log.info("event=ready")
    if ready:
        ready.set()


async def _when(speak: asyncio.Event | None, device: Coroutine[Any, Any, None]) -> None:
    with contextlib.closing(device):
        if speak:
            await speak.wait()
        await device


async def _flush(truth: Truth, clock: Clock) -> None:
    while True:
        await clock.pause(FLUSH_S)
        truth.flush()
