"""What an examined bus suffers from, and what to do: rules, each with its reason. No IO.

In: a `BusRecord`. Out: findings, a slave's each and the bus's own.

    whole requests while idle         another master: a bus has one (Modbus over serial line V1.02,
                                      2.1)
    bytes while idle                  nothing drives the line then, so its bias fails (3.4.6)
    nobody answers                    what all share: power, A and B, speed
    a second answer to one question   two devices with one address: certain
    one slave damaged, others not     its own: a plug, a stub, or a second device that talks at once
    most damaged                      the cable: termination, bias, a star, the speed
    one slave silent now and then     its supply or its plug
    an answer after the agent's time  the agent counts a time-out: a longer answer_timeout_s
    another address answers           a late answer of that one, taken for this one's
    only exceptions, other lengths    not the model that the configuration names

FAULT_SHARE 0.05   A clean bus has under 1 % of errors, 5 to 8 % is a fault (city §4).
NEAR 0.8           Of answer_timeout_s: the next warm day is slower.
BUSY 0.8           Of the bus's time: a bus that is asked more than it can answer slows all alike.
FAST_BAUD 38400    From here on reflections of an unterminated cable last into the bit (a reflection
                   on 300 m takes 3 µs; a bit of 115,200 baud is sampled 4 µs after its edge).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from statistics import median

from devices.reading import Refusal
from edge.doctor import Finding, fails, passes, warns
from edge.doctor.bus import BusRecord, SlaveRecord
from wire.sentence import Told, told

FAULT_SHARE, NEAR, BUSY, FAST_BAUD = 0.05, 0.8, 0.8, 38_400
BINS_MS = (2, 5, 10, 20, 50, 100, 200, 500)
_BAR = 40
_BUS = told("bus")
_MODEL = told("Is it the model that the configuration names? Find it: gampong scan")


def advise(record: BusRecord) -> Iterator[Finding]:
    """Every finding, the bus's first."""
    yield from _idle(record)
    if not any(slave.answer_s for slave in record.slaves):
        yield _nobody(record)
        return
    shared = _suffer_together(record.slaves)
    if shared:
        yield _cable(record)
    for slave in record.slaves:
        found = list(_slave(slave, record, shared))
        yield from found or [passes(_name(slave), _times(slave))]
    busy = sum(slave.busy_share for slave in record.slaves)
    if busy > BUSY:
        seen = told("its polls take {busy:.0%} of the time", busy=busy)
        yield warns(_BUS, seen, told("Raise poll_interval_s, or split it over two ports"))


def histogram(slave: SlaveRecord, spoken: Callable[[Told], str] = str) -> list[str]:
    """A line a bin that isn't empty, and one for what wasn't answered."""
    counts = [0] * (len(BINS_MS) + 1)
    for seconds in slave.answer_s:
        counts[sum(1000 * seconds >= edge for edge in BINS_MS)] += 1
    low = ("0", *(str(edge) for edge in BINS_MS))
    names = [f"{a}–{b} ms" for a, b in pairwise(low)]
    names.append(spoken(told("over {edge} ms", edge=low[-1])))
    rows = [(name, count) for name, count in zip(names, counts, strict=True) if count]
    rows += [(str(reason), count) for reason, count in sorted(slave.failed.items())]
    most = max((count for _, count in rows), default=1)
    return [f"{name:>14} {'#' * max(1, _BAR * count // most):<{_BAR}} {count}"
            for name, count in rows]  # fmt: skip


def _idle(record: BusRecord) -> Iterator[Finding]:
    if record.idle_requests:
        seen = told(
            "{count} questions of another master in {idle_s:g} s",
            count=record.idle_requests,
            idle_s=record.idle_s,
        )
        yield fails(_BUS, seen, told("Stop it or unplug it: a bus has one master"))
    elif record.idle_bytes:
        seen = told(
            "{count} bytes in {idle_s:g} s while nobody was asked",
            count=record.idle_bytes,
            idle_s=record.idle_s,
        )
        remedy = told(
            "Bias resistors at one end, 120 Ω at both; the screen earthed once, far from mains"
        )
        yield warns(_BUS, seen, remedy)
    else:
        seen = told(
            "quiet while nobody was asked, {baudrate} {parity}",
            baudrate=record.baudrate,
            parity=record.parity,
        )
        yield passes(_BUS, seen)


def _nobody(record: BusRecord) -> Finding:
    damaged = sum(_damaged(slave) for slave in record.slaves)
    if damaged:
        remedy = told(
            "Another speed or parity than theirs: gampong scan --port {port}", port=record.port
        )
        seen = told("nobody can be read, {damaged} answers came damaged", damaged=damaged)
        return fails(_BUS, seen, remedy)
    remedy = told(
        "Is it powered, are A and B swapped? Then the speed: gampong scan --port {port}",
        port=record.port,
    )
    return fails(_BUS, told("nobody answers"), remedy)


def _suffer_together(slaves: Sequence[SlaveRecord]) -> bool:
    """Whether what ails them is what they share: most of those who answer are ailing."""
    alive = [slave for slave in slaves if slave.answer_s]
    ailing = [slave for slave in alive if (_damaged(slave) or slave.stray) and not slave.twice]
    return len(alive) > 1 and len(ailing) > 1 and 2 * len(ailing) > len(alive)


def _cable(record: BusRecord) -> Finding:
    asked = sum(slave.asked for slave in record.slaves)
    bad = sum(_damaged(slave) + slave.stray for slave in record.slaves)
    remedy = told(
        "120 Ω at both ends and nowhere else, bias at one, one line and no star, a common earth"
    )
    if record.baudrate >= FAST_BAUD:
        remedy = told(
            "{cable}; or a lower speed than {baudrate}", cable=remedy, baudrate=record.baudrate
        )
    seen = told("{bad} of {asked} exchanges damaged, at most slaves", bad=bad, asked=asked)
    return _by_share(_BUS, bad, asked, seen, remedy)


def _slave(slave: SlaveRecord, record: BusRecord, shared: bool) -> Iterator[Finding]:
    look, asked = _name(slave), slave.asked
    if slave.twice:
        remedy = told("Two devices have this address: unplug one, give it another")
        seen = told("answered twice, {twice} of {asked} times", twice=slave.twice, asked=asked)
        yield fails(look, seen, remedy)
        return
    if not slave.answer_s:
        yield _never(slave, look)
        return
    if slave.failed[Refusal.EXCEPTION] == asked:
        yield fails(look, told("refuses every question"), _MODEL)
        return
    if length := slave.failed[Refusal.LENGTH]:
        seen = told("{length} of {asked} of another length", length=length, asked=asked)
        yield _by_share(look, length, asked, seen, _MODEL)
    bad = slave.failed[Refusal.CHECKSUM] + slave.stray
    if bad and not shared:
        remedy = told("Only here: its plug, its stub, or a second device with this address")
        seen = told("{bad} of {asked} answers came damaged", bad=bad, asked=asked)
        yield _by_share(look, bad, asked, seen, remedy)
    if silent := slave.failed[Refusal.TIMEOUT]:
        remedy = told("Its supply at the far end, under load; its plug")
        seen = told("{silent} of {asked} times silent", silent=silent, asked=asked)
        yield _by_share(look, silent, asked, seen, remedy)
    if slave.strangers:
        seen = told(
            "{strangers} of {asked} times another address answered",
            strangers=slave.strangers,
            asked=asked,
        )
        yield warns(look, seen, told("One of the others answers too late: see who is slow"))
    yield from _slow(slave, record.answer_timeout_s)


def _never(slave: SlaveRecord, look: Told) -> Finding:
    if _damaged(slave):
        remedy = told(
            "Two devices with this address that talk at once, or another speed: gampong scan"
        )
        return fails(look, told("never came whole"), remedy)
    remedy = told(
        "The others answer: its power, its address and speed (gampong scan), A and B there"
    )
    return fails(look, told("never answers"), remedy)


def _slow(slave: SlaveRecord, timeout_s: float) -> Iterator[Finding]:
    look, slowest_s = _name(slave), max(slave.answer_s)
    late = sum(seconds > timeout_s for seconds in slave.answer_s)
    wanted_s = -(-slowest_s * 15 // 1) / 10  # half as much again, in tenths
    remedy = told("answer_timeout_s = {wanted_s:g} in its [[link]]", wanted_s=wanted_s)
    if late:
        seen = told(
            "{late} of {asked} answers after {timeout_s:g} s, {times}",
            late=late,
            asked=slave.asked,
            timeout_s=timeout_s,
            times=_times(slave),
        )
        yield _by_share(look, late, slave.asked, seen, remedy)
    elif slowest_s > NEAR * timeout_s:
        seen = told(
            "near the time-out of {timeout_s:g} s: {times}",
            timeout_s=timeout_s,
            times=_times(slave),
        )
        yield warns(look, seen, remedy)


def _by_share(look: Told, bad: int, asked: int, seen: Told, remedy: Told) -> Finding:
    """A fault from FAULT_SHARE on; one alone may be chance."""
    is_fault = bad > 1 and bad >= FAULT_SHARE * asked
    return fails(look, seen, remedy) if is_fault else warns(look, seen, remedy)


def _damaged(slave: SlaveRecord) -> int:
    return slave.failed[Refusal.CHECKSUM] + slave.failed[Refusal.LENGTH]


def _times(slave: SlaveRecord) -> Told:
    return told(
        "{count} answers, median {middle_ms:.0f} ms, slowest {slowest_ms:.0f} ms",
        count=len(slave.answer_s),
        middle_ms=1000 * median(slave.answer_s),
        slowest_ms=1000 * max(slave.answer_s),
    )


def _name(slave: SlaveRecord) -> Told:
    first, *others = slave.devices
    if others:
        more = len(others)
        return told(
            "address {unit} ({device} and {more} more)", unit=slave.unit, device=first, more=more
        )
    return told("address {unit} ({device})", unit=slave.unit, device=first)
