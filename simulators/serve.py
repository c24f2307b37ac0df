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
from typing import Any

from aiohttp import web

from simulators.access_point import AccessPoint
from simulators.city import Bay, Bin, City, Gateway
from simulators.endpoints import HOST, endpoints_of
from simulators.faults import NO_FAULTS, Faults
from simulators.internet import TcpTarget, portal_application, serve_names
from simulators.network_server import NetworkServer
from simulators.ptys import PtyPort
from simulators.radio import Air
from simulators.radio_devices import RadioDevice, radio_bay, radio_bin
from simulators.seeds import generator
from simulators.serial_devices import Bus, LevelSensor
from simulators.truth import Truth
from simulators.world import World
from wire.clock import Clock
from wire.configuration import Broker

FLUSH_S = 0.5  # wall
HTTP_CLOSE_S = 0.1  # wall

_log = logging.getLogger("gampong.simulators")
Running = list[Coroutine[Any, Any, None]]


async def run_city(
    city: City,
    directory: Path,
    site_broker: Broker,
    clock: Clock,
    truth_path: Path | None,
    stop: asyncio.Event,
    faults: Faults = NO_FAULTS,
    ready: asyncio.Event | None = None,
    speak: asyncio.Event | None = None,
) -> int:
    """Serve until `stop` is set; the number of truth rows written.

    Args:
        directory: a folder: the ptys appear there, and `endpoints_of` keeps its file there.
        site_broker: where the network server publishes uplinks.
        truth_path: see `simulators.truth`; None for none.
        ready: set once every port is open and the broker has accepted the network server.
        speak: radio devices are silent until it is set, for brokers that can't say whether
            anybody listens; what they had to say until then comes late.
    """
    start_ms = clock.now_ms()
    world = World(city, start_ms)
    async with contextlib.AsyncExitStack() as stack:
        truth = Truth(truth_path)
        stack.callback(truth.close)
        parts = _Parts(world, clock, truth, faults, start_ms, directory, stack)
        server = NetworkServer(site_broker)
        stack.push_async_callback(server.close)
        running: Running = [_flush(truth, clock)]
        for gateway in city.gateways:
            running += parts.wired(gateway)
            running += [_when(speak, one) for one in parts.by_radio(gateway, server)]
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
        start_ms: int,
        directory: Path,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._world, self._clock, self._truth, self._faults = world, clock, truth, faults
        self._start_ms, self._directory, self._stack = start_ms, directory, stack
        self._seed = world.city.seed

    def wired(self, gateway: Gateway) -> Running:
        """Buses and UART sensors, each on a pty of its own."""
        running: Running = []
        for name in gateway.buses:
            bays = [bay for bay in gateway.bays if bay.bus == name]
            draws = generator(self._seed, name, "faults")
            port = self._port(name)
            bus = Bus(bays, port, self._world, self._clock, self._truth, self._faults, draws)
            running.append(bus.run())
        for bin_ in gateway.bins:
            if bin_.uart:
                draws, port = generator(self._seed, bin_.name, "faults"), self._port(bin_.uart)
                world, clock, truth = self._world, self._clock, self._truth
                sensor = LevelSensor(bin_, port, world, clock, truth, self._faults, draws)
                running.append(sensor.run())
        return running

    def by_radio(self, gateway: Gateway, server: NetworkServer) -> Running:
        """The LoRaWAN devices of one gateway."""
        devices = [self._radio_device(gateway, one) for one in gateway.by_radio]
        draws = generator(self._seed, gateway.name, "faults")
        application_id = gateway.application_id
        air = Air(devices, application_id, server, self._clock, self._truth, self._faults, draws)
        return [air.run()]

    async def corners(self) -> Running:
        """Every WiFi corner's access point and what its probes reach."""
        running: Running = []
        endpoints = endpoints_of(self._world.city, self._directory)
        for corner in self._world.city.corners:
            history, own = self._world.corner(corner.name), endpoints[corner.name]
            access_point = AccessPoint(corner, history, own, self._clock, self._truth)
            await self._serve_http(access_point.application(), own.ubus)
            await self._serve_http(portal_application(history, self._clock), own.portal)
            names = await serve_names(history, own, self._clock)
            self._stack.callback(names.close)
            target = TcpTarget(history, own.connect, self._clock)
            self._stack.callback(target.close)
            await target.follow()
            running.append(target.run())
        return running

    def _radio_device(self, gateway: Gateway, one: Bay | Bin) -> RadioDevice:
        if isinstance(one, Bay):
            weather = self._world.weather(gateway.site.name)
            return radio_bay(self._seed, one, self._world.bay(one.name), weather)
        return radio_bin(self._seed, one, self._world.bin(one.name), self._start_ms)

    def _port(self, name: str) -> PtyPort:
        port = PtyPort(self._directory / name)
        self._stack.callback(port.close)
        return port

    async def _serve_http(self, application: web.Application, port: int) -> None:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=HTTP_CLOSE_S)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, port).start()


async def _announce(server: NetworkServer, ready: asyncio.Event | None) -> None:
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
