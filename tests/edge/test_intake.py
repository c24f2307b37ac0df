"""Intake: identity, time, and every reading counted once. Real drivers, a clock set by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from devices.chirpstack import Uplink
from devices.driver import load_driver
from devices.reading import Payload, Refusal, Values
from edge.configuration import load_configuration
from edge.intake import DAY_MS, EARLIEST_MS, LATEST_MS, Intake
from edge.meaning import load_state
from edge.records import Line, Tally
from wire.line import parse_line

NOW = 1_790_000_000_000
BIN_EUI, BAY_EUI, STRANGER = "24e124713b493357", "24e124713b493358", "ffffffffffffffff"
FOUR_EUI, THIRD_EUI = "a840410000000001", "a840410000000002"
"""A device for four bins, with two of them configured, and one whose third alone is."""
CONFIGURATION = load_configuration(
    f"""
[gateway]
name = "gw-1"
site = "pasar"

[[link]]
type = "modbus"
name = "bays"
port = "/dev/ttyUSB0"

[[link]]
type = "uart"
name = "bin"
port = "/dev/ttyUSB1"

[[link]]
type = "chirpstack"
name = "lns"
broker = {{}}

[[link]]
type = "hotspot"
name = "corner"
url = "http://192.0.2.1/ubus"

[[device]]
name = "ap-1"
driver = "openwrt_ap"
link = "corner"

[[device]]
name = "bay-1"
driver = "dfrobot_sen0591"
link = "bays"
unit = 1
zone = "a"
bay = {{ occupied_below_mm = 1500.0 }}

[[device]]
name = "bin-1"
driver = "dfrobot_a02yyuw"
link = "bin"
container = {{ empty_mm = 1100.0, full_mm = 100.0 }}

[[device]]
name = "bin-2"
driver = "milesight_em400"
link = "lns"
dev_eui = "{BIN_EUI}"
container = {{ empty_mm = 1100.0, full_mm = 100.0 }}

[[device]]
name = "bin-3"
driver = "dragino_dds04"
link = "lns"
dev_eui = "{FOUR_EUI}"
container = {{ empty_mm = 1100.0, full_mm = 100.0 }}

[[device]]
name = "bin-4"
driver = "dragino_dds04"
link = "lns"
dev_eui = "{FOUR_EUI}"
channel = "2"
container = {{ empty_mm = 1100.0, full_mm = 100.0 }}

[[device]]
name = "bin-5"
driver = "dragino_dds04"
link = "lns"
dev_eui = "{THIRD_EUI}"
channel = "3"
container = {{ empty_mm = 1100.0, full_mm = 100.0 }}

[[device]]
name = "bay-2"
driver = "bosch_tps110"
link = "lns"
dev_eui = "{BAY_EUI}"
""",
    "gateway.toml",
)
FATES = ("refused", "suppressed")


class HandClock:
    """A clock that a test sets: `now_ms` and `uptime_s` as two dials."""

    def __init__(self, now: int = NOW, uptime: float = 100.0) -> None:
        self.now, self.uptime = now, uptime

    def now_ms(self) -> int:
        return self.now

    def uptime_s(self) -> float:
        return self.uptime

    def monotonic(self) -> float:
        return self.uptime

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("intake doesn't wait")

    async def pause(self, seconds: float) -> None:
        raise AssertionError("intake doesn't wait")

    def go(self, ms: int) -> None:
        self.now += ms
        self.uptime += ms / 1000


class Bench:
    """An intake with its clock, its tally and the clock's trust at hand."""

    def __init__(self, states: dict[str, bytes] | None = None, clock: HandClock | None = None):
        self.clock, self.tally, self.trusted = clock or HandClock(), Tally(), True
        self.intake = Intake(
            CONFIGURATION, self.clock, self.tally, lambda: self.trusted, states or {}
        )

    def bay(self, distance_mm: int) -> list[Line]:
        return self.intake.take_polled("bay-1", Payload(distance_mm.to_bytes(2, "big")))

    def counts(self) -> Counter[tuple[str, str]]:
        return +self.tally.counts


def uplink(
    eui: str = BIN_EUI, time_ms: int = NOW, data: bytes = b"", f_port: int = 85, **radio
) -> Uplink:
    payload = data or encode("milesight_em400", distance_mm=600.0, battery_level=0.9)
    return Uplink(eui, f_port, payload, time_ms, **radio)


def encode(driver: str, event: bool = False, **fields) -> bytes:
    return load_driver(driver).encode(Values(fields, event=event)).data


# Polled


def test_a_polled_reading_gets_name_place_and_time():
    (line,) = Bench().bay(700)
    assert (
        line.text
        == f'parking_spot,device=bay-1,site=pasar,zone=a distance_mm=700,quality="ok" {NOW}'
    )
    assert (line.device, line.kind, line.time_ms, line.event) == (
        "bay-1",
        "parking_spot",
        NOW,
        False,
    )


def test_a_change_is_an_event_and_no_change_is_suppressed():
    bench = Bench()
    events = []
    for _ in range(4):
        events.append([line.event for line in bench.bay(700)])
        bench.clock.go(1000)
    assert events == [[False], [True], [], []]
    assert bench.counts() == {("taken", ""): 4, ("suppressed", ""): 2}


def test_a_reading_that_somebody_waits_for_is_told_once_and_at_once():
    bench = Bench()
    for _ in range(3):
        bench.bay(700)
        bench.clock.go(1000)
    bench.intake.want("bay-1")
    bench.intake.want("nobody's")
    (line,) = bench.bay(700)
    assert line.event
    bench.clock.go(1000)
    assert bench.bay(700) == []
    bench.intake.want("bin-2")
    (line,) = bench.intake.take_uplink(uplink())
    assert line.event


def test_a_frame_that_cannot_be_read_is_refused_with_its_reason():
    bench = Bench()
    assert bench.intake.take_polled("bay-1", Payload(b"\xff")) == []
    assert bench.bay(0xFFFD) == []
    bench.intake.refuse(Refusal.TIMEOUT)
    assert bench.counts() == {
        ("taken", ""): 3,
        ("refused", "length"): 1,
        ("refused", "no_target"): 1,
        ("refused", "timeout"): 1,
    }


def test_stamps_increase_across_a_small_step_back():
    bench = Bench()
    times = []
    for step in (0, 0, -1900, 500, 1000, 1000):
        bench.clock.now += step
        (line,) = bench.intake.take_polled("ap-1", Payload(b'{"probe": {}}'))
        times.append(line.time_ms)
    assert times == [NOW, NOW + 10, NOW + 20, NOW + 30, NOW + 40, NOW + 600]


def test_a_large_step_back_is_followed_and_the_state_goes_along():
    bench = Bench()
    bench.bay(700)
    bench.clock.go(1000)
    bench.bay(700)
    bench.clock.now -= 3_600_000
    assert bench.bay(700) == []  # still the newest, still occupied, still no news
    bench.clock.go(1000)
    assert bench.bay(3000) == []
    bench.clock.go(1000)
    (free,) = bench.bay(3000)
    assert free.event and free.time_ms == bench.clock.now + 1 < NOW  # another lane's


def test_a_clock_set_back_during_a_restart_is_followed_too():
    bench = Bench()
    bench.bay(700)
    bench.clock.go(1000)
    bench.bay(700)
    again = Bench(bench.intake.changed_states(), HandClock(NOW - DAY_MS))
    assert again.bay(700) == []


# The time isn't known


def test_without_a_trusted_time_a_reading_bears_the_boots_uptime():
    bench = Bench()
    bench.trusted = False
    lines = [*bench.bay(700), *bench.bay(700)]
    assert [line.time_ms for line in lines] == [100_000, 100_010]
    assert lines[1].text.endswith(" 100010") and lines[1].event
    assert bench.intake.changed_states() == {}


def test_when_the_time_becomes_known_the_boots_states_move_onto_it():
    bench = Bench()
    bench.trusted = False
    bench.bay(700), bench.bay(700)
    bench.trusted = True
    bench.clock.go(1000)
    assert bench.bay(700) == []  # known to be occupied: no news
    state = load_state(bench.intake.changed_states()["bay-1"])
    assert state and state.main == 1 and state.time_ms == NOW + 1000


def test_states_from_before_an_untrusted_boot_are_left_alone():
    bench = Bench()
    bench.bay(700), bench.bay(700)
    saved = bench.intake.changed_states()
    again = Bench(saved, HandClock(now=0, uptime=5.0))
    again.trusted = False
    (line,) = again.bay(700)
    assert "occupied" not in line.text and line.time_ms == 5000


# Uplinks


def test_an_uplink_keeps_the_network_servers_time_and_brings_its_radio_facts():
    bench = Bench()
    heard: dict[str, Any] = {"rssi_dbm": -97.0, "snr_db": 0.0, "spreading_factor": 9}
    (line,) = bench.intake.take_uplink(
        uplink(time_ms=NOW - 5000, frame_counter=7, gateways_heard=2, **heard)
    )
    reading, site, zone = parse_line(line.text)
    assert (reading.device, site, zone, reading.time_ms) == ("bin-2", "pasar", "main", NOW - 5000)
    radio = heard | {"frame_counter": 7, "gateways_heard": 2}
    assert radio.items() <= dict(reading.fields).items()
    assert reading.fields["filling_level"] == 0.5


def test_uplinks_are_never_suppressed():
    bench = Bench()
    for nth in range(5):
        assert len(bench.intake.take_uplink(uplink(time_ms=NOW + nth))) == 1
    assert bench.counts() == {("taken", ""): 5}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eui": STRANGER}, "unknown_device"),
        ({"time_ms": EARLIEST_MS - 1}, "time"),
        ({"time_ms": NOW + DAY_MS + 1}, "time"),
        ({"data": b"\x03"}, "length"),
        ({"rssi_dbm": 99.0}, "range"),
    ],
)
def test_an_uplink_that_cannot_be_is_refused_with_its_reason(change, reason):
    bench = Bench()
    assert bench.intake.take_uplink(uplink(**change)) == []
    assert bench.counts() == {("taken", ""): 1, ("refused", reason): 1}
    assert bench.intake.changed_states() == {}


FOUR_BINS = bytes.fromhex("0d4a03160318031a031501")
ONE_BIN = bytes.fromhex("8d4101f400000000000001")


def test_a_channel_that_nobody_configured_is_left_out_without_a_refusal():
    bench = Bench()
    lines = bench.intake.take_uplink(uplink(eui=FOUR_EUI, data=FOUR_BINS, f_port=2))
    assert [line.device for line in lines] == ["bin-3", "bin-4"]
    assert bench.counts() == {("taken", ""): 2}


def test_a_message_of_which_no_channel_is_configured_is_refused_once():
    bench = Bench()
    assert bench.intake.take_uplink(uplink(eui=THIRD_EUI, data=ONE_BIN, f_port=2)) == []
    assert bench.counts() == {("taken", ""): 1, ("refused", "unknown_device"): 1}


@pytest.mark.parametrize("time_ms", [EARLIEST_MS, NOW + DAY_MS])
def test_times_at_the_bounds_are_taken(time_ms):
    assert Bench().intake.take_uplink(uplink(time_ms=time_ms))


def test_a_clock_that_is_not_trusted_judges_no_uplinks_future():
    bench = Bench(clock=HandClock(now=0))
    bench.trusted = False
    assert bench.intake.take_uplink(uplink(time_ms=LATEST_MS))
    assert bench.intake.take_uplink(uplink(time_ms=LATEST_MS + 1)) == []


def test_an_uplink_that_comes_late_leaves_the_state_alone():
    bench = Bench()
    occupied, free = encode("bosch_tps110", occupied=1), encode("bosch_tps110", occupied=0)
    bench.intake.take_uplink(Uplink(BAY_EUI, 2, occupied, NOW))
    before = bench.intake.changed_states()
    (late,) = bench.intake.take_uplink(Uplink(BAY_EUI, 2, free, NOW - 1))
    assert "occupied=0i" in late.text and not late.event
    assert bench.intake.changed_states() == {} != before


def test_lines_that_could_not_be_committed_are_given_back_and_come_again_as_news():
    bench = Bench()
    first = Uplink(BAY_EUI, 2, encode("bosch_tps110", occupied=1), NOW)
    lines = bench.intake.take_uplink(first)
    bench.intake.give_back(lines)
    assert bench.counts() == {}
    assert bench.intake.take_uplink(first) == lines
    assert lines[0].event


# States


def test_a_restart_forgets_nothing():
    bench = Bench()
    bench.bay(700), bench.bay(700)
    saved = bench.intake.changed_states()
    assert saved.keys() == {"bay-1"}
    assert bench.intake.changed_states() == {}
    bench.intake.give_back_states(saved)
    assert bench.intake.changed_states() == saved
    again = Bench(saved, HandClock(NOW + 1000))
    assert again.bay(700) == []


def test_a_polled_state_that_only_grew_older_is_saved_seldom_and_at_the_end():
    bench = Bench()
    bench.bay(700), bench.bay(700)
    assert bench.intake.changed_states().keys() == {"bay-1"}
    saved = []
    for _ in range(60):
        bench.clock.go(30_000)
        bench.bay(700)
        saved.append(bool(bench.intake.changed_states()))
    assert 2 <= sum(saved) <= 3  # each third of its half hour
    bench.clock.go(30_000)
    bench.bay(3000)
    assert bench.intake.changed_states()  # one judgement that the car has left: that is news
    bench.clock.go(30_000)
    bench.bay(3000)
    assert bench.intake.changed_states()
    bench.clock.go(30_000)
    bench.bay(3000)
    assert not bench.intake.changed_states()
    assert bench.intake.changed_states(everything=True)


def test_states_that_cannot_be_read_or_belong_to_nobody_start_unknown():
    again = Bench({"bay-1": b"\xc1 not ours", "gone": b""})
    assert "occupied" not in again.bay(700)[0].text


# Invariants


PAYLOADS = st.one_of(
    st.just(b'{"system": {"uptime": 5}}'),
    st.binary(max_size=12),
    st.integers(0, 0xFFFF).map(lambda mm: mm.to_bytes(2, "big")),
    st.integers(0, 4500).map(lambda mm: encode("dfrobot_a02yyuw", distance_mm=float(mm))),
    st.integers(1, 9000).map(lambda mm: encode("milesight_em400", distance_mm=float(mm))),
)


class EveryReadingHasOneFate(RuleBasedStateMachine):
    """Whatever is taken, whenever: taken = refused + suppressed + returned, and stamps increase."""

    @initialize()
    def begin(self) -> None:
        self.bench = Bench()
        self.returned = 0
        self.last: dict[tuple[str, bool], int] = {}
        self.polled_ms = 0

    @rule(device=st.sampled_from(["bay-1", "bin-1", "ap-1"]), data=PAYLOADS)
    def poll(self, device: str, data: bytes) -> None:
        lines = self.bench.intake.take_polled(device, Payload(data))
        self.returned += len(lines)
        trusted = self.bench.trusted
        self.polled_ms = max(self.polled_ms, self.bench.clock.now)
        for line in lines:
            assert line.time_ms > self.last.get((device, trusted), -1)
            assert line.text.endswith(f" {line.time_ms}")
            self.last[device, trusted] = line.time_ms
            if trusted:
                assert parse_line(line.text)[0].device == device

    @rule(
        eui=st.sampled_from([BIN_EUI, BAY_EUI, STRANGER]),
        data=PAYLOADS,
        port=st.integers(1, 255),
        ago_ms=st.integers(-2 * DAY_MS, 30 * DAY_MS),
        rssi=st.none() | st.floats(-300, 100),
    )
    def hear(self, eui: str, data: bytes, port: int, ago_ms: int, rssi: float | None) -> None:
        time_ms = self.bench.clock.now - ago_ms
        lines = self.bench.intake.take_uplink(Uplink(eui, port, data, time_ms, rssi_dbm=rssi))
        self.returned += len(lines)
        for line in lines:
            assert parse_line(line.text)[0].time_ms == time_ms

    @rule(reason=st.sampled_from(Refusal))
    def refuse(self, reason: Refusal) -> None:
        self.bench.intake.refuse(reason)

    @rule(ms=st.integers(0, DAY_MS))
    def wait(self, ms: int) -> None:
        self.bench.clock.go(ms)

    @rule(ms=st.integers(1, 1999))
    def step_back(self, ms: int) -> None:
        """In all by under 2 s since any poll, suppressed ones too, less 10 ms for each stamp that a
        standing clock is ahead of."""
        self.bench.clock.now = max(self.bench.clock.now - ms, self.polled_ms - 1400)

    @rule(trusted=st.booleans())
    def trust(self, trusted: bool) -> None:
        self.bench.trusted = trusted

    @rule()
    def restart(self) -> None:
        """A crash after a seal: states are kept, counts too, for the sum's sake."""
        tally, clock = self.bench.tally, self.bench.clock
        saved = self.bench.intake.changed_states()
        self.bench.intake.give_back_states(saved)
        trusted = self.bench.trusted
        self.saved = {**getattr(self, "saved", {}), **saved}
        self.bench = Bench(self.saved, clock)
        self.bench.trusted = trusted
        self.bench.tally.give_back(tally.take())
        self.bench.clock.go(5000)

    @invariant()
    def balances(self) -> None:
        if not hasattr(self, "bench"):
            return
        counts = self.bench.tally.counts
        fates = sum(n for (name, _), n in counts.items() if name in FATES)
        assert counts["taken", ""] == fates + self.returned


TestEveryReadingHasOneFate = EveryReadingHasOneFate.TestCase
