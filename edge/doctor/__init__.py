"""The doctor: is it the sensor, the cable, the gateway or the cloud?

Looks at a gateway from beside its agent and changes nothing: the machine (`machine.py`), the way to
the cloud (`network.py`), the outbox (`line.py`); with the port to itself, at a bus (`bus.py`,
`bus_advice.py`). Each look gives findings; a finding passes, warns or fails, says what was seen,
and, unless it passes, what to do.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `remedy` is empty when it passes."""

    look: str
    verdict: Verdict
    seen: str
    remedy: str = ""


def passes(look: str, seen: str) -> Finding:
    return Finding(look, Verdict.PASS, seen)


def warns(look: str, seen: str, remedy: str) -> Finding:
    return Finding(look, Verdict.WARN, seen, remedy)


def fails(look: str, seen: str, remedy: str) -> Finding:
    return Finding(look, Verdict.FAIL, seen, remedy)
