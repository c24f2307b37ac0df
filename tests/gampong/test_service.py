"""How a service ends."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from gampong.service import run_until, stop_on_signals


def test_a_second_signal_disturbs_no_ending():
    ended = []

    async def serving() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(9):
                await asyncio.sleep(0)
            ended.append("serving")

    async def main() -> None:
        stop = stop_on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        await run_until(stop, serving(), serving())
        for _ in range(9):
            await asyncio.sleep(0)
        ended.append("store")

    asyncio.run(main())
    assert ended == ["serving", "serving", "store"]


def test_what_one_of_them_fails_with_is_what_the_command_sees():
    async def failing() -> None:
        raise OSError("the disk is gone")

    async def serving() -> None:
        await asyncio.Event().wait()

    with pytest.raises(OSError, match="the disk is gone"):
        asyncio.run(run_until(asyncio.Event(), failing(), serving()))
