"""A link gives its port up for a while and gets it back, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from edge.links.lending import Lending, NotLent, ended
from edge.links.serial_port import PortDown
from tests.edge.uplink.far_side import WAIT_S, until
from wire.messages import LinkStatus

WHY = "calibrating bin-01"


class Port:
    """A link that holds one thing while it runs."""

    name = "u"

    def __init__(self, letting_go_s: float = 0.0) -> None:
        self.runs = 0
        self.is_held = False
        self._letting_go_s = letting_go_s

    async def run(self) -> None:
        self.runs += 1
        self.is_held = True
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self._letting_go_s)
            self.is_held = False

    def status(self) -> LinkStatus:
        return LinkStatus("u", "up", detail="fine")


async def with_running(port: Port, do: Callable[[Lending], object]) -> None:
    lending = Lending(port)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(lending.run())
        await until(lambda: port.is_held)
        await do(lending)  # type: ignore[misc]
        await until(lambda: port.is_held)
        running.cancel()
    assert not port.is_held


def test_a_lent_port_is_free_and_held_again_afterwards():
    port = Port()

    async def do(lending: Lending) -> None:
        async with lending.lent(WHY, 5):
            assert not port.is_held
            assert lending.status() == LinkStatus("u", "up", detail=f"paused: {WHY}")
            with pytest.raises(NotLent, match=WHY):
                async with lending.lent("something else", 5):
                    pass
        assert lending.status().detail == "fine"

    asyncio.run(with_running(port, do))
    assert port.runs == 2


def test_a_port_that_is_lent_again_at_once_stays_free():
    port = Port()

    async def do(lending: Lending) -> None:
        async with lending.lent(WHY, 5):
            pass
        async with lending.lent(WHY, 5):
            for _ in range(20):
                await asyncio.sleep(0)
                assert not port.is_held

    asyncio.run(with_running(port, do))


@pytest.mark.parametrize("error", [PortDown("pulled out"), TimeoutError(), KeyError("a bug")])
def test_a_port_comes_back_from_a_borrower_that_fails(error):
    port = Port()

    async def do(lending: Lending) -> None:
        with pytest.raises(type(error)):
            async with lending.lent(WHY, 5):
                raise error

    asyncio.run(with_running(port, do))


def test_a_port_comes_back_from_a_borrower_that_keeps_it_too_long_or_is_cancelled():
    port = Port()

    async def do(lending: Lending) -> None:
        with pytest.raises(TimeoutError):
            async with lending.lent(WHY, 0.01):
                await asyncio.Event().wait()
        await until(lambda: port.is_held)

        async def borrow() -> None:
            async with lending.lent(WHY, 60):
                await asyncio.Event().wait()

        async with asyncio.TaskGroup() as group:
            borrowing = group.create_task(borrow())
            await until(lambda: not port.is_held)
            borrowing.cancel()

    asyncio.run(with_running(port, do))
    assert port.runs == 3


def test_a_restart_opens_the_port_anew_and_does_nothing_while_it_is_lent():
    port = Port()

    async def do(lending: Lending) -> None:
        lending.restart()
        await until(lambda: port.runs == 2)
        async with lending.lent(WHY, 5):
            lending.restart()
            assert not port.is_held
        await until(lambda: port.runs == 3)

    asyncio.run(with_running(port, do))
    assert port.runs == 3


def test_a_link_that_is_stopped_while_it_is_lent_stays_stopped():
    port = Port()

    async def run() -> None:
        lending = Lending(port)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(lending.run())
            await until(lambda: port.is_held)
            async with lending.lent(WHY, 5):
                running.cancel()
                await asyncio.wait([running])
        assert not port.is_held

    asyncio.run(run())
    assert port.runs == 1


class Stubborn(Port):
    """One whose cancellation is lost on the way, once a run."""

    async def run(self) -> None:
        with suppress(asyncio.CancelledError):
            await super().run()
        await super().run()


def test_a_link_that_loses_its_cancellation_still_gives_up_its_port_and_ends():
    port = Stubborn()

    async def run() -> None:
        lending = Lending(port)
        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
            running = group.create_task(lending.run())
            await until(lambda: port.is_held)
            async with lending.lent(WHY, 5):
                assert not port.is_held
            await until(lambda: port.is_held)
            await ended([running])
        assert not port.is_held

    asyncio.run(run())
