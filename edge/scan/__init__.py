"""Scan: what hangs on this gateway's serial ports, before anything is configured.

`ports.py` names the ports, `listening.py` finds sensors that have a port of their own, `bus.py`
finds Modbus slaves, `proposal.py` writes what was found into `gateway.toml`. Nothing is changed on
any sensor: only reading requests are sent.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from devices.reading import Value
from wire.sentence import Told


class Found(msgspec.Struct, frozen=True):
    """One sensor. `unit` is None for one with a port of its own. `drivers` are those that read
    what it said, best first; none: it speaks, and nobody knows what. `fields` are as the first of
    them reads it."""

    port: str
    baudrate: int
    parity: str
    unit: int | None
    drivers: tuple[str, ...]
    fields: dict[str, Value]
    raw: bytes


Tell = Callable[[Told, int, int], None]
"""Hears how far it is: what is tried, how much of it is done, how much there is."""
