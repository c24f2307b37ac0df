"""A request that was left for the watch: has it taken it up?"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from wire.clock import Clock

WAIT_S = 15.0
_LOOK_S = 0.1


async def taken_up(path: Path, clock: Clock) -> bool:
    """Whether the watch takes the file away within `WAIT_S`."""
    until_s = clock.monotonic() + WAIT_S
    while await asyncio.to_thread(path.exists):
        if clock.monotonic() > until_s:
            return False
        await clock.pause(_LOOK_S)
    return True


def taken_up_or_said(path: Path, clock: Clock) -> bool:
    """The same for a command that only waits; that nobody did is said on stderr."""
    done = asyncio.run(taken_up(path, clock))
    if not done:
        print(f"no watch took it up in {WAIT_S:g} s; it will at its next start", file=sys.stderr)
    return done
