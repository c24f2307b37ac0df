"""Why a connection that works is ended all the same: the next one shows, or checks, more."""

from __future__ import annotations

from edge.broker import ConnectionLost
from edge.identity import Identity
from edge.timekeeping import LOOK_S, Timekeeping


async def dates_can_be_judged(timekeeping: Timekeeping) -> None:
    """Certificates whose dates couldn't be judged are judged once they can be.

    Raises:
        ConnectionLost: then.
    """
    while not timekeeping.time_trusted():
        await timekeeping.clock.pause(LOOK_S)
    raise ConnectionLost("the time is known: connecting again to check certificates' dates")


async def certificate_changes(identity: Identity) -> None:
    """
    Raises:
        ConnectionLost: a renewed one is to be shown.
    """
    await identity.changed.wait()
    raise ConnectionLost("a renewed certificate: connecting again with it")
