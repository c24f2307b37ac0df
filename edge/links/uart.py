"""One sensor on a serial port of its own: listen, find frames, hand on one a poll interval.

In: the bytes of a port. Out: to the sink, a payload a poll interval, noise by reason, and a refusal
when the sensor keeps silent.

Cheap rangers send ten frames a second whether asked or not. City time is cut into poll intervals;
the first good frame of each is the reading, and of several that came at once the newest. The rest
is thrown away uncounted: it never was a reading. A sensor that has to be asked gets its question
once an interval; one that has to be told to measure is told first, and asked when it has.
"""

from __future__ import annotations

from devices.driver import Frame, Framer, Noise, UartLink
from devices.reading import Payload, Refusal
from edge.link_settings import UartPort
from edge.links import Sink
from edge.links.health import Health, sleep_until
from edge.links.serial_port import PortDown, SerialPort, serve_port
from wire.clock import Clock
from wire.messages import LinkStatus
from wire.together import together

SILENT_INTERVALS = 3
SILENT_S_MIN = 1.0  # wall: however fast the city's time runs, a sensor's own ten a second doesn't
READ_S = 60.0


class UartSensor:
    """A link with one device."""

    def __init__(
        self,
        settings: UartPort,
        device: str,
        driver_link: UartLink,
        poll_interval_s: float,
        sink: Sink,
        clock: Clock,
    ) -> None:
        baudrate = settings.baudrate or driver_link.baudrate
        parity = settings.parity or driver_link.parity
        self._port = SerialPort(settings.port, baudrate, parity, clock)
        self._device, self._interval_s = device, poll_interval_s
        self._trigger, self._measures_s = driver_link.trigger, driver_link.measures_s
        self._question = driver_link.poll
        self._framer: Framer = driver_link.framer()
        self._sink, self._clock = sink, clock
        self._health = Health(settings.name)
        self._interval = -1
        self._due_s = 0.0  # city uptime: when a sensor that has to be asked is
        self._frames = self._noises = 0

    @property
    def name(self) -> str:
        return self._health.name

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve_port(self._port, self._serve, self._health, self._clock)

    def ask_soon(self, device: str) -> None:
        """Its next frame is a reading."""
        self._interval, self._due_s = -1, 0.0

    def set_interval(self, device: str, seconds: float) -> None:
        """From now on."""
        self._interval_s = seconds
        self._due_s = min(self._due_s, self._clock.uptime_s() + seconds)

    def status(self) -> LinkStatus:
        return self._health.status()

    async def _serve(self) -> None:
        self._framer.reset()
        parts = [self._listen(), self._watch_silence()]
        if self._question:
            parts.append(self._ask())
        await together(PortDown, *parts)

    async def _listen(self) -> None:
        while True:
            data = await self._port.read(self._clock.monotonic() + READ_S)
            newest: Frame | None = None
            for piece in self._framer.feed(data):
                if isinstance(piece, Frame):
                    newest = piece
                    self._frames += 1
                else:
                    self._note(piece)
            interval = int(self._clock.uptime_s() // self._interval_s)
            if newest and interval != self._interval:
                self._interval = interval
                self._sink.polled(self._device, Payload(newest.data))

    async def _ask(self) -> None:
        while True:
            if self._trigger:
                await self._port.write(self._trigger)
                await self._clock.pause(self._measures_s)
            await self._port.write(self._question)
            self._due_s = self._clock.uptime_s() + self._interval_s
            await sleep_until(self._clock, lambda: self._due_s)

    async def _watch_silence(self) -> None:
        while True:
            self._frames = self._noises = 0
            started = self._clock.monotonic()
            await self._clock.sleep(SILENT_INTERVALS * self._interval_s)
            await self._clock.pause(max(0.0, SILENT_S_MIN - (self._clock.monotonic() - started)))
            if not self._frames:
                # Noise and never a frame is a bad cable or a wrong speed, not a dead sensor.
                reason = Refusal.CHECKSUM if self._noises else Refusal.TIMEOUT
                self._health.count(reason)
                self._sink.refused(self._device, reason)

    def _note(self, noise: Noise) -> None:
        self._noises += 1
        self._health.count(noise.reason)
        self._sink.noise(self.name, noise.reason)
