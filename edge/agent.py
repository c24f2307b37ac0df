"""The agent: everything on the gateway, in one process and one TaskGroup.

In: the checked configuration, a clock, and the word to stop. Out: the final ledger. Links read,
sealing makes durable, the uplink drains; none waits for another but through the outbox. A link
repairs itself; any other failure ends the process, and the service manager starts it again.

At the end: links stop, what is open is sealed, the uplink goes on for a while, says goodbye.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from edge.configuration import EdgeConfiguration
from edge.intake import Intake
from edge.links.lending import Lending, ended
from edge.links.make import make_links
from edge.month import STATE, Month
from edge.onlooker import Inside, Look, Onlooker, Seen, Watch, all_ears
from edge.outbox_file import OutboxDamaged, OutboxFailing
from edge.outbox_thread import OutboxThread
from edge.records import Sealed, Tally
from edge.renewal import renew
from edge.replaced import forget_replaced
from edge.sealing import Sealing
from edge.status import Report
from edge.timekeeping import Timekeeping
from edge.uplink import Uplink
from edge.uplink_snapshot import LastReadings
from wire.batch import UnknownDictionary
from wire.clock import Clock
from wire.messages import Fate, Ledger

RECALLED_BATCHES = 16
"""So many of the newest waiting batches are read at the start, for the first snapshot."""

GOODBYE_S = 4.0
_LOOK_S = 0.02
_SERIALS = ("device/cid", "device/serial", "device/wwid", "wwid")

_log = logging.getLogger(__name__)


async def run_agent(
    configuration: EdgeConfiguration,
    clock: Clock,
    stop: asyncio.Event,
    drain_s: float = 2.0,
    version: str = "",
    watch: Watch | None = None,
    onlookers: Sequence[Onlooker] = (),
) -> Ledger:
    """Run until `stop` is set; then seal, send for `drain_s` wall seconds at most, and leave.

    Raises:
        OutboxUnusable: the outbox can't be opened.
        OutboxDamaged: only a new start can repair it; while running, in a group.
        ExceptionGroup: a bug.
    """
    timekeeping = Timekeeping(configuration.time, clock)
    settings = configuration.outbox
    outbox = await OutboxThread.open(
        settings, timekeeping.clock, identity(Path(settings.path)), boot_id()
    )
    try:
        await _unpark(outbox)
        tally, last = Tally(), LastReadings()
        trusted = timekeeping.time_trusted
        await forget_replaced(configuration, outbox, timekeeping.clock.now_ms())
        states = await outbox.states()
        month = Month(
            configuration.uplink, boot_id(), timekeeping.clock.now_ms, trusted, states.get(STATE)
        )
        stamped = await outbox.stamped()
        intake = Intake(configuration, timekeeping.clock, tally, trusted, states, stamped)
        sealing = Sealing(settings, outbox, intake, tally, timekeeping.clock, last)
        sink = all_ears(onlookers, sealing)
        made = make_links(configuration, sink, timekeeping.clock, trusted, intake.newest_ms)
        links = [Lending(link) for link in made]
        report = Report(configuration, timekeeping.clock, outbox, sealing, links, version, month)
        uplink = Uplink(configuration, outbox, timekeeping, last, report)
        sealing.announce, sealing.prepare = uplink.announce, uplink.prepare
        sealing.remember = month.state
        _show(onlookers, sealing, uplink)
        await recall(outbox, last)
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(link.run()) for link in links]
            keeping = [group.create_task(timekeeping.run(outbox, uplink.look_again))]
            keeping.append(group.create_task(renew(configuration, uplink.identity, timekeeping)))
            look = _looking(report, uplink, trusted)
            keeping += [group.create_task(watch(look))] if watch else []
            named = {link.name: link for link in links}
            beside = uplink.besides.append
            known = timekeeping.clock
            inside = Inside(configuration, look, named, last, intake.want, trusted, beside, known)
            keeping += [group.create_task(one.watch(inside)) for one in onlookers]
            sealer = group.create_task(sealing.run())
            draining = group.create_task(uplink.drain())
            _log.info("event=started gateway=%s links=%d", configuration.gateway.name, len(links))
            await stop.wait()
            await ended((*reading, *keeping))
            sealing.end()
            await sealer
            await _drained(outbox, clock, drain_s)
            uplink.leave()
            await asyncio.wait([draining], timeout=GOODBYE_S)
            draining.cancel()
        return await sealing.ledger()
    finally:
        await outbox.close()


def _looking(report: Report, uplink: Uplink, trusted: Callable[[], bool]) -> Look:
    async def look() -> Seen:
        status = await report.status(uplink.connected, trusted(), uplink.alarms)
        return Seen(status, uplink.confirm_times)

    return look


def _show(onlookers: Sequence[Onlooker], sealing: Sealing, uplink: Uplink) -> None:
    """Let the onlookers know of each batch and its fate."""
    announce = sealing.announce

    def announced(batches: list[Sealed]) -> None:
        announce(batches)
        for onlooker in onlookers:
            onlooker.sealed(batches)

    def settled(fates: Sequence[Fate]) -> None:
        for onlooker in onlookers:
            onlooker.settled(fates)

    if onlookers:
        sealing.announce = announced
        uplink.tell_fates(settled)


async def _unpark(outbox: OutboxThread) -> None:
    """A batch that the broker hung up on is tried again at each start: an operator who has mended
    the broker restarts the agent."""
    try:
        await outbox.unpark_all()
    except OutboxDamaged:
        raise
    except OutboxFailing as error:
        _log.warning("event=still_parked reason=%r", error.reason)


async def recall(outbox: OutboxThread, last: LastReadings) -> None:
    """Fill the snapshot with what was sealed before this process began.

    Raises:
        OutboxDamaged: only a new start can repair it.
    """
    newest = (await outbox.summary()).newest_sequence
    try:
        rows = await outbox.waiting(max(0, newest - RECALLED_BATCHES), RECALLED_BATCHES)
    except OutboxDamaged:
        raise
    except OutboxFailing as error:  # a full disk: the uplink will make room
        _log.warning("event=no_snapshot reason=%r", error.reason)
        return
    for row in rows:
        with suppress(UnknownDictionary):  # a newer version's, before it went back: the cloud's
            last.recall(row.payload)


async def _drained(outbox: OutboxThread, clock: Clock, drain_s: float) -> None:
    """Until nothing waits that could be sent, or the time is up."""
    deadline = clock.monotonic() + drain_s
    with suppress(OutboxFailing):
        while clock.monotonic() < deadline:
            summary = await outbox.summary()
            if summary.waiting_batches <= summary.parked + summary.unplaced:
                return
            await clock.pause(_LOOK_S)


def identity(path: Path) -> str:
    """This machine and this card, as far as they say who they are: another one of either begins
    a new epoch, so that copies of a card can't confirm each other's rows."""
    return f"{_text(Path('/etc/machine-id'))} {_card(path)}"


def boot_id() -> str:
    """The kernel's name for this boot."""
    return _text(Path("/proc/sys/kernel/random/boot_id"))


def _card(path: Path) -> str:
    """The serial number of the block device that holds `path`, "" where there is none to read."""
    folder = next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))
    device = folder.stat().st_dev
    node = Path(f"/sys/dev/block/{device >> 8 & 0xFFF}:{device & 0xFF | device >> 12 & ~0xFF}")
    if not node.exists():
        return ""
    resolved = node.resolve()
    for place in (resolved, resolved.parent):  # a partition, or the whole device
        for name in _SERIALS:
            if serial := _text(place / name):
                return serial
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
