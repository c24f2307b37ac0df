"""Commands from afar: read a device now, ask it more or less often, begin a link anew.

In: a command, the running agent. Out: its result. Each is carried out once however often it comes,
and refused when it is old; one after the other, so that a bus isn't asked by two at a time. None
of them outlives the agent's run: what is to stay belongs into the configuration.

    read_now             the device is asked at once, outside its turn; what it says goes the usual
                         way, whatever its dead band, and into the answer
    set_interval         until the agent's next start, 1 s to the device's heartbeat
    restart_link         its port is closed and opened again
    tell_configuration   the text of gateway.toml, so that a change begins from what is there
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from devices.reading import Payload, Refusal, Undecodable
from edge.configuration import Device, heartbeat_s
from edge.drivers import driver_of
from edge.links import Polled, Sink
from edge.links.ears import Ears
from edge.onlooker import Inside
from wire.clock import Clock
from wire.remote import EXPIRY_S_MAX, ID_MAX, Ask, Command, CommandResult

REMEMBERED_MAX = 64
"""Results by id; the oldest is forgotten first, and by then long past its time."""

READ_S = 30.0
INTERVAL_S_MIN = 1.0


class Refused(Exception):
    """It isn't done; the text says why."""


class Commands:
    """Carries them out.

    Args:
        clock: the agent's.
        text: of the configuration in force.
    """

    def __init__(self, clock: Clock, text: Callable[[], str]) -> None:
        self._clock, self._text = clock, text
        self._done: OrderedDict[str, CommandResult] = OrderedDict()
        self._ears: Ears | None = None

    def ears(self, sink: Sink) -> Sink:
        """A sink that hears what devices answer."""
        self._ears = Ears(sink)
        return self._ears

    async def carry_out(self, command: Command, inside: Inside) -> CommandResult:
        """The result; the same one for the same id."""
        known = self._done.get(command.id)
        if known is not None:
            return known
        try:
            result = await self._carry_out(command, inside)
        except Refused as error:
            result = CommandResult(command.id[:ID_MAX], False, str(error))
        self._done[command.id] = result
        if len(self._done) > REMEMBERED_MAX:
            self._done.popitem(last=False)
        return result

    async def _carry_out(self, command: Command, inside: Inside) -> CommandResult:
        self._check_age(command, inside)
        if command.ask is Ask.TELL_CONFIGURATION:
            return CommandResult(command.id, True, text=self._text())
        if command.ask is Ask.RESTART_LINK:
            link = inside.links.get(command.target)
            if link is None:
                raise Refused(f"no link {command.target}")
            if (detail := link.status().detail).startswith("paused"):
                raise Refused(f"{command.target} is {detail}")
            link.restart()
            return CommandResult(command.id, True, f"{command.target} begins anew")
        device, polled = self._polled(command.target, inside)
        if command.ask is Ask.SET_INTERVAL:
            most_s = heartbeat_s(device, driver_of(inside.configuration, device))
            if not INTERVAL_S_MIN <= command.value <= most_s:
                raise Refused(f"{command.value:g} s isn't within {INTERVAL_S_MIN:g}..{most_s:g}")
            polled.set_interval(device.name, command.value)
            return CommandResult(
                command.id, True, f"{device.name}: each {command.value:g} s until the next start"
            )
        return await self._read(command, device, polled, inside)

    def _check_age(self, command: Command, inside: Inside) -> None:
        if not 0 < len(command.id) <= ID_MAX:
            raise Refused("its id isn't 1 to 64 characters")
        if not inside.time_trusted():
            raise Refused("this gateway doesn't know the time yet, so not how old this is")
        now_ms = self._clock.now_ms()
        if now_ms > command.until_ms:
            raise Refused(f"too old by {(now_ms - command.until_ms) / 1000:.0f} s")
        if command.until_ms - now_ms > 2000 * EXPIRY_S_MAX:  # twice: clocks may differ
            raise Refused("its time is too far ahead: are the clocks right?")

    def _polled(self, name: str, inside: Inside) -> tuple[Device, Polled]:
        device = next((d for d in inside.configuration.device if d.name == name), None)
        if device is None:
            raise Refused(f"no device {name}")
        lending = inside.links.get(device.link)
        link = lending.inner if lending is not None else None
        if not isinstance(link, Polled):
            raise Refused(f"{name} speaks by itself: nobody can ask it")
        return device, link

    async def _read(
        self, command: Command, device: Device, polled: Polled, inside: Inside
    ) -> CommandResult:
        assert self._ears, "links are made with them"
        heard = self._ears.next_of(device.name)
        inside.want(device.name)
        polled.ask_soon(device.name)
        try:
            async with asyncio.timeout(READ_S):
                said = await heard
        except TimeoutError:
            raise Refused(f"{device.name} gave nothing within {READ_S:g} s") from None
        if isinstance(said, Refusal):
            raise Refused(f"{device.name} was asked: {said}")
        try:
            return CommandResult(command.id, True, self._told(device, said, inside))
        except Undecodable as error:
            raise Refused(f"{device.name} answered, refused: {error.reason}") from error

    def _told(self, device: Device, said: Payload, inside: Inside) -> str:
        values = driver_of(inside.configuration, device).decode(said)
        fields = [f"{name} {value}" for one in values for name, value in one.fields.items()]
        return f"{device.name}: {', '.join(fields)}"
