"""What the page may see of the running agent, and how it writes down what was done.

In: the agent as its onlooker, the configuration's file, a clock. Out: figures for the views, a
written configuration, lines in the log of the site. While the agent begins anew there is nothing
to see: `Anew`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from devices.reading import Reading
from edge.configuration import Device, EdgeConfiguration, expiry_s
from edge.configuration_file import ConfigurationFile
from edge.drivers import driver_of
from edge.onlooker import Inside, Seen
from edge.outbox_file import OutboxFailing
from edge.page.view_status import DeviceNow
from edge.site_log import What, folder_of, note_here
from wire.clock import Clock
from wire.line import parse_line

WHO = "page"
LOOK_S = 1.0
"""A look at the ledger is kept for so long: several phones ask no more often than one."""

log = logging.getLogger(__name__)


class Anew(Exception):
    """The agent is beginning anew; look again in a moment."""


class Refusing(Exception):
    """What was asked for can't be done; `key` is the text that says why."""

    def __init__(self, key: str, **figures: object) -> None:
        super().__init__(key)
        self.key, self.figures = key, figures


class Desk:
    """One agent, over its new starts. `changed`: a configuration was written and isn't in use."""

    def __init__(self, file: ConfigurationFile, clock: Clock) -> None:
        self._file, self._clock = file, clock
        self.changed = False
        self._inside: Inside | None = None
        self._seen: tuple[float, Seen] | None = None
        self._readings: dict[str, tuple[str, Reading | None]] = {}  # by device, with their lines

    def begin(self, inside: Inside) -> None:
        """The agent runs."""
        self._inside, self.changed = inside, False
        self._readings.clear()

    def end(self) -> None:
        """The agent's links stop."""
        self._inside = self._seen = None

    @property
    def inside(self) -> Inside:
        """The running agent.

        Raises:
            Anew: there is none now.
        """
        if self._inside is None:
            raise Anew
        return self._inside

    @property
    def clock(self) -> Clock:
        """The agent's, or the machine's while it begins anew."""
        return self._inside.clock if self._inside else self._clock

    @property
    def configuration(self) -> EdgeConfiguration:
        """The one that runs."""
        return self.inside.configuration

    @property
    def file(self) -> ConfigurationFile:
        """The one that is written."""
        return self._file

    async def seen(self) -> Seen | None:
        """The agent's status, at most `LOOK_S` old; None when the outbox can't be read."""
        now = self.clock.monotonic()
        if self._seen is None or now - self._seen[0] > LOOK_S:
            try:
                self._seen = now, await self.inside.look()
            except OutboxFailing as error:
                log.warning("event=page_blind why=%r", error.reason)
                return None
        return self._seen[1]

    def device(self, name: str) -> Device:
        """The device of that name.

        Raises:
            Refusing: there is none.
        """
        for device in self.configuration.device:
            if device.name == name:
                return device
        raise Refusing("page.not_found")

    def now_of(self, device: Device) -> DeviceNow:
        """Its newest accepted reading."""
        configuration = self.configuration
        driver = driver_of(configuration, device)
        line = self.inside.last.newest(device.name, driver.kind)
        known, reading = self._readings.get(device.name, ("", None))
        if line != known:
            with suppress(ValueError):
                reading = parse_line(line)[0]
            self._readings[device.name] = line, reading
        expiry_ms = int(1000 * expiry_s(device, driver, configuration.outbox.seal_interval_s))
        return DeviceNow(device, driver, reading, expiry_ms)

    def ms_of(self, at_s: float) -> int:
        """City time of a monotonic moment, by the clock as it is now."""
        return self.clock.now_ms() - int(1000 * (self.clock.monotonic() - at_s))

    async def change(self, before: str, after: str, text: str) -> None:
        """Write the configuration; it counts when the agent begins anew.

        Raises:
            ConfigurationError: the agent wouldn't accept it, or somebody changed it meanwhile.
            OSError: the file can't be written.
        """
        await asyncio.to_thread(self._file.change_here, before, after, WHO, text)
        self.changed = True

    async def log(self, what: What, device: str = "", text: str = "") -> None:
        """A line in the log of the site."""
        if self._inside is None:
            return
        folder, trusted = folder_of(self.configuration), self._inside.time_trusted()
        now_ms = self.clock.now_ms()
        await asyncio.to_thread(
            note_here,
            folder,
            what,
            now_ms,
            who=WHO,
            device=device,
            text=text,
            time_trusted=trusted,
        )
