"""Intake: take what a device said into the line, with a name and a time.

In: a device's payload (polled) or a network server's uplink. Out: formatted `Line`s, ready to be
journalled or sealed. Here, and only here, a reading gets its identity and its time, and every
reading is counted: each one taken is refused (with its reason), suppressed, or returned. No IO.

Times
    polled    stamped now, to 10 ms; no two readings of a device get the same time (`lanes.py`). A
              clock that steps back by under 2 s is waited for in steps of 10 ms; a larger step is
              followed, and the device's state moves along, since a poll is always the newest
              thing known.
    uplink    the network server's; a history record inside it keeps its own. Not before 2020, and
              not more than a day ahead of a trusted clock: `refused{time}`.
    event     with a number of its own (a payment's transaction, a waste bank's deposit): its
              second and a millisecond of that number (`settlements.py`), so that one that is told
              again is the same point.
    untrusted While this machine doesn't know the time, a polled reading is stamped with the boot's
              uptime, and states of that boot live apart. When the time becomes known they move
              onto it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from devices.driver import Driver
from devices.envelope import Uplink, payload_of, radio_fields
from devices.kinds import KINDS, FieldType, Kind
from devices.reading import (
    Payload,
    Reading,
    Refusal,
    Undecodable,
    Value,
    Values,
    check_fields,
)
from edge.configuration import Device, EdgeConfiguration
from edge.drivers import driver_of
from edge.lanes import NOTHING_STAMPED, Lanes, Stamped, uptime_stamp
from edge.meaning import Rules, State, interpret, load_state, rules_of, save_state, shift_state
from edge.meaning_state import says_more
from edge.records import Line, Tally
from edge.settlements import Settlements
from wire.clock import Clock
from wire.line import format_line

DAY_MS = 24 * 3600 * 1000
EARLIEST_MS = 1_577_836_800_000  # 2020-01-01: older than any device of ours
LATEST_MS = 4_102_444_800_000  # 2100-01-01: bounds what an untrusted clock can't judge


class _Known(msgspec.Struct, frozen=True):
    """A configured device."""

    device: Device
    driver: Driver
    rules: Rules


class Intake:
    """Takes readings in, one device's state for each.

    Args:
        configuration: the gateway's.
        clock: only `now_ms` and `uptime_s` are used.
        tally: where readings are counted.
        time_trusted: whether the machine knows the time now.
        states: what `changed_states` gave before a restart, by device.
        stamped: what was stamped and committed before a restart.
    """

    def __init__(
        self,
        configuration: EdgeConfiguration,
        clock: Clock,
        tally: Tally,
        time_trusted: Callable[[], bool],
        states: Mapping[str, bytes],
        stamped: Stamped = NOTHING_STAMPED,
    ) -> None:
        self._site = configuration.gateway.site
        self._clock, self._tally, self._time_trusted = clock, tally, time_trusted
        seal_s = configuration.outbox.seal_interval_s
        self._devices: dict[str, _Known] = {}
        self._by_identity: dict[tuple[str, str], _Known] = {}
        self._driver_of: dict[str, Driver] = {}
        for device in configuration.device:
            driver = driver_of(configuration, device)
            known = _Known(device, driver, rules_of(device, driver, seal_s))
            self._devices[device.name] = known
            identity = device.dev_eui or (device.name if device.topic else "")
            if identity:
                self._by_identity[identity, device.channel] = known
                self._driver_of.setdefault(identity, driver)
        loaded = ((name, load_state(data)) for name, data in states.items())
        self._states = {name: state for name, state in loaded if state and name in self._devices}
        self._saved = dict(self._states)
        self._before: dict[str, State | None] = {}
        self._told: dict[str, Mapping[str, Value]] = {}
        self._wanted: set[str] = set()
        self._boot_states: dict[str, State] = {}
        self._lanes = Lanes(stamped.marks)
        self._settlements = Settlements()
        self._boot_floor_ms = stamped.uptime_ms
        self._boot_stamps: dict[str, int] = {}
        self._changed: set[str] = set()

    def take_polled(self, device: str, payload: Payload) -> list[Line]:
        """A device's answer to a poll, stamped now: the lines to seal, none when suppressed."""
        known = self._devices[device]
        lines = []
        for values in self._decoded(known.driver, payload):
            if values.time_ms is not None:
                lines += self._take_at(known, values, values.time_ms, {})
            elif self._time_trusted():
                self._settle_boot()
                lines += self._take(known, values, self._stamp(device), self._states, {})
            else:
                stamp = self._boot_stamp(device)
                lines += self._take(known, values, stamp, self._boot_states, {})
        return lines

    def take_uplink(self, uplink: Uplink) -> list[Line]:
        """A network server's uplink: the lines to journal, none when refused. A channel that isn't
        configured is nobody's reading, unless none of the message is.

        Records are taken oldest first, so that each finds its device's state as it was then. What a
        network server tells of a device is no reading: it comes in the same moment as one, whose
        key it would take, and goes along with the next.
        """
        driver = self._driver_of.get(uplink.dev_eui)
        if uplink.told:
            if driver is not None:  # no more of them than configured devices
                self._told[uplink.dev_eui] = uplink.told
            return []
        if driver is None:
            self.refuse(Refusal.UNKNOWN_DEVICE)
            return []
        heard = radio_fields(uplink)
        decoded = self._decoded(driver, payload_of(driver, uplink))
        lines = []
        configured = [v for v in decoded if (uplink.dev_eui, v.channel) in self._by_identity]
        if decoded and not configured:
            self.refuse(Refusal.UNKNOWN_DEVICE)
        told = self._told.pop(uplink.dev_eui, {}) if configured else {}
        for values in sorted(configured, key=lambda v: v.time_ms or uplink.time_ms):
            known = self._by_identity[uplink.dev_eui, values.channel]
            if values.time_ms is None:
                if told:
                    values = msgspec.structs.replace(values, fields={**told, **values.fields})
                lines += self._take_at(known, values, uplink.time_ms, heard)
            else:
                lines += self._take_at(known, values, values.time_ms, {})
        return lines

    def want(self, device: str) -> None:
        """Somebody waits for that device's next reading: it is told whatever the dead band, and
        sealed at once, as an event is."""
        if device in self._devices:
            self._wanted.add(device)

    def refuse(self, reason: Refusal) -> None:
        """Count a reading that was due and gave nothing: taken and refused."""
        self._tally.add("taken")
        self._tally.add("refused", reason)

    def give_back(self, lines: Iterable[Line]) -> None:
        """Undo `take_uplink` for lines that couldn't be committed: they will come again."""
        for line in lines:
            self._tally.add("taken", readings=-1)
            state = self._states.get(line.device)
            if state is not None and state.time_ms == line.time_ms and line.device in self._before:
                before = self._before.pop(line.device)
                self._changed.add(line.device)
                if before is None:
                    del self._states[line.device]
                else:
                    self._states[line.device] = before

    def newest_ms(self, device: str) -> int | None:
        """Time of the newest reading known of that device."""
        state = self._states.get(device)
        return None if state is None else state.time_ms

    def changed_states(self, everything: bool = False) -> dict[str, bytes]:
        """States that say something new since the last call, to be saved with the next seal; with
        `everything` those that only grew older too.

        States of a boot that doesn't know the time aren't among them: nobody could tell their age.
        """
        changed = {name: self._states[name] for name in self._changed if name in self._states}
        if not everything:
            changed = {
                name: state
                for name, state in changed.items()
                if says_more(self._devices[name].rules, state, self._saved.get(name))
            }
        self._changed -= changed.keys()
        self._saved |= changed
        return {name: save_state(state) for name, state in changed.items()}

    def give_back_states(self, devices: Iterable[str]) -> None:
        """Undo `changed_states` after a commit that failed."""
        for name in devices:
            self._changed.add(name)
            self._saved.pop(name, None)

    def _decoded(self, driver: Driver, payload: Payload) -> tuple[Values, ...]:
        try:
            return driver.decode(payload)
        except Undecodable as error:
            self.refuse(error.reason)
            return ()

    def _take_at(
        self, known: _Known, values: Values, time_ms: int, heard: Mapping[str, Value]
    ) -> list[Line]:
        """A reading that brings its own time: never suppressed, whoever asked for it."""
        ahead_ms = self._clock.now_ms() + DAY_MS if self._time_trusted() else LATEST_MS
        if not EARLIEST_MS <= time_ms <= min(ahead_ms, LATEST_MS):
            self.refuse(Refusal.TIME)
            return []
        if number := KINDS[known.driver.kind].number:
            own = str(values.fields.get(number, ""))
            time_ms = self._settlements.place(known.device.name, own, time_ms)
        if known.rules.polled:
            rules = msgspec.structs.replace(known.rules, polled=False)
            known = msgspec.structs.replace(known, rules=rules)
        return self._take(known, values, time_ms, self._states, heard)

    def _take(
        self,
        known: _Known,
        values: Values,
        time_ms: int,
        states: dict[str, State],
        heard: Mapping[str, Value],
    ) -> list[Line]:
        """One reading to its fate: refused, suppressed, or the one line of the answer."""
        device, kind = known.device, known.driver.kind
        try:
            fields = _typed(kind, {**values.fields, **heard})
        except Undecodable as error:
            self.refuse(error.reason)
            return []
        wanted = device.name in self._wanted
        self._wanted.discard(device.name)
        values = msgspec.structs.replace(values, fields=fields, event=values.event or wanted)
        state = states.get(device.name)
        meant = interpret(known.rules, values, time_ms, state)
        if meant.state is not state:
            states[device.name] = meant.state
            if states is self._states:
                self._before[device.name] = state
                self._changed.add(device.name)
        self._tally.add("taken")
        if meant.fields is None:
            self._tally.add("suppressed")
            return []
        reading = Reading(device.name, kind, time_ms, meant.fields)
        text = format_line(reading, self._site, device.zone)
        number = str(fields.get(KINDS[kind].number, ""))
        return [Line(text, device.name, kind, time_ms, meant.event, number)]

    def _stamp(self, device: str) -> int:
        """Now, unlike every stamp before it; a state that lies ahead of it moves along."""
        stamp = self._lanes.stamp(device, self._clock.now_ms())
        state = self._states.get(device)
        if state is not None and state.time_ms >= stamp:
            self._states[device] = shift_state(state, stamp - 1 - state.time_ms)
        return stamp

    def _boot_stamp(self, device: str) -> int:
        uptime_ms = int(1000 * self._clock.uptime_s())
        stamp = uptime_stamp(uptime_ms, self._boot_stamps.get(device, self._boot_floor_ms))
        self._boot_stamps[device] = stamp
        return stamp

    def _settle_boot(self) -> None:
        """Move the states of the untrusted time onto the clock that is trusted now."""
        if not self._boot_states:
            return
        offset_ms = self._clock.now_ms() - int(1000 * self._clock.uptime_s())
        for name, state in self._boot_states.items():
            moved = shift_state(state, offset_ms)
            known = self._states.get(name)
            if known is None or known.time_ms < moved.time_ms:
                self._states[name] = moved
                self._changed.add(name)
        self._boot_states.clear()


def _typed(kind: str, fields: Mapping[str, Value]) -> dict[str, Value]:
    """The fields checked, each in its kind's type: a whole number in a float field is a float.

    Raises:
        Undecodable: as `check_fields`, and `format` when there is no field at all.
    """
    if not fields:
        raise Undecodable(Refusal.FORMAT, "nothing in it")
    numbers = _NUMBERS[kind]
    typed: dict[str, Value] = {}
    for name, value in fields.items():
        known = numbers.get(name)
        if known is None or isinstance(value, str):
            check_fields(kind, {name: value})
            typed[name] = value
        elif type(value) is known[0] and known[1] <= value <= known[2]:
            typed[name] = value
        else:
            check_fields(kind, {name: value})
            typed[name] = known[0](value)
    return typed


def _numbers(kind: Kind) -> dict[str, tuple[type[int] | type[float], float, float]]:
    """Type and range of each field that is a number: most values need no more to pass."""
    return {
        field.name: (float if field.type is FieldType.FLOAT else int, field.low, field.high)
        for field in kind.fields.values()
        if field.type is not FieldType.TEXT
    }


_NUMBERS = {kind.name: _numbers(kind) for kind in KINDS.values()}
