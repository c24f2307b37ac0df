"""No two accepted readings of a device get the same time: real intake, real outbox, any clock.

The clock is set forward and back, the agent is killed, the power goes, the machine boots without
the time and learns it later. All that the outbox has ever accepted is looked at in the end.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devices.reading import Payload
from edge.intake import Intake
from edge.lanes import BOOTS, LANE_MS, LANES, NOTHING_STAMPED, POLLED, STEP_BACK_MS, Lanes
from edge.outbox_schema import PAGE_BYTES
from edge.records import Line, Tally
from tests.edge.outbox.rig import DAY_MS, START_MS, Rig
from tests.edge.test_intake import CONFIGURATION

SECOND_MS, HOUR_MS = 1000, 3_600_000
BOOTED_S = 5.0


class Gateway:
    """An intake over an outbox, as the agent puts them together."""

    def __init__(self, folder: Path) -> None:
        self.boots = 1
        self.rig = Rig(folder)
        self.rig.outbox.close()
        self.rig.boot_id = "boot-1"
        self.rig.outbox = self.rig.open()
        self.open: list[Line] = []
        self.start(trusted=True)

    def start(self, trusted: bool) -> None:
        """The agent's start on an outbox that was just opened."""
        outbox, self.tally, self.trusted = self.rig.outbox, Tally(), trusted
        self.intake = Intake(
            CONFIGURATION,
            self.rig.clock,
            self.tally,
            lambda: self.trusted,
            outbox.states(),
            outbox.stamped(),
        )
        if trusted:
            self.learn()

    def learn(self) -> None:
        """Timekeeping commits the boot's offset."""
        clock = self.rig.clock
        self.rig.outbox.set_boot_offset(clock.ms - int(1000 * clock.up), "")

    def poll(self, device: str = "ap-1") -> list[Line]:
        """A reading that is never suppressed."""
        lines = self.intake.take_polled(device, Payload(b'{"probe": {}}'))
        self.open += lines
        return lines

    def seal(self) -> None:
        """What is open is accepted."""
        self.rig.outbox.seal(self.open, self.intake.changed_states(), self.tally.take())
        self.open = []

    def kill(self, trusted: bool) -> None:
        """The agent dies, and starts again in the same boot."""
        self.open = []
        self.rig.kill()
        self.start(trusted)

    def reboot(self, now_ms: int, trusted: bool) -> None:
        """The power goes and comes back."""
        self.open = []
        self.rig.cut_power()
        self.boots += 1
        self.rig.boot_id = f"boot-{self.boots}"
        self.rig.clock.ms, self.rig.clock.up = now_ms, BOOTED_S
        self.rig.outbox = self.rig.open()
        self.start(trusted)

    def times(self) -> Counter[tuple[str, int]]:
        """Device and time of every accepted reading whose time is known."""
        found: Counter[tuple[str, int]] = Counter()
        for text in self.rig.waiting_lines():
            head, _, time_ms = text.rpartition(" ")
            found[head.partition("device=")[2].partition(",")[0], int(time_ms)] += 1
        return found


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path)
    yield made
    made.rig.outbox._file.close()


def stamps(gateway: Gateway, polls: int, every_ms: int = SECOND_MS) -> list[int]:
    found = []
    for _ in range(polls):
        found += [line.time_ms for line in gateway.poll()]
        gateway.rig.clock.turn(every_ms / 1000)
    gateway.seal()
    return found


def test_a_poll_on_the_very_millisecond_of_an_older_one_replaces_nothing(gateway):
    """Seed 10386 of the simulation: the clock was set back by a multiple of the poll interval,
    a new distance took an older one's time, and the database kept only one of them."""
    clock = gateway.rig.clock
    before = stamps(gateway, 10)
    clock.ms -= 7 * SECOND_MS
    after = stamps(gateway, 10)
    assert [stamp - stamp % LANE_MS for stamp in after][:7] == before[3:]
    assert max(gateway.times().values()) == 1
    assert len(gateway.times()) == 20


def test_a_kill_between_the_polls_changes_nothing_of_that(gateway):
    stamps(gateway, 10)
    gateway.rig.clock.ms -= 7 * SECOND_MS
    gateway.kill(trusted=True)
    stamps(gateway, 10)
    assert (max(gateway.times().values()), len(gateway.times())) == (1, 20)


def test_readings_of_a_boot_without_the_time_do_not_hit_those_stamped_before(gateway):
    stamps(gateway, 20)
    for _ in range(2):
        gateway.reboot(0, trusted=False)
        stamps(gateway, 10)
        gateway.rig.clock.ms = START_MS + 15 * SECOND_MS  # set back meanwhile
        gateway.learn()
    assert len(gateway.times()) == 40
    assert max(gateway.times().values()) == 1


def test_boots_that_never_learn_the_time_do_not_hit_one_another(gateway):
    stamps(gateway, 20)
    for _ in range(4):
        gateway.reboot(0, trusted=False)
        stamps(gateway, 10)
    gateway.reboot(START_MS + 5 * SECOND_MS, trusted=True)
    stamps(gateway, 10)
    assert len(gateway.times()) == 70
    assert max(gateway.times().values()) == 1


def test_marks_that_are_lost_with_their_page_are_made_again_from_the_lines(gateway):
    stamps(gateway, 10)
    rig = gateway.rig
    rig.restart()
    sql = "SELECT rootpage FROM sqlite_master WHERE name = 'counters'"
    (page,) = rig.outbox._connection.execute(sql).fetchone()
    rig.outbox.close()
    data = bytearray(rig.path.read_bytes())
    data[(page - 1) * PAGE_BYTES : page * PAGE_BYTES] = bytes(PAGE_BYTES)
    rig.path.write_bytes(data)
    rig.clock.ms -= 7 * SECOND_MS
    rig.outbox = rig.open()
    assert rig.outbox.summary().alarms == ("damaged",)
    gateway.start(trusted=True)
    stamps(gateway, 10)
    assert (max(gateway.times().values()), len(gateway.times())) == (1, 20)


def test_a_clock_that_swings_uses_two_lanes_and_stays_right():
    lanes, now_ms = Lanes(NOTHING_STAMPED.marks), START_MS
    seen = set()
    for swing in range(200):
        now_ms += SECOND_MS + (HOUR_MS if swing % 2 else -HOUR_MS)
        stamp = lanes.stamp("bay", now_ms)
        assert 0 <= stamp - now_ms < LANE_MS
        seen.add(stamp % LANE_MS)
    assert seen == {0, 1}


def test_a_clock_that_was_years_ahead_for_a_while_costs_one_lane():
    lanes = Lanes(NOTHING_STAMPED.marks)
    lanes.stamp("bay", START_MS + 1000 * DAY_MS)
    found = [lanes.stamp("bay", START_MS + n * SECOND_MS) for n in range(10)]
    assert found == [START_MS + n * SECOND_MS + 1 for n in range(10)]


def test_when_every_lane_lies_ahead_readings_are_late_and_none_is_replaced():
    lanes = Lanes(NOTHING_STAMPED.marks)
    found = [lanes.stamp("bay", START_MS - n * HOUR_MS) for n in range(len(POLLED))]
    found += [lanes.stamp("bay", START_MS - 7 * HOUR_MS) for _ in range(100)]
    assert len(set(found)) == len(found)
    assert min(found) == START_MS - 5 * HOUR_MS + POLLED[-1]


DEVICES = st.sampled_from(["ap-1", "ap-1", "bay-1"])
STEPS_MS = st.one_of(
    st.sampled_from([-1, -1500, -STEP_BACK_MS + 1, -STEP_BACK_MS, -STEP_BACK_MS - 1]),
    st.integers(-20, 20).map(lambda seconds: seconds * SECOND_MS),
    st.sampled_from([-DAY_MS, -HOUR_MS, HOUR_MS, DAY_MS, 1000 * DAY_MS, -1000 * DAY_MS]),
)
MOMENTS = st.integers(-10, 10).map(lambda seconds: START_MS + seconds * SECOND_MS)


class NoTwoReadingsShareATime(RuleBasedStateMachine):
    """One history."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gampong-lanes-"))
        self.gateway = Gateway(self.folder)
        self.marks = [0] * LANES
        self.accepted = 0

    def teardown(self) -> None:
        if hasattr(self, "gateway"):
            self.seal()
            if not self.gateway.trusted:
                self.learn(START_MS, between=False)
            assert len(self.gateway.times()) == self.accepted
            self.gateway.rig.outbox._file.close()
            shutil.rmtree(self.folder)

    @rule(device=DEVICES, polls=st.integers(1, 12), every_ms=st.sampled_from([0, 5, 1000, 2000]))
    def poll(self, device: str, polls: int, every_ms: int) -> None:
        gateway = self.gateway
        for _ in range(polls):
            now_ms = gateway.rig.clock.ms
            for line in gateway.poll(device):
                if gateway.trusted:
                    self.is_near(line.time_ms, now_ms)
            gateway.rig.clock.turn(every_ms / 1000)

    def is_near(self, stamp: int, now_ms: int) -> None:
        """To 10 ms; or the clock was set back by under 2 s; or there was no lane left."""
        lane, late_ms = stamp % LANE_MS, stamp - now_ms
        exhausted = all(self.marks[other] >= now_ms for other in POLLED)
        assert lane in POLLED and late_ms >= 0
        assert late_ms < LANE_MS or late_ms <= STEP_BACK_MS + LANE_MS or exhausted
        self.marks[lane] = max(self.marks[lane], stamp)

    @rule()
    def seal(self) -> None:
        self.accepted += len(self.gateway.open)
        self.gateway.seal()

    @rule(by_ms=STEPS_MS)
    def step(self, by_ms: int) -> None:
        clock = self.gateway.rig.clock
        clock.ms = max(clock.ms + by_ms, START_MS - 2000 * DAY_MS)

    @rule(ms=st.integers(0, DAY_MS))
    def wait(self, ms: int) -> None:
        self.gateway.rig.clock.turn(ms / 1000)

    @rule(trusted=st.booleans(), now_ms=MOMENTS)
    def kill(self, trusted: bool, now_ms: int) -> None:
        clock = self.gateway.rig.clock
        if trusted and not self.gateway.trusted:
            clock.ms = now_ms
        self.gateway.kill(trusted)

    @rule()
    def restart(self) -> None:
        """Stop as one should: what is open is sealed."""
        self.seal()
        self.gateway.rig.restart()
        self.gateway.start(self.gateway.trusted)

    @rule(now_ms=MOMENTS)
    def reboot_with_the_time(self, now_ms: int) -> None:
        self.gateway.reboot(now_ms, trusted=True)

    @rule()
    def reboot_in_1970(self) -> None:
        self.gateway.reboot(0, trusted=False)

    @precondition(lambda self: not self.gateway.trusted)
    @rule(now_ms=MOMENTS, between=st.booleans())
    def learn(self, now_ms: int, between: bool) -> None:
        """A poll may come between the commit and the moment that intake is told."""
        self.gateway.rig.clock.ms = now_ms
        self.gateway.learn()
        if between:
            self.gateway.poll()
        self.gateway.trusted = True

    @invariant()
    def every_time_is_had_once(self) -> None:
        if hasattr(self, "gateway"):
            twice = [key for key, count in self.gateway.times().items() if count > 1]
            assert twice == []


assert settings.default
NoTwoReadingsShareATime.TestCase.settings = settings(
    deadline=None,
    max_examples=settings.default.max_examples // 2,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
)
TestNoTwoReadingsShareATime = NoTwoReadingsShareATime.TestCase


def test_lanes_of_boots_and_of_polled_readings_are_apart():
    assert sorted([*POLLED, *BOOTS]) == list(range(LANES))
