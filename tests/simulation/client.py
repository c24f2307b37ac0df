"""The MQTT library's part of one connection, towards the simulated broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from tests.simulation.broker import Message, Session
from tests.simulation.process import Process
from tests.simulation.wire import Wire

if TYPE_CHECKING:
    from tests.simulation.network import Network

NETWORK: list[Network] = []
"""The network of the running world; patched modules find it here."""

ANSWER_S = 10.0


class Gone(Exception):
    """The connection isn't there (any more)."""

    def __init__(self, reason: str, code: int | None) -> None:
        self.reason, self.code = reason, code
        super().__init__(reason)


class Client:
    """The library's part of one connection."""

    def __init__(self, process: Process, receive_max: int) -> None:
        self.process, self.receive_max = process, receive_max
        self.session: Session | None = None
        self._lost: Gone | None = None
        self._inbox: asyncio.Queue[tuple[int, Message, bool] | None] = asyncio.Queue()
        self._answers: dict[int, Callable[[int | None], None]] = {}
        self._sent = 0

    @property
    def wire(self) -> Wire:
        assert self.session is not None
        return self.session.wire

    async def open(
        self,
        network: Network,
        name: str,
        will: Message | None,
        keepalive_s: float,
        timeout_s: float,
    ) -> None:
        """CONNECT and wait for CONNACK.

        Raises:
            Gone: neither in time, or refused.
        """
        wire = Wire(network.loop, lambda: network.delay_s(self.process.name), keepalive_s)
        broker = network.broker
        wire.client_lost = self._lose
        self.session = Session(wire, self, name, will)
        session = self.session
        wire.broker_lost = lambda with_will: broker.lost(session, with_will)
        self.process.connections.append(self)
        network.opened(self.process.name, wire)
        connected = network.loop.create_future()

        def syn() -> None:
            if not broker.up:
                wire.reset(None, "connection refused")
                return
            broker.connected(session)
            wire.down.put(lambda: None if connected.done() else connected.set_result(None))

        self._answers[-1] = lambda code: (
            None if connected.done() else connected.set_exception(self._gone())
        )
        wire.up.put(syn)
        try:
            async with asyncio.timeout(timeout_s):
                await connected
        except (TimeoutError, Gone) as error:
            wire.vanish()
            self._forget()
            raise Gone("no answer to CONNECT", None) from error
        finally:
            self._answers.pop(-1, None)

    def close(self, with_will: bool) -> None:
        self._forget()
        if self._lost is None and not self.process.dead:
            self._lost = Gone("closed", None)
            self.wire.leave(with_will)

    def process_died(self, silent: bool) -> None:
        self._lost = self._lost or Gone("killed", None)
        if silent:
            self.wire.vanish()
        else:
            self.wire.client_lost = lambda reason, code: None
            self.wire.leave(with_will=True)

    def publish(self, message: Message, answered: Callable[[int | None], None]) -> None:
        """Send; `answered` gets the PUBACK's code, or None when the connection is lost first."""
        self._alive("publish")
        session, broker = self.session, NETWORK[-1].broker
        assert session is not None
        self._sent += 1
        number = self._sent
        self._answers[number] = answered

        def arrive() -> None:
            if session.ended:
                return
            code = broker.publish(session, self._held(message))
            session.wire.down.put(lambda: self._answer(number, code))

        session.wire.up.put(arrive)

    def _held(self, message: Message) -> Message:
        """The message as the broker holds it: ours, and expiring from now on."""
        expiry_s, now = message.expires_at, NETWORK[-1].loop.time()
        expires_at = None if expiry_s is None else now + expiry_s
        return msgspec.structs.replace(message, expires_at=expires_at, origin=self.process.life)

    async def ask(self, act: Callable[[Session], None], timeout_s: float = ANSWER_S) -> None:
        """SUBSCRIBE or UNSUBSCRIBE, and its answer."""
        self._alive("ask")
        session = self.session
        assert session is not None
        future = NETWORK[-1].loop.create_future()
        self._sent += 1
        number = self._sent
        self._answers[number] = lambda code: (
            None
            if future.done()
            else future.set_exception(self._gone())
            if code is None
            else future.set_result(None)
        )

        def arrive() -> None:
            if not session.ended:
                act(session)
                session.wire.down.put(lambda: self._answer(number, 0))

        session.wire.up.put(arrive)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            raise Gone("no answer", None) from None

    def acknowledge(self, number: int) -> None:
        self._alive("acknowledge")
        session, broker = self.session, NETWORK[-1].broker
        assert session is not None
        session.wire.up.put(partial(broker.acknowledged, session, number))

    async def arrivals(self) -> AsyncIterator[tuple[int, Message, bool]]:
        while (item := await self._inbox.get()) is not None:
            yield item
        raise self._gone()

    async def several(self) -> list[tuple[int, Message, bool]]:
        """What has arrived, at least one."""
        some: list[tuple[int, Message, bool]] = []
        while not some or not self._inbox.empty():
            item = await self._inbox.get()
            if item is None:
                self._inbox.put_nowait(None)
                break
            some.append(item)
        if not some:
            raise self._gone()
        return some

    def arrived(self, number: int, message: Message, retained: bool) -> None:
        if self._lost is None and self.process.trip("arrived"):
            self._inbox.put_nowait((number, message, retained))

    def _forget(self) -> None:
        if self in self.process.connections:
            self.process.connections.remove(self)

    def _alive(self, what: str) -> None:
        if self._lost is not None or not self.process.trip(what):
            raise self._gone()

    def _gone(self) -> Gone:
        lost = self._lost or Gone("killed", None)
        return Gone(lost.reason, lost.code)

    def _answer(self, number: int, code: int) -> None:
        if self._lost is None and self.process.trip("answer"):
            self._answers.pop(number)(code)

    def _lose(self, reason: str, code: int | None) -> None:
        if self._lost is None and not self.process.dead:
            self._lost = Gone(reason, code)
            answers, self._answers = self._answers, {}
            for answered in answers.values():
                answered(None)
            self._inbox.put_nowait(None)
