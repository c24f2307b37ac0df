"""Any access point: IF-MIB over SNMP v2c, as the `snmp_ap` driver reads it.

    ifName, ifDescr   which row is the interface: walked once, and looked at in each round, because
                      rows are numbered anew when an access point starts
    ifHCInOctets, ifHCOutOctets   64 bits; an agent without them has ifInOctets, ifOutOctets, which
                      wrap after 4 GiB: what wrapped is added here, since the link began
    sysUpTime         smaller than before: the access point started anew, and its counters with it;
                      except that it wraps itself after 497 days
    client_oids       the maker's counts of stations, added up

A question is sent three times within the time-out; an answer is the one to this question by its
number and its address. A wrong community is silence: no agent answers it.
Sources: RFC 2863, RFC 3418, RFC 3416.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import msgspec

from edge.link_settings import SnmpAgent
from edge.links.access_point import Account, NoAnswer
from edge.links.snmp_message import (
    GET,
    GET_BULK,
    NotSnmp,
    Oid,
    Response,
    Value,
    build_request,
    host_and_port,
    parse_oid,
    parse_response,
)
from wire.clock import Clock

TRIES = 3
ROWS_MAX = 512
REPETITIONS = 16
ANSWERS_MAX = 16  # what nobody asked for goes first: a flood of strangers' answers stays bounded
WRAP_32 = 2**32
UPTIME_NEAR_WRAP_CS = WRAP_32 - 24 * 3600 * 100
SYS_UPTIME = parse_oid("1.3.6.1.2.1.1.3.0")
IF_DESCR = parse_oid("1.3.6.1.2.1.2.2.1.2")
IF_IN, IF_OUT = parse_oid("1.3.6.1.2.1.2.2.1.10"), parse_oid("1.3.6.1.2.1.2.2.1.16")
IF_NAME = parse_oid("1.3.6.1.2.1.31.1.1.1.1")
IF_HC_IN, IF_HC_OUT = parse_oid("1.3.6.1.2.1.31.1.1.1.6"), parse_oid("1.3.6.1.2.1.31.1.1.1.10")


class _Row(msgspec.Struct, frozen=True):
    """The interface's row: `column` is where its name was found."""

    column: Oid
    index: Oid


class Wrapping:
    """A 32-bit counter made whole: a step back without a new start is a wrap."""

    def __init__(self) -> None:
        self._last = 0
        self._wrapped = 0

    def whole(self, count: int) -> int:
        """The counter with all that wrapped since the link began."""
        if count < self._last:
            self._wrapped += WRAP_32
        self._last = count
        return self._wrapped + count

    def restart(self) -> None:
        """The access point began anew."""
        self._last = self._wrapped = 0


class SnmpPoint:
    """An `AccessPoint`."""

    parts = ("system", "interface", "clients")

    def __init__(self, settings: SnmpAgent, clock: Clock) -> None:
        self.where = f"snmp {settings.host}"
        self._settings, self._clock = settings, clock
        self._client_oids = [parse_oid(text) for text in settings.client_oids]
        self._account = Account(settings.community_file, f"link.{settings.name}.community_file")
        self._row: _Row | None = None
        self._uptime_cs = 0
        self._received, self._sent = Wrapping(), Wrapping()

    async def ask(self, parts: dict[str, msgspec.Raw], deadline: float) -> None:
        """Ask for all in one question, once the interface's row is known."""
        community = self._account.secret().encode() or b"public"
        host, port = host_and_port(self._settings.host)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock.monotonic())):
                transport, answers = await loop.create_datagram_endpoint(
                    _Answers, remote_addr=(host, port)
                )
        except (OSError, ValueError) as error:  # TimeoutError is one; ValueError: no host's name
            raise NoAnswer(str(error) or "its name can't be looked up") from error
        try:
            agent = _Agent(transport, answers, community, deadline, self._clock)
            if self._row is None:
                self._row = await self._find_row(agent)
            await self._read(agent, parts)
        finally:
            transport.close()

    async def _read(self, agent: _Agent, parts: dict[str, msgspec.Raw]) -> None:
        oids = [SYS_UPTIME, *self._client_oids]
        row = self._row
        if row is not None:
            counters = (IF_HC_IN, IF_HC_OUT, IF_IN, IF_OUT)
            oids += [column + row.index for column in (row.column, *counters)]
        said = dict((await agent.ask(GET, oids)).bindings)
        uptime_cs = _count(said.get(SYS_UPTIME))
        if uptime_cs is None:
            raise NoAnswer("it has no sysUpTime: not an SNMP agent's answer")
        if uptime_cs < self._uptime_cs < UPTIME_NEAR_WRAP_CS:
            self._received.restart()
            self._sent.restart()
        self._uptime_cs = uptime_cs
        parts["system"] = _raw({"uptime_cs": uptime_cs})
        counts = [_count(said.get(oid)) for oid in self._client_oids]
        known = [count for count in counts if count is not None]
        if known and len(known) == len(counts):
            parts["clients"] = _raw({"count": sum(known)})
        if row is None or said.get(row.column + row.index) != self._settings.interface.encode():
            self._row = None  # numbered anew: looked for in the next round
            raise NoAnswer(f"it has no interface {self._settings.interface!r}")
        received = _count(said.get(IF_HC_IN + row.index))
        sent = _count(said.get(IF_HC_OUT + row.index))
        if received is None or sent is None:
            received = _whole(self._received, said.get(IF_IN + row.index))
            sent = _whole(self._sent, said.get(IF_OUT + row.index))
        found = {"rx_bytes": received, "tx_bytes": sent}
        parts["interface"] = _raw({name: n for name, n in found.items() if n is not None})

    async def _find_row(self, agent: _Agent) -> _Row | None:
        wanted = self._settings.interface.encode()
        for column in (IF_NAME, IF_DESCR):
            at = column
            for _ in range(ROWS_MAX // REPETITIONS):
                answer = await agent.ask(GET_BULK, [at], REPETITIONS)
                inside = [(o, v) for o, v in answer.bindings if o[: len(column)] == column]
                for oid, value in inside:
                    if value == wanted:
                        return _Row(column, oid[len(column) :])
                if len(inside) < len(answer.bindings) or not inside or inside[-1][0] <= at:
                    break
                at = inside[-1][0]
        return None


class _Agent:
    """One round's conversation."""

    def __init__(
        self,
        transport: asyncio.DatagramTransport,
        answers: _Answers,
        community: bytes,
        deadline: float,
        clock: Clock,
    ) -> None:
        self._transport, self._answers = transport, answers
        self._community, self._deadline, self._clock = community, deadline, clock
        self._try_s = max(0.0, deadline - clock.monotonic()) / TRIES

    async def ask(self, kind: int, oids: list[Oid], repetitions: int = 0) -> Response:
        """The response to this question.

        Raises:
            NoAnswer: none came in time, or one that says it can't.
        """
        request_id = random.randrange(1, 2**31)
        question = build_request(kind, self._community, request_id, oids, repetitions)
        while (left_s := self._deadline - self._clock.monotonic()) > 0:
            self._transport.sendto(question)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, self._try_s)):
                    return await self._response(request_id)
        raise NoAnswer("no answer; see its address, community and access list")

    async def _response(self, request_id: int) -> Response:
        while True:
            data = await self._answers.arrived()
            try:
                response = parse_response(data)
            except NotSnmp:
                continue
            if response.request_id != request_id:
                continue  # late, or somebody else's
            if response.error:
                raise NoAnswer(f"it answers with error {response.error}")
            return response


class _Answers(asyncio.DatagramProtocol):
    """Datagrams of the one address that the socket is connected to."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(ANSWERS_MAX)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there now: the time-out says so."""

    async def arrived(self) -> bytes:
        """The next datagram."""
        return await self._queue.get()


def _count(value: Value) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _whole(counter: Wrapping, value: Value) -> int | None:
    count = _count(value)
    return None if count is None else counter.whole(count)


def _raw(table: dict[str, int]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(table))
