"""The outbox's thread: calls in turn, errors to whoever asked, commits that no cancel undoes."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from edge.configuration import OutboxSettings
from edge.outbox import Outbox
from edge.outbox_file import OutboxFailing, OutboxUnusable
from edge.outbox_thread import QUEUE_MAX, OutboxThread
from tests.edge.outbox.rig import HandClock, counts, fate


@pytest.fixture
def rig(rig):
    rig.outbox.close()  # its thread opens it
    return rig


def opened(rig) -> OutboxThread:
    return OutboxThread(rig.open)


class Gate:
    """Something that the thread can be made to wait for."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def hold(self, thread: OutboxThread) -> None:
        thread._executor.submit(self._open.wait, 30)

    def open(self) -> None:
        self._open.set()


def test_every_word_of_the_core_can_be_awaited(rig):
    async def talk():
        async with opened(rig) as outbox:
            assert await outbox.journal(rig.lines(2), counts(2)) == [True, True]
            (sealed,) = await outbox.seal(rig.lines(1), {"bay": b"1"}, counts(1))
            assert await outbox.waiting(0, limit=10) == [sealed]
            await outbox.set_window(frozenset({1}))
            await outbox.mark_sent(1)
            await outbox.park(1, "0x99")
            await outbox.unpark_all()
            await outbox.set_boot_offset(1_790_000_000_000, "")
            assert await outbox.confirm(outbox.epoch, [fate(sealed)]) == [1]
            assert await outbox.resend_since(0) == 1
            assert await outbox.states() == {"bay": b"1"}
            assert (await outbox.ledger(Counter(), 0)).waiting == 3
            old = outbox.epoch
            await outbox.new_epoch("a test")
            assert (await outbox.summary()).epoch == outbox.epoch.hex() != old.hex()
            assert len(outbox.boot_id) == 32

    asyncio.run(talk())
    rig.outbox = rig.open()
    assert (rig.ledger().waiting, rig.ledger().gaps) == (3, 0)


def test_an_agent_opens_its_own_with_the_kernels_boot(tmp_path):
    async def talk():
        settings = OutboxSettings(path=str(tmp_path / "outbox.db"), ballast_bytes=0)
        outbox = await OutboxThread.open(settings, HandClock(), "machine card", "boot")
        assert outbox.boot_id == "boot"
        await outbox.close()
        await outbox.close()

    asyncio.run(talk())


def test_an_outbox_that_cannot_be_opened_says_so_and_leaves_no_thread(tmp_path):
    (tmp_path / "file").write_text("")
    before = threading.active_count()

    async def talk():
        settings = OutboxSettings(path=str(tmp_path / "file" / "outbox.db"))
        with pytest.raises(OutboxUnusable, match=r"outbox\.db"):
            await OutboxThread.open(settings, HandClock(), "machine card")

    asyncio.run(talk())
    for thread in threading.enumerate():
        if thread.name.startswith("outbox"):
            thread.join(10)
    assert threading.active_count() == before


def test_an_error_reaches_whoever_asked_and_the_next_call_works(rig):
    async def talk():
        async with opened(rig) as outbox:
            with pytest.raises(ValueError, match="accepted"):
                await outbox.seal([], {}, Counter({("accepted", ""): 1}))
            assert len(await outbox.seal(rig.lines(1), {}, counts(1))) == 1

    asyncio.run(talk())


def test_a_cancelled_wait_does_not_cancel_the_commit(rig):
    async def talk():
        gate = Gate()
        async with opened(rig) as outbox:
            gate.hold(outbox)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(outbox.seal(rig.lines(3), {}, counts(3)))
                await asyncio.sleep(0)  # it has handed its call over
                task.cancel()
            gate.open()
            assert (await outbox.ledger(Counter(), 0)).waiting == 3

    asyncio.run(talk())


def test_calls_run_in_the_order_they_were_made(rig):
    async def talk():
        gate = Gate()
        async with opened(rig) as outbox:
            gate.hold(outbox)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(outbox.seal(rig.lines(1), {}, counts(1))) for _ in range(20)
                ]
                await asyncio.sleep(0)
                gate.open()
            assert [task.result()[0].key.sequence for task in tasks] == list(range(1, 21))

    asyncio.run(talk())


def test_the_loop_turns_while_the_disk_is_slow(rig):
    async def talk():
        gate = Gate()
        async with opened(rig) as outbox:
            gate.hold(outbox)
            async with asyncio.TaskGroup() as group:
                task = group.create_task(outbox.summary())
                for _ in range(100):
                    await asyncio.sleep(0)
                assert not task.done()
                gate.open()

    asyncio.run(talk())


def test_a_disk_that_hangs_is_failing_and_not_a_queue_without_end(rig):
    async def talk():
        gate = Gate()
        async with opened(rig) as outbox:
            gate.hold(outbox)
            async with asyncio.TaskGroup() as group:
                for _ in range(QUEUE_MAX):
                    group.create_task(outbox.mark_sent(1))
                await asyncio.sleep(0)
                with pytest.raises(OutboxFailing, match="hangs"):
                    await outbox.summary()
                gate.open()
            assert (await outbox.summary()).newest_sequence == 0

    asyncio.run(talk())


def test_closing_waits_for_what_was_handed_over(rig):
    async def talk():
        gate = Gate()
        outbox = await opened(rig).__aenter__()
        gate.hold(outbox)
        async with asyncio.TaskGroup() as group:
            group.create_task(outbox.seal(rig.lines(2), {}, counts(2)))
            await asyncio.sleep(0)
            group.create_task(outbox.close())
            await asyncio.sleep(0)
            gate.open()

    asyncio.run(talk())
    rig.outbox = rig.open()
    assert (rig.ledger().waiting, rig.ledger().gaps) == (2, 0)


def test_the_core_is_used_by_one_thread_only(rig):
    names = set()

    def noting(self, *args):
        names.add(threading.current_thread().name)
        return Outbox.summary(self, *args)

    async def talk():
        async with opened(rig) as outbox:
            await outbox._hand_over(lambda: noting(outbox._outbox))
            await outbox._hand_over(lambda: noting(outbox._outbox))

    asyncio.run(talk())
    assert names == {"outbox_0"}
