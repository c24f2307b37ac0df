"""A running city for a program that isn't asyncio's: a test, a notebook, somebody else's gateway.

    with RunningCity("dfrobot_a02yyuw", "dfrobot_sen0591:3") as city:
        serial.Serial(city.port("bin-01"), 9600).read(4)
        city.actual("bin-01")

It runs in a thread with a loop of its own; leaving the block ends it and gives everything back.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal

from devices.reading import Value
from simulators.city import City, Placed
from simulators.city_file import Wanted, city_of
from simulators.endpoints import HOST, Endpoints, endpoints_of, serial_ports_of
from simulators.envelopes import ServerName
from simulators.faults import NO_FAULTS, Faults
from simulators.gateway_files import write_gateway_files
from simulators.serve import run_city
from simulators.truth import Row, read_truth
from simulators.world import World
from wire.clock import CityTime, SystemClock
from wire.configuration import Broker

START_S = 20.0
NOWHERE = Broker(port=1)


class RunningCity:
    """A city of these devices (`driver` or `driver:count`), or the demo's when none is named.

    Args:
        mqtt: `host:port` of the broker that uplinks are published to; needed for radio devices.
        seed: what happens in it; the same seed gives the same city.
        faults: see `simulators.faults`.
        speed: city seconds a second.
        start_ms: city time to begin at, Unix milliseconds; now by default.
        serial: whether serial ports are ptys or TCP ports.
        envelope: which network server publishes the uplinks.
        directory: where ptys, gateway files and the truth file appear; a temporary folder.
    """

    def __init__(
        self,
        *devices: str,
        mqtt: str = "",
        seed: int = 1,
        faults: Faults = NO_FAULTS,
        speed: float = 1.0,
        start_ms: int | None = None,
        serial: Literal["pty", "tcp"] = "pty",
        envelope: ServerName = "chirpstack",
        directory: Path | None = None,
    ) -> None:
        wanted = [Wanted.parse(text) for text in devices]
        self.city = city_of(wanted, seed) if wanted else City.demo(seed)
        if not mqtt and any(gateway.by_radio for gateway in self.city.gateways):
            raise ValueError("radio devices need a broker: mqtt='127.0.0.1:1883'")
        host, _, port = mqtt.rpartition(":")
        self._site = Broker(host=host, port=int(port)) if mqtt else None
        self._faults, self._serial, self._given = faults, serial, directory
        self._envelope = envelope
        now_ms = SystemClock().now_ms()
        self.clock = SystemClock(CityTime(now_ms, start_ms or now_ms, speed))
        self._world = World(self.city, self.clock.now_ms())
        self._stack = ExitStack()
        self._end = threading.Event()
        self._ready = threading.Event()

    def __enter__(self) -> RunningCity:
        self.directory = self._given or Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gampong-city-"))
        )
        self.gateway_files = write_gateway_files(
            self.city,
            self.directory,
            cloud_broker=self._site or NOWHERE,
            site_broker=self._site or NOWHERE,
            serial=self._serial,
            envelope=self._envelope,
        )
        executor = ThreadPoolExecutor(1, thread_name_prefix="city")
        self._stack.callback(executor.shutdown)
        self._running: Future[None] = executor.submit(asyncio.run, self._run())
        self._running.add_done_callback(lambda _: self._ready.set())
        self._stack.callback(self._stop)
        if not self._ready.wait(START_S) or self._running.done():
            self._stack.close()
            raise TimeoutError(f"no city within {START_S} s: does the broker {self._site} answer?")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def truth(self) -> Path:
        """The truth file (`simulators/truth.py`)."""
        return self.directory / "truth.jsonl"

    def port(self, device: str) -> str:
        """What pyserial opens for a wired device: a path, or a `socket://` URL."""
        one = self._placed(device)
        name = one.bus or one.uart
        if not name:
            raise LookupError(f"{device} has no serial port")
        if self._serial == "tcp":
            return f"socket://{HOST}:{serial_ports_of(self.city, self.directory)[name]}"
        return str(self.directory / name)

    def corner(self, device: str) -> Endpoints:
        """Where an access point and what its probes ask listen."""
        return endpoints_of(self.city, self.directory)[device]

    def actual(self, device: str) -> Mapping[str, Value]:
        """What is really there now, which no sensor knows."""
        return self._world.sight(self._placed(device).name).actual(self.clock.now_ms())

    def rows(self, device: str = "") -> list[Row]:
        """What the devices were asked or said so far, of one device or of all."""
        return [row for row in read_truth(self.truth) if device in ("", row.device)]

    def _placed(self, device: str) -> Placed:
        found = {one.name: one for one in self.city.devices}
        if device not in found:
            raise LookupError(f"no device {device!r}; there are: {', '.join(found)}")
        return found[device]

    async def _run(self) -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        self._loop, self._stop_event = asyncio.get_running_loop(), stop
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._tell(ready))
            await run_city(
                self.city,
                self.directory,
                self._site,
                self.clock,
                self.truth,
                stop,
                self._faults,
                ready,
                serial=self._serial,
                envelope=self._envelope,
            )
            task.cancel()

    async def _tell(self, ready: asyncio.Event) -> None:
        await ready.wait()
        self._ready.set()

    def _stop(self) -> None:
        if not self._running.done() and hasattr(self, "_loop"):
            self._loop.call_soon_threadsafe(self._stop_event.set)
        self._running.exception()
