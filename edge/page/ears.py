"""What links hear, and one reading's way from the cable to the city's database.

In: everything that links hand to the sink, batches as they are sealed, what the cloud says of them.
Out: the newest frame of each device, and for a device that somebody asks about (`follow`) the whole
way of its next reading. All goes on to the sink unchanged, and nothing here waits.

    asked → heard (the frame, decoded) → kept (the line in a sealed batch) → stored or rejected

Only a sensor's own bytes are kept, from a serial port or by radio. An access point's answer holds
its visitors' addresses, a message on a topic may hold a payer's name: of those only what the driver
reads stays, and nobody sees the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from devices.driver import Driver, LorawanLink, ModbusLink, UartLink
from devices.envelope import Uplink, payload_of
from devices.reading import Payload, Refusal, Undecodable, Value, Values, check_fields
from edge.commissioning import Entry, Fate
from edge.configuration import Device, EdgeConfiguration
from edge.drivers import driver_of
from edge.links import Answered, Sink
from edge.records import Sealed
from wire import messages
from wire.batch import BadBatch, decode_batch
from wire.clock import Clock

WAYS_MAX = 64
STAMP_MS = 20
"""A polled reading's stamp is rounded to 10 ms, and may be a little before it was asked for."""


class Heard(msgspec.Struct, frozen=True):
    """One frame. `at_s` is `Clock.monotonic()`, `time_ms` a network server's own time. `raw` is
    what left the device, None where it could tell of people. What has to be decoded at once, since
    it isn't kept, is in `values`, or why it can't be in `why`."""

    at_s: float
    raw: Payload | None
    time_ms: int | None = None
    values: Values | None = None
    why: Refusal | None = None

    def decoded(self, device: Device, driver: Driver) -> Values:
        """What that device said in it.

        Raises:
            Undecodable: as the driver, or nothing for this device in it.
        """
        if self.values is not None:
            return self.values
        if self.why is not None or self.raw is None:
            raise Undecodable(self.why or Refusal.FORMAT)
        return said_by(device, driver, self.raw)


def said_by(device: Device, driver: Driver, payload: Payload) -> Values:
    """What that device says in a payload that may hold others' channels, too.

    Raises:
        Undecodable: as the driver, or nothing for this device in it.
    """
    for values in driver.decode(payload):
        if values.channel == device.channel:
            check_fields(driver.kind, values.fields)
            return values
    raise Undecodable(Refusal.FORMAT, "nothing of this device in it")


class Trouble(msgspec.Struct):
    """How often a device was asked in vain, and why the last time."""

    times: int = 0
    last: str = ""
    at_s: float = 0.0


class Way(msgspec.Struct):
    """One reading's way. `point` bears the gateway's tag, as the database has it."""

    device: Device
    driver: Driver
    asked_ms: int
    is_dated: bool
    heard: Heard | None = None
    values: Values | None = None
    point: str = ""
    sequence: int = 0
    digest: bytes = b""
    fate: Fate | None = None
    why: str = ""
    round_trip_ms: int | None = None


class Ears:
    """A `Sink` before the agent's own, and its onlooker."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._sink: Sink | None = None
        self._gateway = ""
        self._devices: dict[str, list[tuple[Device, Driver]]] = {}
        self.heard: dict[str, Heard] = {}
        self.trouble: dict[str, Trouble] = {}
        self.ways: dict[str, Way] = {}

    def begin(self, configuration: EdgeConfiguration) -> None:
        """Know whose frames they are; what others say isn't kept."""
        self._devices = {}
        for device in configuration.device:
            pair = device, driver_of(configuration, device)
            self._devices.setdefault(device.dev_eui or device.name, []).append(pair)
        names = {device.name for device in configuration.device}
        self.heard = {name: heard for name, heard in self.heard.items() if name in names}

    def before(self, sink: Sink) -> Sink:
        """Hear what this sink gets."""
        self._sink = sink
        return self

    def follow(self, configuration: EdgeConfiguration, device: Device, dated: bool) -> Way:
        """Follow that device's next reading; whoever calls this also wants it (`Inside.want`).
        While the time isn't trusted its line can't be told from a later one: it isn't looked for.
        """
        self._gateway = configuration.gateway.name
        driver = driver_of(configuration, device)
        way = Way(device, driver, self._clock().now_ms(), dated)
        self.ways.pop(device.name, None)
        self.ways[device.name] = way
        if len(self.ways) > WAYS_MAX:
            del self.ways[next(iter(self.ways))]
        return way

    def newest(self, device: Device) -> Heard | None:
        """The newest frame of that device."""
        return self.heard.get(device.name)

    # The sink

    def polled(self, device: str, payload: Payload) -> None:
        for one, driver in self._devices.get(device, ()):
            wired = isinstance(driver.link, ModbusLink | UartLink)
            self._note(one, driver, payload, payload if wired else None)
        self._inner.polled(device, payload)

    def refused(self, device: str, reason: Refusal) -> None:
        trouble = self.trouble.setdefault(device, Trouble())
        trouble.times += 1
        trouble.last, trouble.at_s = reason, self._clock().monotonic()
        self._inner.refused(device, reason)

    def noise(self, link: str, reason: str) -> None:
        self._inner.noise(link, reason)

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        for one, driver in () if uplink.told else self._devices.get(uplink.dev_eui, ()):
            by_radio = isinstance(driver.link, LorawanLink)
            raw = Payload(uplink.data, uplink.f_port) if by_radio else None
            self._note(one, driver, payload_of(driver, uplink), raw, uplink.time_ms)
        self._inner.uplink(link, uplink, answered)

    # The onlooker

    def sealed(self, batches: Sequence[Sealed]) -> None:
        """Find the lines that are followed."""
        undone = (way for way in self.ways.values() if way.heard and not way.point)
        waiting = [way for way in undone if way.is_dated]
        for batch in batches if waiting else ():
            try:
                lines = decode_batch(batch.payload)
            except BadBatch:
                continue
            for way in waiting:
                if not way.point and (line := _line_of(way, lines)):
                    way.point = with_gateway(line, self._gateway)
                    way.sequence, way.digest = batch.key.sequence, batch.key.digest
                    way.fate = Fate.KEPT

    def settled(self, fates: Sequence[messages.Fate]) -> list[Way]:
        """The ways that ended by it."""
        final = {(fate.sequence, fate.digest): fate for fate in fates if fate.final}
        ended = []
        for way in self.ways.values():
            fate = final.get((way.sequence, way.digest))
            if fate is None or way.fate is not Fate.KEPT:
                continue
            way.fate, way.why = outcome(fate)
            if way.heard:
                way.round_trip_ms = round(1000 * (self._clock().monotonic() - way.heard.at_s))
            ended.append(way)
        return ended

    @property
    def _inner(self) -> Sink:
        assert self._sink, "before() comes first"
        return self._sink

    def _note(
        self,
        device: Device,
        driver: Driver,
        payload: Payload,
        raw: Payload | None,
        time_ms: int | None = None,
    ) -> None:
        heard = Heard(self._clock().monotonic(), raw, time_ms)
        way = self.ways.get(device.name)
        followed = way is not None and way.heard is None
        if raw != payload or followed:
            try:
                values = said_by(device, driver, payload)
                heard = msgspec.structs.replace(heard, values=values)
            except Undecodable as error:
                heard = msgspec.structs.replace(heard, why=error.reason)
        self.heard[device.name] = heard
        if way and followed and heard.values is not None:
            way.heard, way.values, way.fate = heard, heard.values, Fate.HEARD


def outcome(fate: messages.Fate) -> tuple[Fate, str]:
    """What became of a batch's readings. Of a batch with others nobody tells which was rejected:
    then all of it counts as that, and the reason has the count."""
    if not fate.rejected:
        return Fate.STORED, ""
    why = ", ".join(f"{reason} {count or ''}".strip() for reason, count in fate.rejected.items())
    return Fate.REJECTED, f"{why}; stored {fate.stored}" if fate.stored else why


def with_gateway(line: str, gateway: str) -> str:
    """The line with the tag that the guard puts in from the topic."""
    tags, _, rest = line.partition(" ")
    kind, _, others = tags.partition(",")
    device, _, others = others.partition(",")
    return f"{kind},{device},gateway={gateway},{others} {rest}"


def entry_of(
    way: Way, at_ms: int, passed: bool, place: messages.Place | None, note: str, trusted: bool
) -> Entry:
    """A line of the sheet, as the way is now."""
    fields: Mapping[str, Value] = way.values.fields if way.values else {}
    entry = Entry(
        device=way.device.name,
        driver=way.driver.name,
        at_ms=at_ms,
        passed=passed,
        note=note,
        place=place,
        raw=way.heard.raw.data.hex() if way.heard and way.heard.raw else "",
        fields=dict(fields),
        time_trusted=trusted,
    )
    return gone_on(entry, way)


def gone_on(entry: Entry, way: Way) -> Entry:
    """The entry with its reading as far as it has come."""
    return msgspec.structs.replace(
        entry,
        point=way.point,
        sequence=way.sequence,
        digest=way.digest.hex(),
        fate=way.fate or Fate.HEARD,
        why=way.why,
        round_trip_ms=way.round_trip_ms,
    )


def _line_of(way: Way, lines: Sequence[str]) -> str:
    """The followed reading's line among these, "" when it isn't there."""
    own_ms = way.heard.time_ms if way.heard else None
    floor_ms = way.asked_ms - STAMP_MS if own_ms is None else own_ms
    begins = f"{way.driver.kind},device={way.device.name},"
    for line in lines:
        if line.startswith(begins) and int(line.rpartition(" ")[2]) >= floor_ms:
            return line
    return ""
