"""The core of sending, in virtual time: tables by example, promises by property."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from edge.configuration import UplinkSettings
from edge.uplink_actions import Action, Ask, HangUp, Load, Park, Send, Snapshot
from edge.window import LIVE_MAX, LIVE_PER_PLACE, LOAD_LIMIT, LOST_MAX, Window
from wire.topics import Leaf

SETTINGS = UplinkSettings()
TIMEOUT = SETTINGS.confirm_timeout_s


class Disk:
    """A window over an outbox that answers `Load` at once and keeps what was decided."""

    def __init__(self, waiting: int = 0, settings: UplinkSettings = SETTINGS) -> None:
        self.window = Window(settings)
        self.waiting = list(range(1, waiting + 1))
        self.parked: list[int] = []

    def seal(self) -> int:
        sequence = max(self.waiting, default=0) + 1
        self.waiting.append(sequence)
        self.window.sealed(sequence)
        return sequence

    def settle(self, sequence: int) -> None:
        self.waiting.remove(sequence)
        self.window.settled(sequence)

    def step(self, now: float) -> list[Action]:
        """All that is decided at `now`, `Load` answered and left out."""
        done: list[Action] = []
        while actions := self.window.next(now):
            for action in actions:
                if isinstance(action, Load):
                    rows = [s for s in self.waiting if s > action.after][: action.limit]
                    self.window.loaded(action.after, rows, len(rows) < action.limit)
                else:
                    done.append(action)
                    if isinstance(action, Park):
                        self.waiting.remove(action.sequence)
                        self.parked.append(action.sequence)
            if actions == [HangUp()]:
                break
        return done

    def sends(self, now: float) -> list[tuple[int, Leaf]]:
        return [(a.sequence, a.leaf) for a in self.step(now) if isinstance(a, Send)]

    def puback(self, now: float, *sequences: int, code: int = 0) -> None:
        for sequence in sequences:
            self.window.puback(now, sequence, code)


def test_on_connecting_a_snapshot_goes_first_then_the_oldest_of_the_backlog():
    disk = Disk(waiting=10)
    disk.window.connected()
    first, *rest = disk.step(0)
    assert first == Snapshot()
    assert rest == [Send(1, Leaf.BACKFILL, 30)]  # at a bounded rate
    assert disk.sends(0.05) == [(2, Leaf.BACKFILL)]


def test_what_is_sealed_while_connected_goes_live_and_overtakes_the_backlog():
    disk = Disk(waiting=100)
    disk.window.connected()
    disk.step(0)
    new = disk.seal()
    assert disk.sends(0.01) == [(new, Leaf.BATCH)]


def test_each_lane_has_four_places():
    disk = Disk(waiting=100)
    disk.window.connected()
    for _ in range(10):
        disk.seal()
    sent = [send for tick in range(100) for send in disk.sends(tick * 0.1)]
    assert [leaf for _, leaf in sent].count(Leaf.BATCH) == 4
    assert [leaf for _, leaf in sent].count(Leaf.BACKFILL) == 4
    disk.puback(10, *(sequence for sequence, _ in sent))
    disk.settle(sent[0][0])
    assert len(disk.sends(10)) == 1


def test_a_confirmation_is_the_last_that_is_heard_of_a_batch():
    disk = Disk(waiting=1)
    disk.window.connected()
    assert disk.sends(0) == [(1, Leaf.BACKFILL)]
    disk.settle(1)
    disk.puback(0.1, 1)  # the answer may overtake the PUBACK
    assert disk.sends(1000) == []
    assert disk.window.wake_at() is None


def test_after_a_time_out_only_the_newest_is_tried_at_most_a_minute_apart():
    disk = Disk(waiting=50)
    disk.window.connected()
    sent = disk.sends(0)
    for _ in range(3):
        disk.seal()
    sent += disk.sends(0.01)
    disk.puback(0.1, *(sequence for sequence, _ in sent))
    for _ in range(4):
        disk.seal()
    newest = disk.seal()
    now, tries = 0.1, []
    while now < 600:
        for sequence, leaf in disk.sends(now):
            tries.append((now, sequence, leaf))
            disk.puback(now, sequence)
        woken = disk.window.wake_at()
        now = 600 if woken is None else woken
    late = [(at, sequence) for at, sequence, _ in tries if at > TIMEOUT]
    assert late[0][1] == newest
    gaps = [round(b[0] - a[0], 6) for a, b in itertools.pairwise(late)]
    assert all(TIMEOUT <= gap <= 60 for gap in gaps)
    assert gaps[-1] == 60
    assert disk.window.alarms == ("no_answer",)


def test_any_answer_opens_the_windows_again():
    disk = Disk(waiting=50)
    disk.window.connected()
    disk.sends(0)
    disk.puback(0, 1)
    tried = disk.sends(TIMEOUT)
    assert len(tried) == 1
    disk.puback(TIMEOUT, tried[0][0])
    disk.window.held(TIMEOUT, tried[0][0], 5)
    assert disk.window.alarms == ()
    assert disk.sends(TIMEOUT + 1)


def test_a_hold_frees_the_place_and_puts_the_batch_off():
    disk = Disk(waiting=5)
    disk.window.connected()
    sent = [send for tick in range(20) for send in disk.sends(tick * 0.1)]
    assert [sequence for sequence, _ in sent] == [1, 2, 3, 4]
    disk.puback(2, 1, 2, 3, 4)
    disk.window.held(2, 1, 7)
    assert disk.sends(2.5) == [(5, Leaf.BACKFILL)]
    disk.settle(2)
    assert disk.sends(8.9) == []
    assert disk.sends(9) == [(1, Leaf.BACKFILL)]


def test_a_late_hold_for_an_earlier_copy_waits_for_the_present_one_to_die():
    disk = Disk(waiting=1)
    disk.window.connected()
    disk.sends(0)
    disk.puback(0, 1)
    assert disk.sends(TIMEOUT) == [(1, Leaf.BACKFILL)]
    disk.puback(TIMEOUT, 1)
    disk.window.held(TIMEOUT + 1, 1, 2)
    assert disk.sends(TIMEOUT + 3) == []
    assert disk.sends(2 * TIMEOUT) == [(1, Leaf.BACKFILL)]


def test_a_confirmation_after_a_time_out_opens_the_windows():
    disk = Disk(waiting=50)
    disk.window.connected()
    disk.sends(0)
    disk.puback(0, 1)
    assert len(disk.sends(TIMEOUT)) == 1
    assert disk.sends(TIMEOUT + 1) == []
    disk.settle(1)  # late, and the answer to either copy
    assert disk.window.alarms == ()
    assert disk.sends(TIMEOUT + 1) == [(2, Leaf.BACKFILL)]


def test_an_answer_to_a_look_up_from_before_the_cursor_went_back_is_not_used():
    window = Window(SETTINGS)
    window.connected()
    assert Load(0, LOAD_LIMIT) in window.next(0)
    window.loaded(0, list(range(1, 9)), end=False)
    assert [a for a in window.next(0) if isinstance(a, Send)] == [Send(1, Leaf.BACKFILL, 30)]
    for tick in range(1, 4):
        window.next(tick)
    for sequence in range(1, 9):
        window.settled(sequence)
    assert window.next(4) == [Load(8, LOAD_LIMIT)]
    window.look_again()
    window.loaded(8, [9, 10], end=True)
    assert window.next(5) == [Load(0, LOAD_LIMIT)]


def test_an_empty_question_without_a_puback_means_a_stuck_link():
    disk = Disk()
    disk.window.connected()
    disk.seal()
    disk.sends(0)
    disk.puback(0, 1, code=0x10)
    assert disk.step(5) == [Ask(Leaf.BATCH)]
    assert disk.step(5 + TIMEOUT) == [HangUp()]


def test_holding_everything_does_not_send_the_whole_backlog_round_and_round():
    disk = Disk(waiting=1000)
    disk.window.connected()
    sent = 0
    for tick in range(2000):
        now = tick * 0.1
        for sequence, _ in disk.sends(now):
            sent += 1
            disk.puback(now, sequence)
            disk.window.held(now, sequence, 600)
    assert sent == 16


def test_nobody_listens_stops_the_lane_and_an_empty_message_asks_every_five_seconds():
    disk = Disk()
    disk.window.connected()
    disk.step(0)
    new = disk.seal()
    assert disk.sends(1) == [(new, Leaf.BATCH)]
    disk.puback(1, new, code=0x10)
    assert disk.window.alarms == ("nobody_listens",)
    assert disk.step(5.9) == []
    assert disk.step(6) == [Ask(Leaf.BATCH)]
    disk.window.answered(6.1, Leaf.BATCH, 0x10)
    assert disk.step(11) == []
    assert disk.step(11.1) == [Ask(Leaf.BATCH)]
    disk.window.answered(11.2, Leaf.BATCH, 0)
    assert disk.step(11.2) == [Snapshot(), Send(new, Leaf.BATCH, 30)]


def test_nobody_on_the_backfill_lane_does_not_stop_what_is_new():
    disk = Disk(waiting=3)
    disk.window.connected()
    assert disk.sends(0) == [(1, Leaf.BACKFILL)]
    disk.puback(0, 1, code=0x10)
    new = disk.seal()
    assert disk.sends(1) == [(new, Leaf.BATCH)]
    assert disk.step(5) == [Ask(Leaf.BACKFILL)]
    disk.window.answered(5, Leaf.BACKFILL, 0)
    assert disk.step(5) == [Send(1, Leaf.BACKFILL, 30)]  # no second snapshot for the backlog


def test_a_copy_that_a_lost_link_carried_is_dead_before_the_next_is_sent():
    disk = Disk(waiting=1)
    disk.window.connected()
    assert disk.sends(0) == [(1, Leaf.BACKFILL)]
    disk.window.disconnected(5)
    disk.window.connected()
    assert disk.sends(5 + TIMEOUT - 0.1) == []
    assert disk.sends(5 + TIMEOUT) == [(1, Leaf.BACKFILL)]
    assert disk.window.alarms == ()  # the link was lost; nobody was silent


def test_without_a_puback_the_link_is_stuck():
    disk = Disk(waiting=1)
    disk.window.connected()
    disk.sends(0)
    assert disk.step(TIMEOUT - 0.1) == []
    assert disk.step(TIMEOUT) == [HangUp()]


def test_a_batch_that_the_broker_hangs_up_on_three_times_is_parked():
    disk = Disk(waiting=4)
    disk.window.connected()
    now = 0.0
    for tick in range(20):
        disk.sends(tick * 0.1)
    disk.window.disconnected(2, 0x95)  # all four are suspects
    now = 2 + TIMEOUT
    for _ in range(3):
        disk.window.connected()
        assert disk.sends(now) == [(1, Leaf.BACKFILL)]  # alone
        assert disk.sends(now + 1) == []
        disk.window.disconnected(now + 1, 0x95)
        now += 1 + TIMEOUT
    disk.window.connected()
    assert Park(1) in disk.step(now)
    assert disk.parked == [1]
    assert disk.sends(now) == []  # the next suspect is on its way, alone
    for sequence in (2, 3, 4):
        assert sequence in disk.window.copies
        disk.puback(now, sequence)
        disk.settle(sequence)
        disk.step(now)
    assert disk.waiting == []


def test_while_a_suspect_waits_for_its_copy_to_die_the_others_go_on():
    disk = Disk(waiting=1)
    disk.window.connected()
    disk.sends(0)
    disk.window.disconnected(1, 0x82)
    disk.window.connected()
    new = disk.seal()
    assert disk.sends(2) == [(new, Leaf.BATCH)]


def test_a_batch_refused_as_too_large_three_times_is_parked():
    disk = Disk(waiting=2)
    disk.window.connected()
    for _ in range(3):
        assert disk.sends(1) == [(1, Leaf.BACKFILL)]
        disk.puback(1, 1, code=0x95)
    assert disk.step(2) == [Park(1), Send(2, Leaf.BACKFILL, 30)]


def test_a_refusal_for_other_reasons_makes_the_link_back_off():
    disk = Disk()
    disk.window.connected()
    new = disk.seal()
    assert disk.sends(0) == [(new, Leaf.BATCH)]
    disk.puback(0, new, code=0x87)
    assert disk.sends(TIMEOUT - 1) == []
    assert disk.sends(TIMEOUT) == [(new, Leaf.BATCH)]


def test_live_batches_that_find_no_place_turn_into_backlog():
    disk = Disk()
    disk.window.connected()
    sealed = [disk.seal() for _ in range(LIVE_MAX + 10)]
    lanes: dict[int, Leaf] = {}
    for tick in range(200):
        for sequence, leaf in disk.sends(tick * 0.1):
            lanes[sequence] = leaf
            disk.settle(sequence)
    assert sorted(lanes) == sealed
    assert lanes[sealed[0]] is Leaf.BACKFILL
    assert all(lanes[sequence] is Leaf.BATCH for sequence in sealed[-LIVE_MAX:])


def test_with_one_place_what_is_sealed_now_waits_behind_a_few_live_batches_only():
    disk = Disk(settings=UplinkSettings(window=1))
    disk.window.connected()
    assert disk.sends(0) == []
    sealed = [disk.seal() for _ in range(20)]  # while an answer is long in coming
    lanes: dict[int, Leaf] = {}
    live: list[int] = []
    for tick in range(400):
        for sequence, leaf in disk.sends(tick * 0.1):
            lanes[sequence] = leaf
            live += [sequence] if leaf is Leaf.BATCH else []
            disk.settle(sequence)
    assert sorted(lanes) == sealed
    assert live == sealed[-LIVE_PER_PLACE:]


def test_a_batch_that_left_the_outbox_is_forgotten():
    disk = Disk(waiting=2)
    disk.window.connected()
    disk.sends(0)
    disk.waiting.remove(1)
    disk.window.settled(1, answered=False)
    assert disk.sends(1) == [(2, Leaf.BACKFILL)]


class World:
    """Outbox, link, broker and far side in virtual time, with faults drawn from a script."""

    def __init__(self, draw: Callable[[int], int], settings: UplinkSettings) -> None:
        self.draw, self.settings = draw, settings
        self.disk = Disk(settings=settings)
        self.now = 0.0
        self.order = itertools.count()
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.connection = 0  # 0: down
        self.connections = itertools.count(1)
        self.queued: dict[int, tuple[int, Leaf, float]] = {}  # copy → sequence, leaf, dead at
        self.copies = itertools.count()
        self.listening = True
        self.far_side = "confirm"
        self.backfilled: list[int] = []

    def at(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (self.now + delay, next(self.order), event))

    def delay(self) -> float:
        return self.draw(40) / 10

    def run(self, until: float) -> None:
        """Let everything happen that is due, in order, up to then."""
        while True:
            self.perform(self.disk.step(self.now))
            woken = self.disk.window.wake_at()
            times = [self.agenda[0][0]] if self.agenda else []
            times += [woken] if woken is not None else []
            if not times or min(times) > until:
                self.now = max(self.now, until)
                return
            self.now = max(self.now, min(times))
            while self.agenda and self.agenda[0][0] <= self.now:
                heapq.heappop(self.agenda)[2]()

    def perform(self, actions: list[Action]) -> None:
        assert not actions or self.connection
        for action in actions:
            connection = self.connection
            if isinstance(action, Send):
                self.send(action, connection)
            elif isinstance(action, Ask):
                self.at(self.delay(), partial(self.asked, action.leaf, connection))
            elif isinstance(action, HangUp):
                self.link_down()

    def send(self, send: Send, connection: int) -> None:
        live = [copy for copy in self.queued.values() if copy[2] > self.now]
        assert all(sequence != send.sequence for sequence, _, _ in live), "two live copies"
        on_lane = sum(leaf is send.leaf for _, leaf, _ in live)
        lost = LOST_MAX if send.leaf is Leaf.BATCH else 0
        assert on_lane < self.settings.window + lost, "more than the window in flight"
        copy = next(self.copies)
        # In transit it may live as long as the link, and then as long as in the broker.
        self.queued[copy] = (send.sequence, send.leaf, float("inf"))
        self.at(self.delay(), lambda: self.arrive(copy, send, connection))

    def arrive(self, copy: int, send: Send, connection: int) -> None:
        if connection != self.connection:  # lost with the link
            self.queued.pop(copy, None)
            return
        if not self.listening:
            del self.queued[copy]
            self.acknowledge(send.sequence, 0x10, connection)
            return
        self.queued[copy] = (send.sequence, send.leaf, self.now + send.expiry_s)
        self.acknowledge(send.sequence, 0, connection)
        self.at(self.delay(), lambda: self.deliver(copy))

    def acknowledge(self, sequence: int, code: int, connection: int) -> None:
        def event() -> None:
            if connection == self.connection:
                self.disk.window.puback(self.now, sequence, code)

        self.at(self.delay() / 10, event)

    def asked(self, leaf: Leaf, connection: int) -> None:
        if connection == self.connection:
            self.disk.window.answered(self.now, leaf, 0 if self.listening else 0x10)

    def deliver(self, copy: int) -> None:
        sequence, _, dead_at = self.queued.get(copy, (0, Leaf.BATCH, 0.0))
        if dead_at <= self.now or not self.listening:
            return
        del self.queued[copy]
        if self.far_side == "hold":
            hold_s = float(self.draw(20))
            self.at(self.delay(), lambda: self.answer(sequence, hold_s))
        elif self.far_side == "confirm":
            self.at(self.delay() * 5, lambda: self.answer(sequence, 0))

    def answer(self, sequence: int, hold_s: float) -> None:
        if not self.connection:
            return  # the session is clean: an answer to nobody is lost
        if hold_s:
            self.disk.window.held(self.now, sequence, hold_s)
        elif sequence in self.disk.waiting:
            self.disk.settle(sequence)

    def link_up(self) -> None:
        if not self.connection:
            self.connection = next(self.connections)
            self.disk.window.connected()

    def link_down(self) -> None:
        if self.connection:
            self.connection = 0
            for copy, (sequence, leaf, dead_at) in list(self.queued.items()):
                if dead_at == float("inf"):  # the broker may have got it at the last moment
                    died = self.now + self.settings.confirm_timeout_s
                    self.queued[copy] = (sequence, leaf, died)
            self.disk.window.disconnected(self.now)

    def broker_restarts_empty(self) -> None:
        self.link_down()
        self.queued.clear()


FAULTS: dict[str, Callable[[World], object]] = {
    "seal": lambda world: world.disk.seal(),
    "up": World.link_up,
    "down": World.link_down,
    "restart": World.broker_restarts_empty,
    "deaf": lambda world: setattr(world, "listening", False),
    "listening": lambda world: setattr(world, "listening", True),
    "ignore": lambda world: setattr(world, "far_side", "ignore"),
    "hold": lambda world: setattr(world, "far_side", "hold"),
    "confirm": lambda world: setattr(world, "far_side", "confirm"),
}


@given(
    script=st.lists(
        st.tuples(st.sampled_from(sorted(FAULTS)), st.sampled_from([0.0, 0.3, 2.0, 31.0, 200.0])),
        max_size=40,
    ),
    backlog=st.integers(0, 40),
    places=st.integers(1, 5),
    random=st.randoms(use_true_random=False),
)
def test_no_history_breaks_the_window_or_leaves_a_batch_behind(script, backlog, places, random):
    sending = UplinkSettings(window=places, backfill_window=places)
    world = World(lambda bound: random.randint(0, bound), sending)
    for _ in range(backlog):
        world.disk.seal()
    for fault, seconds in script:
        FAULTS[fault](world)
        world.run(world.now + seconds)
    # From here on everything works.
    world.listening, world.far_side = True, "confirm"
    world.link_up()
    deadline = world.now + 300 + 40 * (len(world.disk.waiting) + 1) / places
    while world.disk.waiting and world.now < deadline:
        world.run(world.now + 10)
        world.link_up()
    assert world.disk.waiting == []
    assert world.disk.parked == []


@given(
    flaps=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from([0.0, 0.05, 0.3, 2.0, 31.0])),
        min_size=20,
        max_size=60,
    ),
    places=st.integers(1, 5),
    random=st.randoms(use_true_random=False),
)
def test_a_link_that_comes_and_goes_leaves_a_bounded_number_of_copies_behind(flaps, places, random):
    sending = UplinkSettings(window=places, backfill_window=places)
    world = World(lambda bound: random.randint(0, bound), sending)
    world.far_side = "ignore"
    for seals, seconds in flaps:
        world.link_up()
        for _ in range(seals):
            world.disk.seal()
        world.run(world.now + seconds)  # checks each send against the bound, see World.send
        world.link_down()
        assert len(world.disk.window.copies) <= LOST_MAX + 2 * places
    world.far_side = "confirm"
    world.link_up()
    new = world.disk.seal()
    if len(world.disk.window.copies) < LOST_MAX + places:
        assert (new, Leaf.BATCH) in world.disk.sends(world.now)


@given(
    backlog=st.integers(0, 60),
    answers=st.lists(st.integers(0, 3), max_size=80),
    loads=st.integers(1, LOAD_LIMIT),
)
def test_the_backlog_goes_oldest_first(backlog, answers, loads):
    disk = Disk(waiting=backlog)
    disk.window.connected()
    now, order = 0.0, []
    picks = iter(answers)
    while disk.waiting and now < 600:
        order += [sequence for sequence, _ in disk.sends(now)]
        in_flight = sorted(disk.window.copies)
        if in_flight:
            pick = in_flight[next(picks, 0) % len(in_flight)]
            disk.puback(now, pick)
            disk.settle(pick)
        now += 0.1
    assert order == list(range(1, backlog + 1))


def test_what_falls_due_between_asking_and_waiting_is_not_forgotten():
    disk = Disk(waiting=2)
    disk.window.connected()
    assert disk.sends(0) == [(1, Leaf.BACKFILL)]
    disk.settle(1)
    assert disk.sends(0.0499) == []
    assert disk.window.wake_at() == 0.05  # whenever that is asked


@given(st.integers(0, 10_000))
def test_the_core_is_small_whatever_waits(backlog):
    disk = Disk(waiting=backlog)
    disk.window.connected()
    for tick in range(50):
        disk.sends(tick * 0.1)
    assert len(disk.window.copies) <= 4
