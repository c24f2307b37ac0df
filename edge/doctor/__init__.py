"""The doctor: is it the sensor, the cable, the gateway or the cloud?

Looks at a gateway from beside its agent and changes nothing: the machine (`machine.py`), the way to
the cloud (`network.py`), the outbox (`line.py`); with the port to itself, at a bus (`bus.py`,
`bus_advice.py`). Each look gives findings; a finding passes, warns or fails, says what was seen,
and, unless it passes, what to do: in sentences that a terminal can say in another language.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from wire.sentence import Told, told

_NOTHING = told("")


class Verdict(StrEnum):
    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `remedy` is empty when it passes."""

    look: Told
    verdict: Verdict
    seen: Told
    remedy: Told = _NOTHING


def as_json(what: object) -> bytes:
    """Findings for a program, in English whatever the shell speaks."""
    return msgspec.json.format(msgspec.json.encode(what, enc_hook=str), indent=2)


def passes(look: Told, seen: Told) -> Finding:
    return Finding(look, Verdict.PASS, seen)


def warns(look: Told, seen: Told, remedy: Told) -> Finding:
    return Finding(look, Verdict.WARN, seen, remedy)


def fails(look: Told, seen: Told, remedy: Told) -> Finding:
    return Finding(look, Verdict.FAIL, seen, remedy)
