"""A broker as MQTT 5 lets one be, with what brokers do to people.

Clean sessions, QoS 1, shared subscriptions, message expiry, retained messages, wills; PUBACK 0x10
when nobody listens. It restarts empty or not, drops its queues, delivers twice, delivers topics out
of order, refuses (0x97), hangs up on a slow client, and gives what a lost member of a group had
in hand to another one or to nobody.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from tests.simulation.wire import Wire

MESSAGE_LIFE_S = 60.0
"""Longer than any batch's expiry."""

if TYPE_CHECKING:
    from tests.simulation.client import Client

NO_SUBSCRIBERS, QUOTA, TAKEN_OVER, SHUTTING_DOWN = 0x10, 0x97, 0x8E, 0x8B
PACKET_TOO_LARGE = 0x95


class Message(msgspec.Struct, frozen=True):
    """An application message as the broker holds it."""

    topic: str
    payload: bytes
    retain: bool = False
    expires_at: float | None = None
    content_type: str | None = None
    correlation: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()
    origin: str = ""
    """Whose it is: a process's life."""


class Subscription(msgspec.Struct, frozen=True):
    """One filter of one session; `group` for a shared one."""

    filter: str
    group: str = ""
    own: bool = True
    kept: bool = True


class Session:
    """What the broker knows of one connection."""

    def __init__(self, wire: Wire, client: Client, name: str, will: Message | None) -> None:
        self.wire, self.client, self.name, self.will = wire, client, name, will
        self.subscriptions: dict[str, Subscription] = {}
        self.queue: deque[tuple[Message, bool, bool]] = deque()  # message, retained, shared
        self.in_flight: dict[int, tuple[Message, bool]] = {}
        self.arrived: set[int] = set()  # of those in flight
        self.next_id = 0
        self.ended = False
        self.opened_s = 0.0


class Broker:
    """The broker in the middle; the booleans and shares are what a schedule sets."""

    def __init__(self, now: Callable[[], float], rng: random.Random) -> None:
        self._now, self._rng = now, rng
        self.up = True
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Message] = {}
        self.duplicate_share = self.reorder_share = self.refuse_share = 0.0
        self.redispatch = True
        self.doubled_until = 0.0
        """Until then copies may be about that the broker has made."""
        self.hates: Callable[[Message], bool] = lambda message: False
        self.queue_max = 1000
        self.counts = {"published": 0, "delivered": 0, "expired": 0, "duplicated": 0, "dropped": 0}
        self.on_restart: Callable[[], None] = lambda: None
        self.on_batch: Callable[[Session, Message], None] = lambda session, message: None
        self.trace: Callable[..., None] = lambda *words: None

    # What clients do

    def connected(self, session: Session) -> None:
        old = self.sessions.get(session.name)
        if old is not None:
            old.wire.reset(TAKEN_OVER, "session taken over")
        self.sessions[session.name] = session
        session.opened_s = self._now()

    def lost(self, session: Session, with_will: bool) -> None:
        """A session's end."""
        if session.ended:
            return
        session.ended = True
        if self.sessions.get(session.name) is session:
            del self.sessions[session.name]
        left = [message for message, shared in session.in_flight.values() if shared]
        left += [message for message, _, shared in session.queue if shared]
        if self.up and self.redispatch:
            for message in left:
                self._route(message, None)
        else:
            self.counts["dropped"] += len(left)
        if self.up and with_will and session.will is not None:
            self.publish(session, session.will)

    def publish(self, session: Session | None, message: Message) -> int:
        """Take a message in; the PUBACK's reason code."""
        self.counts["published"] += 1
        self.trace("publish", message.topic, message.payload)
        if session and message.correlation:
            if self._rng.random() < self.refuse_share:
                return QUOTA
            self.on_batch(session, message)
            if self.hates(message):
                session.wire.reset(PACKET_TOO_LARGE, "packet too large")
                return PACKET_TOO_LARGE
        if message.retain:
            if message.payload:
                self.retained[message.topic] = message
            else:
                self.retained.pop(message.topic, None)
        return 0 if self._route(message, session) else NO_SUBSCRIBERS

    def subscribe(self, session: Session, wanted: Iterable[Subscription]) -> None:
        for subscription in wanted:
            session.subscriptions[subscription.filter] = subscription
            if subscription.kept and not subscription.group:
                for name, message in self.retained.items():
                    if _matches(subscription.filter, name):
                        self._enqueue(session, message, retained=True, shared=False)

    def unsubscribe(self, session: Session, filter_: str) -> None:
        session.subscriptions.pop(filter_, None)

    def acknowledged(self, session: Session, number: int) -> None:
        if not session.ended:
            session.in_flight.pop(number, None)
            session.arrived.discard(number)
            self._deliver(session)

    # What is done to it

    def restart(self, empty: bool) -> None:
        """Everybody is disconnected, sessions are clean; down until `up` again."""
        self.up = False
        for session in list(self.sessions.values()):
            session.wire.reset(SHUTTING_DOWN, "broker shut down")
        self.sessions.clear()
        if empty:
            self.retained.clear()

    def back(self) -> None:
        self.up = True
        self.on_restart()

    def drop_queues(self) -> None:
        for session in self.sessions.values():
            self.counts["dropped"] += len(session.queue)
            session.queue.clear()

    def listening(self, topic: str) -> bool:
        """Whether a message would be taken now, whichever member of a group gets it."""
        members = [
            session.wire.carries
            for session in self.sessions.values()
            for subscription in session.subscriptions.values()
            if subscription.group and _matches(subscription.filter, topic)
        ]
        return bool(members) and all(members)

    # How

    def _route(self, message: Message, origin: Session | None) -> bool:
        groups: dict[str, list[Session]] = {}
        reached = False
        for session in list(self.sessions.values()):
            for subscription in session.subscriptions.values():
                if not _matches(subscription.filter, message.topic):
                    continue
                if subscription.group:
                    groups.setdefault(subscription.group, []).append(session)
                elif subscription.own or session is not origin:
                    reached = True
                    self._enqueue(session, message, retained=False, shared=False)
        for members in groups.values():
            reached = True
            chosen = self._rng.choice(members)
            self._enqueue(chosen, message, retained=False, shared=True)
            if self.duplicate_share and self._rng.random() < self.duplicate_share:
                self.counts["duplicated"] += 1
                self.doubled_until = self._now() + MESSAGE_LIFE_S
                again = self._rng.choice(members)
                self._enqueue(again, message, retained=False, shared=True)
        return reached

    def _enqueue(self, session: Session, message: Message, retained: bool, shared: bool) -> None:
        if len(session.queue) >= self.queue_max:
            self.counts["dropped"] += 1
            if self._rng.random() < 0.2:
                session.wire.reset(QUOTA, "slow client")
            return
        session.queue.append((message, retained, shared))
        if (
            self.reorder_share
            and len(session.queue) > 1
            and self._rng.random() < self.reorder_share
        ):
            self._reorder(session)
        self._deliver(session)

    def _reorder(self, session: Session) -> None:
        """Let the newest overtake those of other topics, never of its own."""
        newest = session.queue.pop()
        place = len(session.queue)
        while place and session.queue[place - 1][0].topic != newest[0].topic:
            place -= 1
        session.queue.insert(place, newest)

    def _deliver(self, session: Session) -> None:
        while session.queue and len(session.in_flight) < session.client.receive_max:
            message, retained, shared = session.queue.popleft()
            if message.expires_at is not None and self._now() >= message.expires_at:
                self.counts["expired"] += 1
                continue
            session.next_id += 1
            number = session.next_id
            session.in_flight[number] = message, shared
            self.counts["delivered"] += 1
            twice = self.duplicate_share and self._rng.random() < self.duplicate_share
            for _ in range(2 if twice else 1):
                session.wire.down.put(_arrives(session, number, message, retained))


def _arrives(session: Session, number: int, message: Message, retained: bool) -> Callable[[], None]:
    def arrive() -> None:
        session.arrived.add(number)
        session.client.arrived(number, message, retained)

    return arrive


def waiting_in(session: Session) -> Iterator[Message]:
    """Messages of shared subscriptions that haven't arrived yet."""
    yield from (message for message, _, shared in session.queue if shared)
    for number, (message, shared) in session.in_flight.items():
        if shared and number not in session.arrived:
            yield message


def _matches(filter_: str, topic: str) -> bool:
    """Plain filters and `$share` ones, with `+` levels."""
    if filter_.startswith("$share/"):
        filter_ = filter_.split("/", 2)[2]
    if "+" not in filter_:
        return filter_ == topic
    wanted, given = filter_.split("/"), topic.split("/")
    return len(wanted) == len(given) and all(
        w in ("+", g) for w, g in zip(wanted, given, strict=True)
    )
